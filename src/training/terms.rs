//! What networks say of rows that they were not fitted on.

use super::TrainingError;
use super::encoded::Encoded;
use crate::detect::HeldOut;
use crate::vae::{Member, Shape};

/// What the networks say of rows that they were not fitted on.
#[derive(Default)]
pub(super) struct Terms {
    /// By member: NLL + KL / 2 of each row.
    pub(super) oddness: Vec<Vec<f32>>,
    /// By member and head: the head's NLL of each row.
    pub(super) heads: Vec<Vec<Vec<f32>>>,
    pub(super) rows: usize,
    /// Sums over rows, means over members.
    nll: f64,
    kl: f64,
    squared_error: f64,
}

impl Terms {
    pub(super) fn of(
        shape: &Shape,
        members: &[Member],
        rows: &Encoded,
    ) -> Result<Terms, TrainingError> {
        let mut terms = Terms {
            rows: rows.count,
            ..Terms::default()
        };
        for member in members {
            let scores = rows.scores(shape, member)?;
            let oddness = (0..rows.count).map(|row| scores.nll[row] + scores.kl[row] / 2.0);
            terms.oddness.push(oddness.collect());
            let head = |head| (0..rows.count).map(move |row| row * rows.heads + head);
            let heads = 0..rows.heads;
            let heads = heads.map(|index| head(index).map(|at| scores.head_nll[at]).collect());
            terms.heads.push(heads.collect());
            let mean = |of: &[f32]| {
                of[..rows.count]
                    .iter()
                    .map(|&term| f64::from(term))
                    .sum::<f64>()
                    / members.len() as f64
            };
            terms.nll += mean(&scores.nll);
            terms.kl += mean(&scores.kl);
            terms.squared_error += mean(&scores.squared_error);
        }
        Ok(terms)
    }

    pub(super) fn append(&mut self, other: Terms) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        for (all, more) in self.oddness.iter_mut().zip(other.oddness) {
            all.extend(more);
        }
        for (all, more) in self
            .heads
            .iter_mut()
            .flatten()
            .zip(other.heads.into_iter().flatten())
        {
            all.extend(more);
        }
        self.rows += other.rows;
        self.nll += other.nll;
        self.kl += other.kl;
        self.squared_error += other.squared_error;
    }

    pub(super) fn held_out(&self) -> HeldOut {
        let rows = self.rows as f64;
        HeldOut {
            rows: self.rows,
            elbo: -(self.nll + self.kl) / rows,
            reconstruction_log_likelihood: -self.nll / rows,
            kl: self.kl / rows,
            reconstruction_error: self.squared_error / rows,
        }
    }
}
