//! Rows in, verdicts out: the arithmetic between a decoded record and its disposition.

use std::sync::Arc;

use super::explanation::explain;
use super::{Calibration, Fitted, Model, Policy, Reason, mean_score};
use crate::vae::{Rows, RowsError, Scorer, Scores, WeightError};

/// Scores rows of cells with a model, and judges them by a policy. One a thread; its buffers grow
/// to the largest batch once.
pub struct Detector {
    model: Arc<Model>,
    policy: Arc<Policy>,
    networks: Vec<Scorer>,
    outputs: Vec<Scores>,
    width: usize,
    heads: usize,
    field_of_head: Vec<usize>,
    values: Vec<f32>,
    present: Vec<f32>,
    scored: Vec<Scored>,
    /// Whether some field's policy can mute a record.
    mutes: bool,
}

/// What a record gets, whatever becomes of it. Means over the members of the ensemble.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Mean of the standardised NLL of the row and of its code: 0 is about the median of held-out
    /// rows, 1 about their 0.9 quantile.
    pub score: f32,
    /// P(a normal record scores at least this), in (0, 1].
    pub p: f64,
    /// Sum of squared errors in scaled units.
    pub reconstruction_error: f32,
    /// log p(x | z) at z = the posterior mean, nats.
    pub log_likelihood: f32,
    /// KL(q(z | x) || p(z)), nats.
    pub kl: f32,
}

impl Scored {
    /// The evidence lower bound, evaluated at the posterior mean instead of sampled, nats.
    pub fn elbo(&self) -> f32 {
        self.log_likelihood - self.kl
    }

    /// -log10 p.
    pub fn severity(&self) -> f64 {
        -self.p.log10()
    }
}

/// What becomes of a scored record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Normal,
    /// Odd, but only in fields whose deviation the user does not care for.
    Muted,
    Outlier,
}

