//! Where a store keeps what it has.

use std::fmt;
use std::fs::File;

use super::error::StoreError;
use super::file::ModelError;

/// What a change writes: all of it, or nothing that anybody goes by.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// The ledger from now on.
    pub(super) ledger: Vec<u8>,
    /// A model that it names, and its bytes.
    pub(super) model: Option<(String, Vec<u8>)>,
    /// Models that it no longer names.
    pub(super) gone: Vec<String>,
}

/// Makes a change of the ledger as it is; none, if it stays.
pub(super) type Changing<'a> = dyn FnMut(Option<&str>) -> Result<Option<Change>, StoreError> + 'a;

/// Where a store keeps its ledger and its models. Displayed as messages name it.
pub(super) trait Shelf: fmt::Debug + fmt::Display + Send + Sync {
    /// The text of the ledger; none where nothing has been written yet.
    fn ledger(&self) -> Result<Option<String>, StoreError>;

    /// The bytes of a model, unchecked.
    fn read(&self, version: &str) -> Result<Vec<u8>, ModelError>;

    /// Puts a change in force, and says whether it is: not, where somebody else was faster. Nobody else changes anything
    /// between what it is made of and what it writes.
    fn change(&self, changing: &mut Changing<'_>) -> Result<bool, StoreError>;

    /// A lock that only one trainer holds, and that ends with him; none, where there is no such thing.
    fn lock(&self) -> Option<Result<Option<File>, StoreError>> {
        None
    }
}
