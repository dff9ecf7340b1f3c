//! A folder of models, one of which serves.
//!
//! A model's file is named by the hash of its bytes and never changes; `ledger.json` says what each is. Whoever changes
//! the ledger holds a lock on `lock` meanwhile, so that of two writers the second sees what the first has done.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::file::{self, ModelError, Stored};
use super::ledger::{Entry, Ledger, LedgerError, State};
use super::report::Report;
use super::whole;
use crate::config;
use crate::detect::Model;

/// Why a store cannot be used, or not in this way.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{path}: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{path} cannot be used: {source}; mend it, or restore it from a copy", path = path.display()
    )]
    Ledger { path: PathBuf, source: LedgerError },
    #[error(transparent)]
    Change(#[from] LedgerError),
    #[error("there is no model in {folder}: make one with `outlierd train`", folder = .0.display())]
    Empty(PathBuf),
    #[error(
        "no model in {folder} serves: choose one of `outlierd models list` with `outlierd models promote V`",
        folder = .0.display()
    )]
    NoneServes(PathBuf),
    #[error("no model in {folder} can be used; of the one that should serve: {first}", folder = folder.display())]
    NoneGood { folder: PathBuf, first: ModelError },
}

/// A folder of models.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// How a model that was judged is taken in.
#[derive(Debug)]
pub struct Admission {
    pub report: Report,
    /// Whether it serves at once if it has passed.
    pub promote: bool,
    /// Of those that nobody needs, so many stay.
    pub keep: usize,
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

/// The model that a configuration means: the one that serves in its store, or that of its file. Where that one is
/// damaged and the store has another that has served before, it is said and that one is taken.
///
/// # Errors
/// When there is none that can be used.
pub fn serving(model: &config::Model) -> Result<Stored, StoreError> {
    match &model.store {
        Some(folder) => Store::new(folder).serving(),
        None => Ok(file::load(&model.path)?),
    }
}

impl Store {
    pub fn new(folder: &Path) -> Store {
        Store {
            folder: folder.to_owned(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file of a version is.
    pub fn path(&self, version: &str) -> PathBuf {
        self.folder.join(format!("{version}.safetensors"))
    }

    /// What the store says of its models; nothing, where there is no store yet.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn ledger(&self) -> Result<Ledger, StoreError> {
        let path = self.folder.join("ledger.json");
        match fs::read_to_string(&path) {
            Ok(text) => Ledger::parse(&text).map_err(|source| StoreError::Ledger { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ledger::default()),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// Reads a model and checks all of it, its version too.
    ///
    /// # Errors
    /// As [`file::load`]; and when the bytes are those of another version.
    pub fn load(&self, version: &str) -> Result<Stored, ModelError> {
        self.check(version, &file::read(&self.path(version))?)
    }

    fn check(&self, version: &str, bytes: &[u8]) -> Result<Stored, ModelError> {
        let path = self.path(version);
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
        let folder = || self.folder.clone();
        let Some(entry) = ledger.serving() else {
            return Err(match ledger.models.is_empty() {
                true => StoreError::Empty(folder()),
                false => StoreError::NoneServes(folder()),
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
            folder: folder(),
            first,
        })
    }

    /// Takes `model` in: as a candidate, or to serve if it is the first. Of those that nobody needs the newest `keep`
    /// stay.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, model: &Model, keep: usize) -> Result<Added, StoreError> {
        self.take_in(&file::to_bytes(model, &self.folder)?, &self.folder, keep)
    }

    /// The bytes of a model's file, and what loads from them: it has been checked whole.
    ///
    /// # Errors
    /// When what was learnt does not come back as it was.
    pub fn pack(&self, model: &Model) -> Result<(Vec<u8>, Stored), ModelError> {
        let bytes = file::to_bytes(model, &self.folder)?;
        let stored = file::from_bytes(&bytes, &self.folder)?;
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
    ) -> Result<Added, StoreError> {
        let (bytes, stored) = packed;
        let (version, parent) = (&stored.version, stored.manifest.provenance.parent.clone());
        let Admission {
            report,
            promote,
            keep,
            slot,
        } = admission;
        let (serves, pruned) = self.change(|ledger, now| {
            if let Some(slot) = slot {
                ledger.pass(slot);
            }
            let state = ledger.get(version).map(|entry| entry.state);
            if matches!(state, Some(State::Serving | State::Archived)) {
                // The same rows have made the same model: what was decided of it stands.
                return Ok((false, Vec::new()));
            }
            self.write(version, &bytes)?;
            let passed = report.passed();
            ledger.add(version, parent, now);
            ledger.judge(version, report, now)?;
            let serves = passed && (ledger.serving().is_none() || promote && !ledger.held);
            if serves {
                ledger.promote(version, now)?;
            }
            Ok((serves, ledger.prune(keep)))
        })?;
        Ok(Added {
            stored,
            serves,
            pruned,
        })
    }

    /// Waits for nobody: the store's only trainer for as long as the result lives, or none if there is one.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn trainer(&self) -> Result<Option<File>, StoreError> {
        let path = self.folder.join("trainer");
        let io = |source| StoreError::Io {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(&self.folder).map_err(io)?;
        let lock = File::create(&path).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// Takes in the model of a file.
    ///
    /// # Errors
    /// When the file is no model, or cannot be written here.
    pub fn import(&self, from: &Path, keep: usize) -> Result<Added, StoreError> {
        self.take_in(&file::read(from)?, from, keep)
    }

    /// Takes in the model that `bytes`, of `from`, are.
    fn take_in(&self, bytes: &[u8], from: &Path, keep: usize) -> Result<Added, StoreError> {
        let stored = file::from_bytes(bytes, from)?;
        let (version, parent) = (&stored.version, stored.manifest.provenance.parent.clone());
        let (serves, pruned) = self.change(|ledger, now| {
            self.write(version, bytes)?;
            let is_first = ledger.models.is_empty();
            ledger.add(version, parent, now);
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
        let bytes = file::read(&self.path(version))?;
        let stored = self.check(version, &bytes)?;
        whole::write(to, &bytes).map_err(|source| StoreError::Io {
            path: to.to_owned(),
            source,
        })?;
        Ok(stored)
    }

    /// Writes the file of a version.
    fn write(&self, version: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(version);
        whole::write(&path, bytes).map_err(|source| StoreError::Io { path, source })
    }

    /// Removes the file of a version, if there is one.
    fn remove(&self, version: &str) -> Result<(), StoreError> {
        let path = self.path(version);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Changes the ledger, and removes the files of models that are no longer in it; nobody else changes anything
    /// meanwhile.
    ///
    /// # Errors
    /// When it is refused, or the ledger cannot be read or written: then it is as before. When a file cannot be removed:
    /// then that alone is left to do.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Ledger, &str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let io = |name: &str| {
            let path = self.folder.join(name);
            move |source| StoreError::Io { path, source }
        };
        fs::create_dir_all(&self.folder).map_err(io(""))?;
        let lock = File::create(self.folder.join("lock")).map_err(io("lock"))?;
        lock.lock().map_err(io("lock"))?;
        let mut ledger = self.ledger()?;
        let before = ledger.clone();
        let outcome = change(&mut ledger, &jiff::Timestamp::now().to_string())?;
        if ledger != before {
            let text = serde_json::to_vec_pretty(&ledger)
                .map_err(|error| io("ledger.json")(error.into()))?;
            let path = self.folder.join("ledger.json");
            whole::write(&path, &text).map_err(io("ledger.json"))?;
        }
        let is_gone = |gone: &&Entry| !ledger.models.iter().any(|e| e.version == gone.version);
        for gone in before.models.iter().filter(is_gone) {
            self.remove(&gone.version)?;
        }
        Ok(outcome)
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
            let store = Store::new(folder.path());
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
        let ledger = Store::new(folder.path()).ledger().unwrap();
        assert_eq!(ledger.models.len(), 100);
        assert_eq!(ledger.archived().count(), 99);
        assert!(ledger.serving().is_some());
    }

    #[test]
    fn what_is_refused_changes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
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
        let store = Store::new(folder.path());
        for version in ["ab", "cd"] {
            fs::write(store.path(version), version).unwrap();
            let added = store.change(|ledger, now| {
                ledger.add(version, None, now);
                Ok(())
            });
            added.unwrap();
        }
        let deleted = store.change(|ledger, _| Ok(ledger.delete("ab")?));
        deleted.unwrap();
        assert!(!store.path("ab").exists() && store.path("cd").exists());
    }
}
