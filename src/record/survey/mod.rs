//! What a sample of records looks like, so that a first configuration can be written from it.
//!
//! This is no hot path: records are read as trees of values, twice. The first time sorts them by
//! shape, the second time looks at the values of the shape that is most frequent.

mod card;
mod column;
mod draft;
mod field;
mod flatten;
mod names;
mod notation;
mod report;
mod roles;
mod shapes;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde_json::Value;

pub use field::{FieldReport, Reason, Suggestion, Values};
pub use report::Report;
pub use roles::Long;
pub use shapes::Shape;

use flatten::leaves;

/// Bounds of the sample: rows and bytes that are kept, paths that are told apart.
const MAX_ROWS: usize = 50_000;
const MAX_BYTES: usize = 256 << 20;
const MAX_PATHS: usize = 4_096;

/// A sample of records, as it comes in.
#[derive(Debug, Default)]
pub struct Survey {
    rows: Vec<Row>,
    bytes: usize,
    unreadable: usize,
    paths: Vec<String>,
    path_ids: HashMap<String, usize>,
    /// Sorted path numbers to shape number.
    shapes: HashMap<Vec<usize>, usize>,
}

#[derive(Debug)]
struct Row {
    bytes: Box<[u8]>,
    shape: usize,
}

impl Survey {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one record in. Records that are no JSON objects are only counted. A full sample takes
    /// in nothing more.
    pub fn add(&mut self, bytes: &[u8]) {
        if self.is_full() {
            return;
        }
        let Ok(record @ Value::Object(_)) = serde_json::from_slice(bytes) else {
            self.unreadable += 1;
            return;
        };
        let mut paths: Vec<usize> = leaves(&record)
            .into_iter()
            .filter_map(|(path, _)| self.path_id(path))
            .collect();
        paths.sort_unstable();
        let next = self.shapes.len();
        let shape = *self.shapes.entry(paths).or_insert(next);
        self.bytes += bytes.len();
        self.rows.push(Row {
            bytes: bytes.into(),
            shape,
        });
    }

    /// Whether the sample takes in no more records.
    pub fn is_full(&self) -> bool {
        self.rows.len() >= MAX_ROWS || self.bytes >= MAX_BYTES
    }

    /// What the records look like.
    pub fn report(&self) -> Report {
        Report::of(self)
    }

    fn path_id(&mut self, path: String) -> Option<usize> {
        if let Some(&id) = self.path_ids.get(&path) {
            return Some(id);
        }
        if self.paths.len() >= MAX_PATHS {
            return None;
        }
        self.paths.push(path.clone());
        self.path_ids.insert(path, self.paths.len() - 1);
        Some(self.paths.len() - 1)
    }
}

impl Row {
    fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}
