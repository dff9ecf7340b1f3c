//! Scoring on the CPU: the trained network without a graph, without allocation and on the widest
//! vectors of the machine.

mod cells;
mod dense;
mod density;
mod evidence;
mod layout;
pub(super) mod math;
mod score;
mod scores;
#[cfg(test)]
mod tests;

pub use score::Scorer;
pub use scores::Scores;
