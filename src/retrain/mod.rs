//! Models that keep up: when one is trained anew, on what, and whether it may serve.
//!
//! A retrain is a process of its own, `outlierd retrain`: it reads rows back from the topic, learns, puts the candidate
//! through a [`gate`], and writes it with the gate's report into the store. A daemon only decides when that happens, and
//! takes over whatever the store has serve. So a retrain that fails, is killed or runs out of memory is nothing to the
//! line, and one by hand is the same as one on a schedule.

mod cases;
mod clock;
mod gate;
mod labelled;
mod schedule;
mod scoring;
mod shadow;
mod teach;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

pub use cases::CasesError;
pub use gate::gate;
pub use labelled::Labelled;
pub use schedule::Schedule;
pub use scoring::{Rows, ScoringError};
pub use shadow::{LEAST, trial};
pub use teach::{Taught, TeachError, Teaching, teach};
