//! What networks say of rows that they were not fitted on.

use super::TrainingError;
use super::encoded::Encoded;
use super::trainer::Trained;
use crate::detect::HeldOut;
use crate::vae::Shape;

/// What the networks say of rows that they were not fitted on.
#[derive(Default)]
pub(super) struct Terms {
    /// By member: NLL of each row.
    pub(super) nll: Vec<Vec<f32>>,
    /// By member: NLL of each row's code.
    pub(super) code_nll: Vec<Vec<f32>>,
    pub(super) rows: usize,
    /// Sums over rows, means over members.
    surprise: f64,
    kl: f64,
    squared_error: f64,
}

impl Terms {
    pub(super) fn of(
        shape: &Shape,
        members: &[Trained],
        rows: &Encoded,
    ) -> Result<Terms, TrainingError> {
        let mut terms = Terms {
            rows: rows.count,
            ..Terms::default()
        };
        for member in members {
            let scores = rows.scores(shape, &member.scorer(shape)?)?;
            let mean = |of: &[f32]| {
                of[..rows.count]
                    .iter()
                    .map(|&term| f64::from(term))
                    .sum::<f64>()
                    / members.len() as f64
            };
            terms.surprise += mean(&scores.nll);
            terms.kl += mean(&scores.kl);
            terms.squared_error += mean(&scores.squared_error);
            terms.nll.push(scores.nll);
            terms.code_nll.push(scores.code_nll);
        }
        Ok(terms)
    }

    pub(super) fn append(&mut self, other: Terms) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        for (all, more) in self.nll.iter_mut().zip(other.nll) {
            all.extend(more);
        }
        for (all, more) in self.code_nll.iter_mut().zip(other.code_nll) {
            all.extend(more);
        }
        self.rows += other.rows;
        self.surprise += other.surprise;
        self.kl += other.kl;
        self.squared_error += other.squared_error;
    }

    pub(super) fn held_out(&self) -> HeldOut {
        let rows = self.rows as f64;
        HeldOut {
            rows: self.rows,
            elbo: -(self.surprise + self.kl) / rows,
            reconstruction_log_likelihood: -self.surprise / rows,
            kl: self.kl / rows,
            reconstruction_error: self.squared_error / rows,
        }
    }
}
