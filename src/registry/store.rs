//! The models of a store, one of which serves.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::file::{self, ModelError, Stored};
use super::folder::Folder;
use super::ledger::{Entry, Ledger};
#[cfg(feature = "s3")]
use super::objects::Objects;
use super::shelf::{Change, Shelf};
use super::topic::Topic;
use super::trainer::Trainer;
use super::whole;
use crate::config::{Config, StoreAddress};

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

    pub(super) fn place(&self, version: &str) -> PathBuf {
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
    pub(super) fn put<T>(
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
