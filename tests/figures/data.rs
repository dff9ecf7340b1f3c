//! Where the data sets are.

use std::path::{Path, PathBuf};

/// The folder with the data sets, if there is one.
pub fn folder(named: Option<&Path>) -> Option<PathBuf> {
    let named = named.map(Path::to_owned);
    let by_environment = || std::env::var_os("OUTLIERD_TEST_DATA").map(PathBuf::from);
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data"));
    let folder = named.or_else(by_environment).unwrap_or_else(beside);
    folder.is_dir().then_some(folder)
}
