//! How good a detector is, and how good something simpler would have been.
//!
//! [`Ranking`] measures scores against labels, [`KolmogorovSmirnov`] whether calibration scores and
//! unseen ones have the same distribution, [`Exceedances`] how many unseen rows a threshold flags by
//! chance, [`card_precision`] what an investigator with a fixed
//! number of alerts a day finds. [`baselines`] has the detectors that a network has to beat.

pub mod baselines;
mod card_precision;
mod exceedances;
mod kolmogorov_smirnov;
mod ranking;

pub use card_precision::{DailyScore, card_precision};
pub use exceedances::Exceedances;
pub use kolmogorov_smirnov::KolmogorovSmirnov;
pub use ranking::{OperatingPoint, Point, Ranking, RankingError};
