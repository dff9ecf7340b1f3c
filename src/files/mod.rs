//! Rows from CSV and NDJSON files, each as one JSON record.

mod csv_rows;
mod error;
mod format;
mod ndjson_rows;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use csv_rows::CsvRows;
pub use error::FileError;
use format::Format;
use ndjson_rows::NdjsonRows;

/// The rows of one file, from its first to its last.
pub struct Rows {
    path: PathBuf,
    inner: Inner,
}

enum Inner {
    Csv(CsvRows),
    Ndjson(NdjsonRows),
}

/// Opens a CSV or NDJSON file, gzipped or not.
///
/// The name tells the format: `.csv`, `.ndjson`, `.jsonl`, `.json`, each also with `.gz`. Under any
/// other name a file whose text starts with `{` is NDJSON, and CSV if not; one that starts with
/// gzip's magic number is gzipped. The first CSV row is the header, unless all its cells are
/// numbers; columns without a name are called `f0`, `f1` and so on.
///
/// # Errors
/// A file that cannot be opened or read, or whose header is no use.
pub fn open(path: &Path) -> Result<Rows, FileError> {
    let read = |source| FileError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let (format, reader) = format::detect(path, BufReader::new(file)).map_err(read)?;
    let inner = match format {
        Format::Csv => Inner::Csv(CsvRows::new(path, reader)?),
        Format::Ndjson => Inner::Ndjson(NdjsonRows::new(reader)),
    };
    let path = path.to_owned();
    Ok(Rows { path, inner })
}

impl Rows {
    /// Replaces `out` with the next row as JSON; false at the end of the file.
    ///
    /// NDJSON rows come as they stand, unchecked; blank lines are passed over. A CSV row becomes a
    /// flat object with the header's names: JSON numbers as numbers, `true` and `false` as
    /// booleans, empty cells and NaN as null, all else as strings.
    ///
    /// # Errors
    /// A line that cannot be read.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Result<bool, FileError> {
        out.clear();
        match &mut self.inner {
            Inner::Csv(rows) => rows.next(&self.path, out),
            Inner::Ndjson(rows) => rows.next(&self.path, out),
        }
    }

    /// The line on which the last row started, from 1.
    pub fn line(&self) -> u64 {
        match &self.inner {
            Inner::Csv(rows) => rows.line(),
            Inner::Ndjson(rows) => rows.line(),
        }
    }
}
