//! The model store: one model is one `.safetensors` file, whose header holds the manifest.
//!
//! A file is read whole, with a cap on its header, and nothing of it is believed before its hash,
//! shapes, finiteness and golden rows agree. There is no pickle, and nothing is memory-mapped.

mod file;
mod manifest;

pub use file::{ModelError, Stored, load, save};
pub use manifest::{Manifest, ManifestMember};
