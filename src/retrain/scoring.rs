//! What a model says of rows whose words are numbered otherwise than it does.

use std::sync::Arc;

use crate::detect::{Detector, Model, Policy};
use crate::features::{FieldSpec, Renumbering, Table};
use crate::vae::{RowsError, WeightError};

/// Rows scored at a time.
const BLOCK: usize = 1024;

/// Rows, and what the numbers of their words mean.
pub struct Rows<'a> {
    pub fields: &'a [FieldSpec],
    pub table: &'a Table,
}

/// Why a model cannot score.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    #[error(transparent)]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Rows(#[from] RowsError),
}

impl Rows<'_> {
    /// Has `model`, which reads these fields, score all rows, and shows them to `take` some at a time: the detector after
    /// it has scored them, the place of the first, and their cells as the model numbers them.
    pub(super) fn score(
        &self,
        model: &Arc<Model>,
        mut take: impl FnMut(&Detector, usize, &[f64]),
    ) -> Result<(), ScoringError> {
        let policy = Arc::new(Policy::open(self.table.fields()));
        let mut detector = Detector::new(Arc::clone(model), policy)?;
        let renumbering = Renumbering::of_rows(self.fields, &model.encoding);
        let mut cells = Vec::with_capacity(BLOCK * self.table.fields());
        for first in (0..self.table.rows()).step_by(BLOCK) {
            cells.clear();
            for row in first..(first + BLOCK).min(self.table.rows()) {
                let at = cells.len();
                cells.extend_from_slice(self.table.row(row));
                renumbering.apply(&mut cells[at..]);
            }
            detector.score(&cells)?;
            take(&detector, first, &cells);
        }
        Ok(())
    }
}
