//! From records to a calibrated model.
//!
//! [`Collection`] takes records in, from a topic or a file; [`learn`] turns it into a
//! [`crate::detect::Model`]. No row that calibrates a score was seen by the network that gave it:
//! of many rows, stretches over the whole time are held out; few rows are cross-fitted in blocks of
//! time. The same rows, settings and seed give the same model, whatever the number of threads.

mod collection;
mod encoded;
mod fold;
mod learn;
#[cfg(all(test, feature = "cuda"))]
#[allow(clippy::unwrap_used)]
mod parity;
mod quantiles;
mod reservoir;
mod terms;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod trainer;

pub use collection::{Collection, Material, Source};
pub use fold::Fold;
pub use learn::{LEAST_ROWS, Lesson, Progress, TrainingError, learn};
pub use reservoir::Place;