impl Detector {
    /// `policy` has one entry for each field of the model's encoding.
    ///
    /// # Errors
    /// When a network's weights do not have the model's shape.
    pub fn new(model: Arc<Model>, policy: Arc<Policy>) -> Result<Detector, WeightError> {
        let heads = model.encoding.heads().len();
        Ok(Detector {
            networks: model
                .members
                .iter()
                .map(|fitted| {
                    Scorer::new(&model.shape, &fitted.member)?.with_mixture(&fitted.mixture)
                })
                .collect::<Result<_, _>>()?,
            outputs: model.members.iter().map(|_| Scores::default()).collect(),
            width: model.encoding.width(),
            heads,
            field_of_head: model.encoding.field_of_head(),
            values: Vec::new(),
            present: Vec::new(),
            scored: Vec::new(),
            mutes: policy.fields.iter().any(|field| !field.is_open()),
            model,
            policy,
        })
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What member `member`, counted from 0, said of the rows of the last call of
    /// [`Self::score`], their codes among it.
    pub fn output(&self, member: usize) -> Option<&Scores> {
        self.outputs.get(member)
    }

    /// Scores the rows of `cells` (rows x fields, row-major). A row's bits do not depend on the
    /// rows around it.
    ///
    /// # Errors
    /// When `cells` are not whole rows of the model's fields.
    pub fn score(&mut self, cells: &[f64]) -> Result<&[Scored], RowsError> {
        let fields = self.model.encoding.fields.len();
        let rows = cells.len() / fields;
        self.values.resize(rows * self.width, 0.0);
        self.present.resize(rows * self.heads, 0.0);
        for (row, cells) in cells.chunks_exact(fields).enumerate() {
            self.model.encoding.encode(
                cells,
                &mut self.values[row * self.width..][..self.width],
                &mut self.present[row * self.heads..][..self.heads],
            );
        }
        let input = Rows::new(&self.model.shape, &self.values, &self.present)?;
        for (network, output) in self.networks.iter().zip(&mut self.outputs) {
            network.score(input, output)?;
        }
        self.scored.clear();
        for row in 0..rows {
            let scored = combine(
                &self.model.members,
                &self.outputs,
                row,
                &self.model.calibration,
            );
            self.scored.push(scored);
        }
        Ok(&self.scored)
    }

    /// What the last call of [`Self::score`] returned.
    pub fn scored(&self) -> &[Scored] {
        &self.scored
    }

    /// How odd row `row` of the last call of [`Self::score`] is to each network alone, on the scale
    /// of [`Scored::score`], which is the mean of these.
    pub fn member_scores(&self, row: usize) -> impl ExactSizeIterator<Item = f32> {
        let members = self.model.members.iter().zip(&self.outputs);
        members.map(move |(fitted, output)| fitted.score(output.nll[row], output.code_nll[row]))
    }

    /// The mean code that network `member` gives to row `row` of the last call of [`Self::score`].
    pub fn code(&self, member: usize, row: usize) -> &[f32] {
        let latent = self.model.shape.latent;
        &self.outputs[member].code[row * latent..][..latent]
    }

    /// The verdict on row `row` of the last call of [`Self::score`], whose cells are `cells`, by
    /// the policy's own threshold.
    pub fn verdict(&self, row: usize, cells: &[f64]) -> Verdict {
        self.verdict_at(self.policy.threshold.p, row, cells)
    }

    /// The verdict by another threshold on p.
    pub fn verdict_at(&self, threshold: f64, row: usize, cells: &[f64]) -> Verdict {
        let scored = &self.scored[row];
        if scored.p > threshold {
            return Verdict::Normal;
        }
        if !self.mutes {
            return Verdict::Outlier;
        }
        // Without what the fields contribute whose deviation does not count, is it still odd?
        let ignored: f32 = self
            .reasons(row, cells)
            .iter()
            .filter(|reason| !reason.counts && reason.contribution > 0.0)
            .map(|reason| reason.contribution)
            .sum();
        let remaining = self.model.calibration.p_value(scored.score - ignored);
        if remaining > threshold {
            Verdict::Muted
        } else {
            Verdict::Outlier
        }
    }

    /// Why row `row` of the last call of [`Self::score`] is odd: one reason for each field that
    /// the network sees, the largest share first.
    pub fn reasons(&self, row: usize, cells: &[f64]) -> Vec<Reason> {
        let heads = row * self.heads..(row + 1) * self.heads;
        let mut contributions = vec![0.0; self.model.encoding.fields.len()];
        for (fitted, output) in self.model.members.iter().zip(&self.outputs) {
            let terms = output.head_nll[heads.clone()]
                .iter()
                .zip(&fitted.head_medians);
            let there = &self.present[heads.clone()];
            for (head, (nll, median)) in terms.enumerate() {
                if there[head] > 0.0 {
                    contributions[self.field_of_head[head]] +=
                        0.5 * (nll - median) / fitted.nll.spread / self.outputs.len() as f32;
                }
            }
        }
        let columns = row * self.width..(row + 1) * self.width;
        let expected = mean_columns(&self.outputs, |output| &output.expected[columns.clone()]);
        let variance = mean_columns(&self.outputs, |output| &output.variance[columns.clone()]);
        explain(
            &self.model.encoding,
            &self.policy,
            cells,
            &contributions,
            &expected,
            &variance,
        )
    }
}

fn combine(members: &[Fitted], outputs: &[Scores], row: usize, known: &Calibration) -> Scored {
    let share = 1.0 / members.len() as f32;
    let mut mean = Scored {
        score: mean_score(
            members
                .iter()
                .zip(outputs)
                .map(|(fitted, output)| fitted.score(output.nll[row], output.code_nll[row])),
        ),
        p: 1.0,
        reconstruction_error: 0.0,
        log_likelihood: 0.0,
        kl: 0.0,
    };
    for output in outputs {
        let (nll, kl) = (output.nll[row], output.kl[row]);
        mean.reconstruction_error += output.squared_error[row] * share;
        mean.log_likelihood -= nll * share;
        mean.kl += kl * share;
    }
    mean.p = known.p_value(mean.score);
    mean
}

fn mean_columns<'a>(outputs: &'a [Scores], of: impl Fn(&'a Scores) -> &'a [f32]) -> Vec<f32> {
    let mut mean = vec![0.0; outputs.first().map_or(0, |output| of(output).len())];
    for output in outputs {
        for (sum, value) in mean.iter_mut().zip(of(output)) {
            *sum += value / outputs.len() as f32;
        }
    }
    mean
}
