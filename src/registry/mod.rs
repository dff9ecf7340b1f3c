//! The model store: one model is one `.safetensors` file, whose header holds the manifest.
//!
//! A file is read whole, with a cap on its header, and nothing of it is believed before its hash,
//! shapes, finiteness and golden rows agree. There is no pickle, and nothing is memory-mapped.
//! A [`Store`] is many such files with a ledger of what each is, in a folder or a topic.

mod admission;
mod error;
mod file;
mod folder;
mod hands;
mod lease;
mod ledger;
mod manifest;
#[cfg(feature = "s3")]
mod objects;
mod report;
mod shelf;
mod store;
mod topic;
mod trainer;
mod whole;

pub use admission::{Added, Admission};
pub use error::StoreError;
pub use file::{ModelError, Stored, load, read, save};
pub use hands::{Done, Hand};
pub use lease::Lease;
pub use ledger::{Entry, Ledger, LedgerError, State};
pub use manifest::{Manifest, ManifestMember};
pub use report::{Check, Report};
pub use store::{Store, serving};
pub use trainer::Trainer;
