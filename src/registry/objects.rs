//! Models in an object store: `s3://BUCKET/PREFIX`, with the ledger and each model as an object of its own.
//!
//! The ledger is put only where it is still the one that was read (`If-Match`), so that of two writers one is told and makes
//! its change again. Credentials, region and endpoint come from the environment, as AWS's own programs take them.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig, UpdateVersion,
};
use tokio::runtime::Runtime;

use super::error::StoreError;
use super::file::ModelError;
use super::shelf::{Changing, Shelf};

/// The ledger is asked for no more often: requests cost.
const LOOK: Duration = Duration::from_secs(1);

/// How long one request is tried again.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bucket, and a prefix within it.
pub(super) struct Objects {
    address: String,
    client: Mutex<Option<Arc<Client>>>,
    /// The ledger, and when it was asked for.
    looked: Mutex<Option<(Instant, Option<String>)>>,
}

struct Client {
    store: AmazonS3,
    prefix: Path,
    /// Never ended: a runtime must not be dropped within another.
    runtime: &'static Runtime,
}

/// The text of the ledger, and by which it is told from others.
type Found = Option<(String, UpdateVersion)>;

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.address.trim_end_matches('/'))
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What drives the requests, of all stores of this process.
fn runtime() -> std::io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let made = builder.enable_all().build()?;
    Ok(RUNTIME.get_or_init(|| made))
}

impl Objects {
    pub(super) fn new(address: &str) -> Objects {
        Objects {
            address: address.to_owned(),
            client: Mutex::default(),
            looked: Mutex::default(),
        }
    }

    fn failed(&self, source: Error) -> StoreError {
        StoreError::Remote {
            place: self.to_string(),
            unreachable: matches!(source, Error::Generic { .. }),
            source: Box::new(source),
        }
    }

    fn client(&self) -> Result<Arc<Client>, StoreError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let retry = RetryConfig {
            retry_timeout: PATIENCE,
            ..RetryConfig::default()
        };
        let store = AmazonS3Builder::from_env()
            .with_url(&self.address)
            .with_retry(retry)
            .build()
            .map_err(|error| self.failed(error))?;
        let prefix = self.address.splitn(4, '/').nth(3).unwrap_or_default();
        let made = Arc::new(Client {
            store,
            prefix: Path::from(prefix),
            runtime: runtime().map_err(|source| StoreError::Io {
                place: "a runtime for requests".into(),
                source,
            })?,
        });
        *client = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Client {
    fn place(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    fn model(&self, version: &str) -> Path {
        self.place(&format!("{version}.safetensors"))
    }

    fn ledger(&self) -> Result<Found, Error> {
        self.runtime.block_on(async {
            let found = match self.store.get(&self.place("ledger.json")).await {
                Ok(found) => found,
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            let version = UpdateVersion {
                e_tag: found.meta.e_tag.clone(),
                version: found.meta.version.clone(),
            };
            let text = String::from_utf8_lossy(&found.bytes().await?).into_owned();
            Ok(Some((text, version)))
        })
    }

    fn read(&self, version: &str) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(async {
            let found = self.store.get(&self.model(version)).await?;
            Ok(found.bytes().await?.to_vec())
        })
    }
}

impl Shelf for Objects {
    fn ledger(&self) -> Result<Option<String>, StoreError> {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, text)) = &*looked
            && at.elapsed() < LOOK
        {
            return Ok(text.clone());
        }
        let ledger = self.client()?.ledger();
        let text = ledger
            .map_err(|error| self.failed(error))?
            .map(|(text, _)| text);
        *looked = Some((Instant::now(), text.clone()));
        Ok(text)
    }

    fn read(&self, version: &str) -> Result<Vec<u8>, ModelError> {
        let place = format!("{self}/{version}.safetensors");
        let client = self
            .client()
            .map_err(|error| ModelError::remote(&place, error))?;
        client.read(version).map_err(|error| match error {
            Error::NotFound { .. } => ModelError::Missing(place.into()),
            error => ModelError::remote(&place, error),
        })
    }

    fn change(&self, changing: &mut Changing<'_>) -> Result<bool, StoreError> {
        let client = self.client()?;
        let failed = |error| self.failed(error);
        let (text, seen) = client.ledger().map_err(failed)?.unzip();
        let Some(change) = changing(text.as_deref())? else {
            return Ok(true);
        };
        if let Some((version, bytes)) = change.model {
            let model = client.model(&version);
            let put = client.store.put(&model, bytes.into());
            client.runtime.block_on(put).map_err(failed)?;
        }
        let mode = seen.map_or(PutMode::Create, PutMode::Update);
        let ledger = client.place("ledger.json");
        let options = PutOptions::from(mode);
        let put = client
            .store
            .put_opts(&ledger, change.ledger.into(), options);
        match client.runtime.block_on(put) {
            Ok(_) => {}
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
        for version in &change.gone {
            let model = client.model(version);
            match client.runtime.block_on(client.store.delete(&model)) {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        // Whoever has changed it sees it so.
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
