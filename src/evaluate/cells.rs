//! Records as cells and columns.

use super::baselines::{BaselineError, Matrix};
use super::{EvaluationError, Record};
use crate::config::{Field, Input};
use crate::features::{Encoding, Table};
use crate::record::{Decoder, Vocabularies};
use crate::training::Collection;
use crate::vae::{Rows, RowsError, Shape};

/// Rows of columns under one encoding.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    /// Rows x columns.
    values: Vec<f32>,
    /// Rows x heads: 1 where there is a value.
    present: Vec<f32>,
    width: usize,
    heads: usize,
}

/// Training records, decoded anew: training takes them as a stream.
pub(super) fn collect<'r>(
    fields: &[Field],
    input: &Input,
    max_rows: usize,
    records: impl Iterator<Item = &'r Record>,
) -> Result<Collection, EvaluationError> {
    let mut collection = Collection::new(fields, input, max_rows)?;
    for record in records {
        // Whole milliseconds are exact: a time has nine digits before the point.
        let time_ms = record.time.map_or(-1, |seconds| (seconds * 1000.0) as i64);
        collection.add(&record.bytes, time_ms);
    }
    Ok(collection)
}

/// The cells of `records`, rows x fields, with the words of a fitted encoding.
pub(super) fn decode<'r>(
    encoding: &Encoding,
    fields: &[Field],
    input: &Input,
    records: impl Iterator<Item = &'r Record>,
) -> Result<Vec<f64>, EvaluationError> {
    let mut decoder = Decoder::new(fields, input)?;
    let mut vocabularies = Vocabularies::frozen(encoding.vocabularies());
    let mut row = vec![f64::NAN; fields.len()];
    let mut cells = Vec::new();
    for record in records {
        // All of them could be decoded before; one that cannot would be all missing.
        if decoder
            .decode(&record.bytes, &mut vocabularies, &mut row)
            .is_err()
        {
            row.fill(f64::NAN);
        }
        cells.extend_from_slice(&row);
    }
    Ok(cells)
}

impl Columns {
    /// Encodes rows of cells, one cell a field.
    pub fn of_cells(encoding: &Encoding, cells: &[f64]) -> Columns {
        let (width, heads) = (encoding.width(), encoding.heads().len());
        let fields = encoding.fields.len();
        let count = cells.len() / fields;
        let mut values = vec![0.0; count * width];
        let mut present = vec![0.0; count * heads];
        for (row, cells) in cells.chunks_exact(fields).enumerate() {
            encoding.encode(
                cells,
                &mut values[row * width..][..width],
                &mut present[row * heads..][..heads],
            );
        }
        Columns {
            values,
            present,
            width,
            heads,
        }
    }

    pub fn of_table(encoding: &Encoding, table: &Table) -> Columns {
        let cells: Vec<f64> = table.iter().flatten().copied().collect();
        Columns::of_cells(encoding, &cells)
    }

    pub fn matrix(&self) -> Result<Matrix, BaselineError> {
        Matrix::new(self.values.clone(), self.width)
    }

    pub fn rows(&self, shape: &Shape) -> Result<Rows<'_>, RowsError> {
        Rows::new(shape, &self.values, &self.present)
    }

    /// The rows at `chosen`, in that order.
    pub fn select(&self, chosen: &[usize]) -> Columns {
        let rows = |of: &[f32], width: usize| {
            let rows = chosen.iter().flat_map(|&row| &of[row * width..][..width]);
            rows.copied().collect()
        };
        Columns {
            values: rows(&self.values, self.width),
            present: rows(&self.present, self.heads),
            width: self.width,
            heads: self.heads,
        }
    }

    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }
}
