//! Rows as the network sees them.

use super::TrainingError;
use crate::features::{Encoding, Table};
use crate::vae::{Rows, RowsError, Scorer, Scores, Shape};

/// Encoded rows: values and presence, row-major.
pub(super) struct Encoded {
    values: Vec<f32>,
    present: Vec<f32>,
    width: usize,
    pub(super) heads: usize,
    pub(super) count: usize,
}

impl Encoded {
    pub(super) fn new(encoding: &Encoding, table: &Table) -> Encoded {
        let (width, heads, count) = (encoding.width(), encoding.heads().len(), table.rows());
        let mut values = vec![0.0; count * width];
        let mut present = vec![0.0; count * heads];
        for (row, cells) in table.iter().enumerate() {
            encoding.encode(
                cells,
                &mut values[row * width..][..width],
                &mut present[row * heads..][..heads],
            );
        }
        Encoded {
            values,
            present,
            width,
            heads,
            count,
        }
    }

    pub(super) fn rows(&self, shape: &Shape) -> Result<Rows<'_>, RowsError> {
        Rows::new(shape, &self.values, &self.present)
    }

    /// What `scorer`, of this shape, says of every row.
    pub(super) fn scores(&self, shape: &Shape, scorer: &Scorer) -> Result<Scores, TrainingError> {
        let mut scores = Scores::default();
        scorer.score(self.rows(shape)?, &mut scores)?;
        Ok(scores)
    }

    pub(super) fn select(&self, at: &[usize]) -> Encoded {
        let mut selected = Encoded {
            values: Vec::new(),
            present: Vec::new(),
            count: 0,
            ..*self
        };
        for &row in at {
            selected
                .values
                .extend_from_slice(&self.values[row * self.width..][..self.width]);
            selected
                .present
                .extend_from_slice(&self.present[row * self.heads..][..self.heads]);
            selected.count += 1;
        }
        selected
    }
}
