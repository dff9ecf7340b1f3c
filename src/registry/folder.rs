//! A folder of models.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::file::{self, ModelError};
use super::shelf::{Changing, Shelf};
use super::whole;

/// A folder with a ledger and a file for every model.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Folder {
    fn model(&self, version: &str) -> PathBuf {
        self.0.join(format!("{version}.safetensors"))
    }

    fn failed(&self, name: &str) -> impl Fn(io::Error) -> StoreError + use<> {
        let place = self.0.join(name).display().to_string();
        move |source| StoreError::Io {
            place: place.clone(),
            source,
        }
    }

    /// The file `name`, made with its folder where it is not there.
    fn open(&self, name: &str) -> Result<File, StoreError> {
        fs::create_dir_all(&self.0).map_err(self.failed(""))?;
        File::create(self.0.join(name)).map_err(self.failed(name))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        whole::write(path, bytes).map_err(|source| StoreError::Io {
            place: path.display().to_string(),
            source,
        })
    }
}

impl Shelf for Folder {
    fn ledger(&self) -> Result<Option<String>, StoreError> {
        match fs::read_to_string(self.0.join("ledger.json")) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("ledger.json")(error)),
        }
    }

    fn read(&self, version: &str) -> Result<Vec<u8>, ModelError> {
        file::read(&self.model(version))
    }

    fn change(&self, changing: &mut Changing<'_>) -> Result<bool, StoreError> {
        let lock = self.open("lock")?;
        lock.lock().map_err(self.failed("lock"))?;
        let Some(change) = changing(self.ledger()?.as_deref())? else {
            return Ok(true);
        };
        if let Some((version, bytes)) = &change.model {
            self.write(&self.model(version), bytes)?;
        }
        self.write(&self.0.join("ledger.json"), &change.ledger)?;
        for version in &change.gone {
            match fs::remove_file(self.model(version)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed(version)(error));
                }
                _ => {}
            }
        }
        Ok(true)
    }

    fn lock(&self) -> Option<Result<Option<File>, StoreError>> {
        let lock = match self.open("trainer") {
            Ok(lock) => lock,
            Err(error) => return Some(Err(error)),
        };
        Some(match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => Err(self.failed("trainer")(source)),
        })
    }
}
