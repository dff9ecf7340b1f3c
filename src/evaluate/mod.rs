//! How good a detector is, and how good something simpler would have been.
//!
//! [`Trial::prepare`] settles what is compared on which rows, [`contest`] runs every detector on
//! them, [`table`], [`json`] and [`report`] show what came of it. [`Ranking`] measures scores against labels,
//! [`KolmogorovSmirnov`] whether calibration scores and unseen ones have the same distribution,
//! [`card_precision`] what an investigator with a fixed number of alerts a day finds. [`baselines`]
//! has the detectors that a network has to beat.

pub mod baselines;
mod card_precision;
mod cells;
mod contest;
mod error;
mod fields;
mod findings;
mod json;
mod kolmogorov_smirnov;
mod lineup;
mod material;
mod ours;
mod outcome;
mod plain;
mod protocol;
mod ranking;
mod report;
mod table;
mod trial;

pub use card_precision::{DailyScore, card_precision};
pub use contest::{Contest, contest};
pub use error::EvaluationError;
pub use fields::Fields;
pub use findings::{Findings, ModelFindings, TopRow};
pub use json::json;
pub use kolmogorov_smirnov::KolmogorovSmirnov;
pub use lineup::{Lineup, OURS};
pub use material::{Labels, LeftOut, Material, Record, Roles};
pub use outcome::{Figures, Outcome, Run, Spread, Truth};
pub use protocol::{Protocol, Split};
pub use ranking::{OperatingPoint, Point, Ranking, RankingError};
pub use report::report;
pub use table::table;
pub use trial::{Request, Trial};
