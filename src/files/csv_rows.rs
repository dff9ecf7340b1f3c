//! CSV rows as flat JSON objects.

use std::collections::HashSet;
use std::io::{self, BufRead};
use std::path::Path;

use csv::ByteRecord;

use super::FileError;
use crate::record::is_number;

pub(super) struct CsvRows {
    reader: csv::Reader<Box<dyn BufRead + Send>>,
    /// `"name":` of each column, ready to be written.
    keys: Vec<Vec<u8>>,
    row: ByteRecord,
    /// Whether `row` holds a first row that is no header and has not been given out yet.
    pending: bool,
    line: u64,
}

impl CsvRows {
    pub fn new(path: &Path, reader: Box<dyn BufRead + Send>) -> Result<Self, FileError> {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(reader);
        let mut rows = Self {
            reader,
            keys: Vec::new(),
            row: ByteRecord::new(),
            pending: false,
            line: 0,
        };
        if !rows.read(path)? {
            return Ok(rows);
        }
        let is_header = !rows.row.iter().all(|cell| is_number(cell.trim_ascii()));
        rows.pending = !is_header;
        let names: Vec<String> = if is_header {
            rows.header(path)?
        } else {
            (0..rows.row.len()).map(|i| format!("f{i}")).collect()
        };
        let mut seen = HashSet::new();
        for name in names {
            rows.keys.push(key(&name));
            if !seen.insert(name.clone()) {
                return Err(FileError::Column {
                    path: path.to_owned(),
                    column: name,
                });
            }
        }
        Ok(rows)
    }

    pub fn line(&self) -> u64 {
        self.line
    }

    pub fn next(&mut self, path: &Path, out: &mut Vec<u8>) -> Result<bool, FileError> {
        if !std::mem::take(&mut self.pending) && !self.read(path)? {
            return Ok(false);
        }
        out.push(b'{');
        for (column, (key, cell)) in self.keys.iter().zip(self.row.iter()).enumerate() {
            if column > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            write_cell(cell, out).map_err(|_| {
                let detail = format!("column {} is not UTF-8", column + 1);
                self.row_error(path, detail)
            })?;
        }
        out.push(b'}');
        Ok(true)
    }

    fn read(&mut self, path: &Path) -> Result<bool, FileError> {
        let more = self.reader.read_byte_record(&mut self.row);
        let start = self.row.position().map(csv::Position::line);
        self.line = start.unwrap_or_else(|| self.reader.position().line());
        more.map_err(|error| {
            let detail = match error.kind() {
                csv::ErrorKind::UnequalLengths {
                    expected_len,
                    len,
                    pos,
                } => {
                    self.line = pos.as_ref().map_or(self.line, csv::Position::line);
                    format!("the row has {len} cells where the first has {expected_len}")
                }
                _ => error.to_string(),
            };
            match error.into_kind() {
                csv::ErrorKind::Io(source) => FileError::Line {
                    path: path.to_owned(),
                    line: self.line,
                    source,
                },
                _ => self.row_error(path, detail),
            }
        })
    }

    /// The column names; nameless ones are called by their place, as in a file without a header.
    fn header(&self, path: &Path) -> Result<Vec<String>, FileError> {
        let name = |(column, cell): (usize, &[u8])| match std::str::from_utf8(cell.trim_ascii()) {
            Ok("") => Ok(format!("f{column}")),
            Ok(name) => Ok(name.to_owned()),
            Err(_) => Err(self.row_error(path, format!("column {} is not UTF-8", column + 1))),
        };
        self.row.iter().enumerate().map(name).collect()
    }

    fn row_error(&self, path: &Path, detail: String) -> FileError {
        FileError::Row {
            path: path.to_owned(),
            line: self.line,
            detail,
        }
    }
}

fn key(name: &str) -> Vec<u8> {
    let mut key = serde_json::Value::from(name).to_string().into_bytes();
    key.push(b':');
    key
}

fn write_cell(cell: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let trimmed = cell.trim_ascii();
    // JSON has no NaN, and what writes it into a CSV file means that there is no number.
    if trimmed.is_empty() || trimmed.eq_ignore_ascii_case(b"nan") {
        out.extend_from_slice(b"null");
    } else if trimmed == b"true" || trimmed == b"false" || is_number(trimmed) {
        out.extend_from_slice(trimmed);
    } else {
        let text = std::str::from_utf8(cell).map_err(io::Error::other)?;
        serde_json::to_writer(out, text)?;
    }
    Ok(())
}
