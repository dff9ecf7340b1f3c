//! The models of a store, one of which serves.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::file::{self, ModelError, Stored};
use super::folder::Folder;
use super::ledger::{Entry, Ledger, State};
#[cfg(feature = "s3")]
use super::objects::Objects;
use super::report::Report;
use super::shelf::{Change, Shelf};
use super::topic::Topic;
use super::trainer::Trainer;
use super::whole;
use crate::config::{Config, StoreAddress};
use crate::detect::Model;

/// How often a change is made again that others were faster than.
const TRIES: u32 = 20;

/// Models, and what each is.
#[derive(Debug, Clone)]
pub struct Store {
    shelf: Arc<dyn Shelf>,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shelf.fmt(f)
    }
}

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

/// The model that a configuration means: the one that serves in its store, or that of its file. Where that one is
/// damaged and the store has another that has served before, it is said and that one is taken.
///
/// # Errors
/// When there is none that can be used.
pub fn serving(config: &Config) -> Result<Stored, StoreError> {
    match Store::of(config) {
        Some(store) => store.serving(),
        None => Ok(file::load(&config.model.path)?),
    }
}

impl Store {
    /// The store that a configuration names, if it names one. Nothing is asked of it yet.
    pub fn of(config: &Config) -> Option<Store> {
        Some(match config.model.store.as_ref()? {
            StoreAddress::Folder(folder) => Store::folder(folder),
            StoreAddress::Topic(topic) => Store {
                shelf: Arc::new(Topic::new(&config.kafka, topic)),
            },
            #[cfg(feature = "s3")]
            StoreAddress::Objects(address) => Store {
                shelf: Arc::new(Objects::new(address)),
            },
            // Refused with the configuration.
            #[cfg(not(feature = "s3"))]
            StoreAddress::Objects(_) => return None,
        })
    }

    #[cfg(all(test, feature = "s3"))]
    pub(super) fn on(shelf: Arc<dyn Shelf>) -> Store {
        Store { shelf }
    }

    /// The store of a folder.
    pub fn folder(folder: &Path) -> Store {
        Store {
            shelf: Arc::new(Folder(folder.to_owned())),
        }
    }

    fn place(&self, version: &str) -> PathBuf {
        format!("{self}/{version}").into()
    }

