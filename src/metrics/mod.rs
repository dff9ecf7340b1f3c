//! Closed label sets.

mod labels;

pub use labels::{DeadLetterClass, SkipReason};
