//! How good a detector is, and how good something simpler would have been.
//!
//! [`Ranking`] measures scores against labels, [`KolmogorovSmirnov`] whether calibration scores and
//! unseen ones have the same distribution, [`card_precision`] what an investigator with a fixed
//! number of alerts a day finds. [`baselines`] has the detectors that a network has to beat.

pub mod baselines;
mod card_precision;
mod kolmogorov_smirnov;
mod ranking;

pub use card_precision::{DailyScore, card_precision};
pub use kolmogorov_smirnov::KolmogorovSmirnov;
pub use ranking::{OperatingPoint, Point, Ranking, RankingError};
