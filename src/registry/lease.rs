//! The right to train, as it stands in a ledger.

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;

/// Who trains, where that is not said by a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Names one process.
    pub by: String,
    /// When another may take over, unless it is renewed.
    pub until: jiff::Timestamp,
}

impl Ledger {
    /// Lets `by` train until `until`; not while another does.
    pub fn lease(&mut self, by: &str, now: jiff::Timestamp, until: jiff::Timestamp) -> bool {
        let taken = |lease: &Lease| lease.by != by && lease.until > now;
        if self.training.as_ref().is_some_and(taken) {
            return false;
        }
        let by = by.to_owned();
        self.training = Some(Lease { by, until });
        true
    }

    /// Lets `by` train for longer. It does not get back what another has had meanwhile, even if that one is done.
    pub fn renew(&mut self, by: &str, until: jiff::Timestamp) -> bool {
        let mine = self.training.as_mut().filter(|lease| lease.by == by);
        mine.map(|lease| lease.until = until).is_some()
    }

    /// Whether it is `by` that trains.
    pub fn is_leased(&self, by: &str) -> bool {
        self.training.as_ref().is_some_and(|lease| lease.by == by)
    }

    /// Whether somebody trains by a lease.
    pub fn is_training(&self, now: jiff::Timestamp) -> bool {
        self.training
            .as_ref()
            .is_some_and(|lease| lease.until > now)
    }
}
