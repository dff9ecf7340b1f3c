//! From a network's terms to a verdict with its reasons.
//!
//! A [`Detector`] scores rows with a [`Model`], turns each score into a p-value by the model's
//! [`Calibration`], and decides by the [`Policy`] that the user set (alert budget, directions,
//! least deviations). Everything here is a pure function of the record and the model: the same
//! bytes give the same bits, alone or in any batch.

mod attribution;
mod calibration;
mod daily;
mod detector;
mod distribution;
mod drift;
mod episode;
mod exceedances;
mod explanation;
mod linear;
mod model;
mod pace;
mod pareto;
mod policy;
mod profile;
mod suspects;

pub use calibration::{Calibration, Claim, Tail};
pub use daily::DailyBudget;
pub use detector::{Detector, Scored, Verdict};
pub use drift::{Drift, FieldDrift, Tally};
pub use episode::{Episode, Episodes};
pub use exceedances::Exceedances;
pub use explanation::{Expected, Explanation, Observed, Reason, Side, sentence};
pub use linear::Linear;
pub(crate) use model::hex;
pub use model::{Fitted, Golden, HeldOut, Model, Provenance, Standard, mean_score};
pub use pace::Pace;
pub use pareto::Pareto;
pub use policy::{FieldPolicy, Policy, Threshold};
pub use profile::{Profile, Spread};
pub use suspects::Suspects;
