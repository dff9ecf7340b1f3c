//! What can be wrong with a file of rows.

use std::io;
use std::path::PathBuf;

/// A file that cannot be read on, with the place.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {} at line {line}: {source}", path.display())]
    Line {
        path: PathBuf,
        line: u64,
        source: io::Error,
    },
    #[error("{} at line {line}: {detail}", path.display())]
    Row {
        path: PathBuf,
        line: u64,
        detail: String,
    },
    #[error("{} names column `{column}` twice in its header: rename one of them", path.display())]
    Column { path: PathBuf, column: String },
}
