//! The model store: one model is one `.safetensors` file, whose header holds the manifest.
//!
//! A file is read whole, with a cap on its header, and nothing of it is believed before its hash,
//! shapes, finiteness and golden rows agree. There is no pickle, and nothing is memory-mapped.
//! A [`Store`] is a folder of such files with a ledger of what each is.

mod file;
mod ledger;
mod manifest;
mod report;
mod store;
mod whole;

pub use file::{ModelError, Stored, load, save};
pub use ledger::{Entry, Ledger, LedgerError, State};
pub use manifest::{Manifest, ManifestMember};
pub use report::{Check, Report};
pub use store::{Added, Admission, Store, StoreError, serving};
