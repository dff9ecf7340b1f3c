//! Why the line ended.

use super::JudgeError;
use crate::kafka::{ClientError, IntakeError, OutletError, TopicFault, TransactionError};

/// Why the line ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("input: {0}")]
    Intake(#[from] IntakeError),
    #[error(transparent)]
    Output(#[from] OutletError),
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// Which secret, and why it cannot be read.
    #[error("{0}")]
    Secret(String),
    /// Where to go on after a loss is decided when partitions are assigned, and nowhere else.
    #[error("{0}")]
    Loss(String),
    #[error("a thread of the line ended before its time")]
    Broken,
    #[error("the {0} thread could not be started: {1}")]
    Thread(&'static str, #[source] std::io::Error),
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}

impl From<TransactionError> for LineError {
    fn from(error: TransactionError) -> LineError {
        LineError::Output(OutletError::Transaction(error))
    }
}

impl LineError {
    /// Whether no broker answered.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self.client(), Some(ClientError::Unreachable { .. }))
    }

    /// Whether whoever was let in before may be let in again: credentials are renewed on one side first.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        matches!(self, LineError::Secret(_))
            || matches!(self.client(), Some(ClientError::Access(_)))
            || self.starts_over()
    }

    /// What a client met that could not be made or asked.
    fn client(&self) -> Option<&ClientError> {
        match self {
            LineError::Output(OutletError::Client(error))
            | LineError::Intake(
                IntakeError::Client(error) | IntakeError::Topic(TopicFault::Client(error)),
            ) => Some(error),
            _ => None,
        }
    }

    /// Whether a transaction came to nothing because the group was rebalanced meanwhile.
    pub(super) fn is_stale(&self) -> bool {
        matches!(
            self,
            LineError::Output(OutletError::Transaction(TransactionError::Stale(_)))
        )
    }

    /// Whether a line with new clients can go on where this one had committed: the transaction at hand came to
    /// nothing, or nobody knows what came of it; or records were lost, and it is to go on behind them.
    #[must_use]
    pub fn starts_over(&self) -> bool {
        let given_up = |error: &OutletError| {
            matches!(
                error,
                OutletError::Transaction(TransactionError::GivenUp(_) | TransactionError::Stale(_))
            )
        };
        matches!(self, LineError::Output(error) if given_up(error))
            || matches!(self, LineError::Loss(_))
            || self.is_unreachable()
    }
}