    /// What the store says of its models; nothing, where there is no store yet.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn ledger(&self) -> Result<Ledger, StoreError> {
        self.parse(self.shelf.ledger()?.as_deref())
    }

    fn parse(&self, text: Option<&str>) -> Result<Ledger, StoreError> {
        let ledger = text.map_or(Ok(Ledger::default()), Ledger::parse);
        ledger.map_err(|source| StoreError::Ledger {
            place: format!("{self}/ledger.json"),
            source,
        })
    }

    /// Reads a model and checks all of it, its version too.
    ///
    /// # Errors
    /// As [`file::load`]; and when the bytes are those of another version.
    pub fn load(&self, version: &str) -> Result<Stored, ModelError> {
        self.check(version, &self.shelf.read(version)?)
    }

    fn check(&self, version: &str, bytes: &[u8]) -> Result<Stored, ModelError> {
        let path = self.place(version);
        let stored = file::from_bytes(bytes, &path)?;
        if stored.version != version {
            return Err(ModelError::Corrupt {
                path,
                what: format!("its bytes are those of version {}", stored.version),
            });
        }
        Ok(stored)
    }

    /// The version that `beginning` is the beginning of.
    ///
    /// # Errors
    /// When there is none, or several; or the ledger cannot be read.
    pub fn find(&self, beginning: &str) -> Result<String, StoreError> {
        Ok(self.ledger()?.version(beginning)?)
    }

    fn serving(&self) -> Result<Stored, StoreError> {
        let ledger = self.ledger()?;
        let place = || self.to_string();
        let Some(entry) = ledger.serving() else {
            return Err(match ledger.models.is_empty() {
                true => StoreError::Empty(place()),
                false => StoreError::NoneServes(place()),
            });
        };
        let first = match self.load(&entry.version) {
            Ok(stored) => return Ok(stored),
            Err(error) => error,
        };
        for before in ledger.archived() {
            if let Ok(stored) = self.load(&before.version) {
                tracing::error!("{first}; {} serves instead of it", stored.version);
                return Ok(stored);
            }
        }
        Err(StoreError::NoneGood {
            place: place(),
            first,
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

    /// The store's only trainer for as long as it lives; none if there is another, who is not waited for.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub fn trainer(&self) -> Result<Option<Trainer>, StoreError> {
        Trainer::of(self)
    }

    pub(super) fn lock(&self) -> Option<Result<Option<File>, StoreError>> {
        self.shelf.lock()
    }

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

    /// Writes a model to a file.
    ///
    /// # Errors
    /// When it is damaged, or the file cannot be written.
    pub fn export(&self, version: &str, to: &Path) -> Result<Stored, StoreError> {
        let bytes = self.shelf.read(version)?;
        let stored = self.check(version, &bytes)?;
        whole::write(to, &bytes).map_err(|source| StoreError::Io {
            place: to.display().to_string(),
            source,
        })?;
        Ok(stored)
    }

    /// Changes the ledger, and removes the models that are no longer in it; nobody else changes anything meanwhile. `change`
    /// is asked again where somebody else was faster.
    ///
    /// # Errors
    /// When it is refused, or the store cannot be read or written: then the ledger is as before. When a model cannot be
    /// removed: then that alone is left to do.
    pub fn change<T>(
        &self,
        mut change: impl FnMut(&mut Ledger, &str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.put(None, &mut change)
    }

    /// As [`Self::change`], which may take the model in that comes with it: its version, and its bytes.
    fn put<T>(
        &self,
        model: Option<(&str, &[u8])>,
        change: &mut dyn FnMut(&mut Ledger, &str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for attempt in 0..TRIES {
            let mut told = None;
            let in_force = self.shelf.change(&mut |text| {
                let before = self.parse(text)?;
                let mut ledger = before.clone();
                told = Some(change(&mut ledger, &jiff::Timestamp::now().to_string())?);
                self.difference(&before, &ledger, model)
            })?;
            if let (true, Some(told)) = (in_force, told) {
                return Ok(told);
            }
            // Those that collide do not wait for the same time.
            let spread = u64::from(std::process::id()) % 97 + u64::from(attempt) * 31;
            std::thread::sleep(Duration::from_millis(50 + spread));
        }
        Err(StoreError::Busy(self.to_string()))
    }

    /// What is to be written, if anything is, where the ledger has become another.
    fn difference(
        &self,
        before: &Ledger,
        now: &Ledger,
        model: Option<(&str, &[u8])>,
    ) -> Result<Option<Change>, StoreError> {
        let model = model.filter(|(version, _)| now.get(version).is_some());
        if now == before && model.is_none() {
            return Ok(None);
        }
        let ledger = serde_json::to_vec_pretty(now).map_err(|error| StoreError::Io {
            place: self.to_string(),
            source: error.into(),
        })?;
        let is_gone = |entry: &&Entry| now.get(&entry.version).is_none();
        let gone = before.models.iter().filter(is_gone);
        Ok(Some(Change {
            ledger,
            model: model.map(|(version, bytes)| (version.to_owned(), bytes.to_vec())),
            gone: gone.map(|entry| entry.version.clone()).collect(),
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_writers_at_once_none_undoes_what_another_did() {
        let folder = tempfile::tempdir().unwrap();
        let write = |writer: usize| {
            // Each has the folder opened for itself, as processes have.
            let store = Store::folder(folder.path());
            for model in 0..25 {
                let version = format!("{writer:02}{model:02}");
                let changed = store.change(|ledger, now| {
                    ledger.add(&version, None, now);
                    Ok(ledger.promote(&version, now)?)
                });
                changed.unwrap();
            }
        };
        std::thread::scope(|scope| {
            for writer in 0..4 {
                scope.spawn(move || write(writer));
            }
        });
        let ledger = Store::folder(folder.path()).ledger().unwrap();
        assert_eq!(ledger.models.len(), 100);
        assert_eq!(ledger.archived().count(), 99);
        assert!(ledger.serving().is_some());
    }

    #[test]
    fn what_is_refused_changes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::folder(folder.path());
        let changed = store.change(|ledger, now| {
            ledger.add("ab", None, now);
            Ok(ledger.promote("cd", now)?)
        });
        assert!(matches!(changed, Err(StoreError::Change(_))));
        assert_eq!(store.ledger().unwrap(), Ledger::default());
    }

    #[test]
    fn with_a_model_goes_its_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::folder(folder.path());
        let model = |version| folder.path().join(format!("{version}.safetensors"));
        for version in ["ab", "cd"] {
            std::fs::write(model(version), version).unwrap();
            let added = store.change(|ledger, now| {
                ledger.add(version, None, now);
                Ok(())
            });
            added.unwrap();
        }
        let deleted = store.change(|ledger, _| Ok(ledger.delete("ab")?));
        deleted.unwrap();
        assert!(!model("ab").exists() && model("cd").exists());
    }
}
