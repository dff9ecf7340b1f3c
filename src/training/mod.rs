//! From records to a calibrated model.
//!
//! [`Collection`] takes records in, from a topic or a file; [`learn`] turns it into a
//! [`crate::detect::Model`]. No row that calibrates a score was seen by the network that gave it:
//! many rows are split in time (the newest calibrate), few rows are cross-fitted in blocks of time.

mod collection;
mod encoded;
mod fold;
mod learn;
mod quantiles;
mod terms;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod trainer;

pub use collection::{Collection, Source};
pub use learn::{Progress, TrainingError, learn};
