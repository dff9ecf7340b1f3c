//! How models come into a store.

use std::fmt;
use std::path::Path;

use super::error::StoreError;
use super::file::{self, ModelError, Stored};
use super::ledger::State;
use super::report::Report;
use super::store::Store;
use super::trainer::Trainer;
use crate::detect::Model;

/// How a model that was judged is taken in.
#[derive(Debug)]
pub struct Admission {
    pub report: Report,
    /// Whether it serves at once if it has passed.
    pub promote: bool,
    /// Of those that nobody needs, so many stay.
    pub keep: usize,
    /// Whether it is tried beside the one that serves before it takes over, and until when.
    pub shadow_until: Option<jiff::Timestamp>,
    /// The slot of the schedule that it was trained for.
    pub slot: Option<jiff::Timestamp>,
}

/// What became of a model that was added.
#[derive(Debug)]
pub struct Added {
    pub stored: Stored,
    /// Whether it serves: the first one does.
    pub serves: bool,
    /// Versions that were deleted, since there are too many.
    pub pruned: Vec<String>,
}

impl fmt::Display for Added {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = &self.stored.version;
        match self.serves {
            true => write!(f, "took in {version}, which serves"),
            false => write!(
                f,
                "took in {version}: `outlierd models promote {version}` has it serve"
            ),
        }
    }
}

impl Store {
    /// Takes in the model of a file.
    ///
    /// # Errors
    /// When the file is no model, or cannot be written here.
    pub fn import(&self, from: &Path, keep: usize) -> Result<Added, StoreError> {
        self.take_in(&file::read(from)?, from, keep)
    }

    /// Takes in the model that `bytes`, of `from`, are.
    ///
    /// # Errors
    /// When they are no model, or cannot be written here.
    pub fn take_in(&self, bytes: &[u8], from: &Path, keep: usize) -> Result<Added, StoreError> {
        let stored = file::from_bytes(bytes, from)?;
        let (version, parent) = (&stored.version, stored.manifest.provenance.parent.clone());
        let (serves, pruned) = self.put(Some((version, bytes)), &mut |ledger, now| {
            let is_first = ledger.models.is_empty();
            ledger.add(version, parent.clone(), now);
            if is_first {
                ledger.promote(version, now)?;
            }
            let serves = ledger.serving().map(|entry| &entry.version) == Some(version);
            Ok((serves, ledger.prune(keep)))
        })?;
        Ok(Added {
            stored,
            serves,
            pruned,
        })
    }

    /// Takes `model` in: as a candidate, or to serve if it is the first. Of those that nobody needs the newest `keep`
    /// stay.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, model: &Model, keep: usize) -> Result<Added, StoreError> {
        let place = self.place("new");
        self.take_in(&file::to_bytes(model, &place)?, &place, keep)
    }

    /// The bytes of a model's file, and what loads from them: it has been checked whole.
    ///
    /// # Errors
    /// When what was learnt does not come back as it was.
    pub fn pack(&self, model: &Model) -> Result<(Vec<u8>, Stored), ModelError> {
        let place = self.place("new");
        let bytes = file::to_bytes(model, &place)?;
        let stored = file::from_bytes(&bytes, &place)?;
        Ok((bytes, stored))
    }

    /// Takes in a model that a gate has judged: one that has passed serves, unless that is held. One that serves already or
    /// has served stays what it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn admit(
        &self,
        packed: (Vec<u8>, Stored),
        admission: Admission,
        trainer: &Trainer,
    ) -> Result<Added, StoreError> {
        let (bytes, stored) = packed;
        let (version, parent) = (&stored.version, stored.manifest.provenance.parent.clone());
        let Admission {
            report,
            promote,
            keep,
            shadow_until,
            slot,
        } = admission;
        let (serves, pruned) = self.put(Some((version, &bytes)), &mut |ledger, now| {
            trainer.check(ledger)?;
            if let Some(slot) = slot {
                ledger.pass(slot);
            }
            let state = ledger.get(version).map(|entry| entry.state);
            if matches!(state, Some(State::Serving | State::Archived)) {
                // The same rows have made the same model: what was decided of it stands.
                return Ok((false, Vec::new()));
            }
            let passed = report.passed();
            ledger.add(version, parent.clone(), now);
            ledger.judge(version, report.clone(), now)?;
            let takes_over = passed && (ledger.serving().is_none() || promote && !ledger.held);
            let shadow = shadow_until.filter(|_| takes_over && ledger.serving().is_some());
            let serves = takes_over && shadow.is_none();
            if serves {
                ledger.promote(version, now)?;
            }
            if let Some(until) = shadow {
                ledger.shadow(version, until)?;
            }
            Ok((serves, ledger.prune(keep)))
        })?;
        Ok(Added {
            stored,
            serves,
            pruned,
        })
    }

    /// Notes what was found of a candidate beside the one that serves. It takes over if it has passed, that is not held,
    /// and `promote`.
    ///
    /// # Errors
    /// When it is no candidate any more, another trains by now, or the store cannot be used.
    pub fn settle(
        &self,
        version: &str,
        report: &Report,
        promote: bool,
        trainer: &Trainer,
    ) -> Result<bool, StoreError> {
        self.change(|ledger, now| {
            trainer.check(ledger)?;
            ledger.judge(version, report.clone(), now)?;
            let serves = report.passed() && promote && !ledger.held;
            if serves {
                ledger.promote(version, now)?;
            }
            Ok(serves)
        })
    }
}
