//! Why a store cannot be used.

use std::io;

use super::file::ModelError;
use super::ledger::LedgerError;

/// Why a store cannot be used, or not in this way.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{place}: {source}")]
    Io { place: String, source: io::Error },
    #[error("{place}: {source}")]
    Remote {
        place: String,
        /// Whether nobody answers, which passes by itself.
        unreachable: bool,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{0}")]
    Secret(String),
    #[error("{place} cannot be used: {source}; mend it, or restore it from a copy")]
    Ledger { place: String, source: LedgerError },
    #[error(transparent)]
    Change(#[from] LedgerError),
    #[error("there is no model in {0}: make one with `outlierd train`")]
    Empty(String),
    #[error(
        "no model in {0} serves: choose one of `outlierd models list` with `outlierd models promote V`"
    )]
    NoneServes(String),
    #[error("no model in {place} can be used; of the one that should serve: {first}")]
    NoneGood { place: String, first: ModelError },
    #[error("{0} is changed by others all the time: try again")]
    Busy(String),
    #[error(
        "another has taken over to train for this store: this one stood still for too long, and changes nothing"
    )]
    Overtaken,
}

impl StoreError {
    /// Whether its place does not answer: that passes by itself.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            StoreError::Remote {
                unreachable: true,
                ..
            }
        )
    }
}
