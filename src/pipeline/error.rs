//! Why the line ended.

use super::JudgeError;
use crate::kafka::{IntakeError, OutletError};

/// Why the line ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("input: {0}")]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Output(#[from] OutletError),
    #[error(transparent)]
    Judge(#[from] JudgeError),
    #[error("a thread of the line ended before its time")]
    Broken,
    #[error("the {0} thread could not be started: {1}")]
    Thread(&'static str, #[source] std::io::Error),
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}
