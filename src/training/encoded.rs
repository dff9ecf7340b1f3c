//! Rows as the network sees them.

use super::TrainingError;
use crate::detect::Linear;
use crate::features::{Encoding, Table};
use crate::vae::{Rows, RowsError, Scorer, Scores, Shape};

/// Rows that are scored at once: what is said of each column is not kept beyond that.
const BLOCK: usize = 4096;

/// Encoded rows: values and presence, row-major.
pub(super) struct Encoded {
    values: Vec<f32>,
    present: Vec<f32>,
    width: usize,
    pub(super) heads: usize,
    pub(super) count: usize,
}

impl Encoded {
    /// Encodes the rows at `at`, in that order.
    pub(super) fn of(encoding: &Encoding, table: &Table, at: &[usize]) -> Encoded {
        let (width, heads, count) = (encoding.width(), encoding.heads().len(), at.len());
        let mut values = vec![0.0; count * width];
        let mut present = vec![0.0; count * heads];
        for (row, &cells) in at.iter().enumerate() {
            encoding.encode(
                table.row(cells),
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

    /// What `scorer`, of this shape, says of every row; not of its heads or columns, which would take
    /// more memory than the rows themselves.
    pub(super) fn scores(&self, shape: &Shape, scorer: &Scorer) -> Result<Scores, TrainingError> {
        let (mut all, mut block) = (Scores::default(), Scores::default());
        let values = self.values.chunks(BLOCK * self.width);
        let present = self.present.chunks(BLOCK * self.heads);
        for (values, present) in values.zip(present) {
            scorer.score(Rows::new(shape, values, present)?, &mut block)?;
            for (all, block) in [
                (&mut all.nll, &block.nll),
                (&mut all.kl, &block.kl),
                (&mut all.squared_error, &block.squared_error),
                (&mut all.code_nll, &block.code_nll),
                (&mut all.code, &block.code),
                (&mut all.code_variance, &block.code_variance),
            ] {
                if all.is_empty() {
                    all.reserve_exact(block.len() * self.count.div_ceil(BLOCK));
                }
                all.extend_from_slice(block);
            }
        }
        Ok(all)
    }

    /// The linear model of these rows.
    pub(super) fn linear(&self, shape: &Shape) -> Linear {
        Linear::fit(shape, &self.values, &self.present)
    }

    pub(super) fn select(&self, at: &[usize]) -> Encoded {
        let mut selected = Encoded {
            values: Vec::with_capacity(at.len() * self.width),
            present: Vec::with_capacity(at.len() * self.heads),
            count: at.len(),
            ..*self
        };
        for &row in at {
            selected
                .values
                .extend_from_slice(&self.values[row * self.width..][..self.width]);
            selected
                .present
                .extend_from_slice(&self.present[row * self.heads..][..self.heads]);
        }
        selected
    }
}
