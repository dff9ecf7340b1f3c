//! What `/status` tells of retraining.

use serde::Serialize;

/// What `/status` tells of retraining.
#[derive(Debug, Clone, Default, Serialize)]
pub(in crate::daemon) struct Retraining {
    /// What is at work.
    pub(super) running: Option<Running>,
    pub(super) last: Option<Last>,
    /// When the next one is due.
    pub(super) next: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Running {
    pub(super) since: String,
    pub(super) slot: Option<String>,
    pub(super) phase: String,
    pub(super) step: u64,
    pub(super) steps: u64,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Last {
    pub(super) at: String,
    pub(super) outcome: &'static str,
    pub(super) version: Option<String>,
    pub(super) why: Option<String>,
}
