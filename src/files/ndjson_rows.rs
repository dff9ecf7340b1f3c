//! Lines of NDJSON, as they stand.

use std::io::BufRead;
use std::path::Path;

use super::FileError;

pub(super) struct NdjsonRows {
    reader: Box<dyn BufRead + Send>,
    line: u64,
}

impl NdjsonRows {
    pub fn new(reader: Box<dyn BufRead + Send>) -> Self {
        Self { reader, line: 0 }
    }

    pub fn line(&self) -> u64 {
        self.line
    }

    pub fn next(&mut self, path: &Path, out: &mut Vec<u8>) -> Result<bool, FileError> {
        loop {
            out.clear();
            self.line += 1;
            let read = self.reader.read_until(b'\n', out);
            let length = read.map_err(|source| FileError::Line {
                path: path.to_owned(),
                line: self.line,
                source,
            })?;
            while out.last().is_some_and(u8::is_ascii_whitespace) {
                out.pop();
            }
            if length == 0 || !out.is_empty() {
                return Ok(length > 0);
            }
        }
    }
}
