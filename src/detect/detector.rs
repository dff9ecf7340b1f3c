//! Rows in, verdicts out: the arithmetic between a decoded record and its disposition.

use std::ops::Range;
use std::sync::Arc;

use super::attribution::{Conditional, Marks, conditionals};
use super::explanation::explain;
use super::{Calibration, Explanation, Fitted, Model, Policy, mean_score};
use crate::features::Part;
use crate::vae::{Device, Networks, Rows, RowsError, Scores, WeightError};

/// Scores rows of cells with a model, and judges them by a policy. One a thread; its buffers grow
/// to the largest batch once.
pub struct Detector {
    model: Arc<Model>,
    policy: Arc<Policy>,
    networks: Networks,
    outputs: Vec<Scores>,
    width: usize,
    heads: usize,
    values: Vec<f32>,
    present: Vec<f32>,
    scored: Vec<Scored>,
    /// Whether some field's policy can mute a record.
    mutes: bool,
    aside: Aside,
}

/// How often the fields whose deviations do not count are put right, one after the other.
const ROUNDS_OF_MUTING: usize = 2;

/// Buffers for rows that are scored while the last batch is kept.
#[derive(Default)]
struct Aside {
    values: Vec<f32>,
    present: Vec<f32>,
    outputs: Vec<Scores>,
    scored: Vec<Scored>,
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
        Detector::on(&Device::cpu(), model, policy)
    }

    /// The same on another device. A GPU does not tell more of a row than [`Scored`] has: see
    /// [`Networks::score`].
    ///
    /// # Errors
    /// As [`Detector::new`].
    pub fn on(
        device: &Device,
        model: Arc<Model>,
        policy: Arc<Policy>,
    ) -> Result<Detector, WeightError> {
        let heads = model.encoding.heads().len();
        let members = model.members.iter();
        let networks: Vec<_> = members
            .map(|fitted| (&fitted.member, &fitted.mixture))
            .collect();
        Ok(Detector {
            networks: Networks::new(&model.shape, &networks, device)?,
            outputs: model.members.iter().map(|_| Scores::default()).collect(),
            width: model.encoding.width(),
            heads,
            values: Vec::new(),
            present: Vec::new(),
            scored: Vec::new(),
            mutes: policy.fields.iter().any(|field| !field.is_open()),
            aside: Aside {
                outputs: model.members.iter().map(|_| Scores::default()).collect(),
                ..Aside::default()
            },
            model,
            policy,
        })
    }

    /// The same on another device.
    ///
    /// # Errors
    /// As [`Detector::new`].
    pub fn moved(self, device: &Device) -> Result<Detector, WeightError> {
        Detector::on(device, self.model, self.policy)
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
        self.networks.score(input, &mut self.outputs)?;
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
    pub fn verdict(&mut self, row: usize, cells: &[f64]) -> Verdict {
        self.verdict_at(self.policy.threshold.p, row, cells)
    }

    /// The verdict by another threshold on p.
    pub fn verdict_at(&mut self, threshold: f64, row: usize, cells: &[f64]) -> Verdict {
        if self.scored[row].p > threshold {
            return Verdict::Normal;
        }
        if self.mutes && self.is_muted(threshold, cells) {
            return Verdict::Muted;
        }
        Verdict::Outlier
    }

    /// Why row `row` of the last call of [`Self::score`], whose cells are `cells`, is odd. It costs some hundred rows
    /// of scoring.
    pub fn explanation(&mut self, row: usize, cells: &[f64]) -> Explanation {
        let fields = 0..self.model.encoding.fields.len();
        let mut conditionals = self.conditionals(fields, cells);
        let energy = mean_score(self.outputs.iter().map(|output| energy(output, row)));
        let ordinary = self.model.members.iter();
        let ordinary =
            mean_score(ordinary.map(|fitted| fitted.nll.center + fitted.code_nll.center));
        let mut excess = energy - ordinary;
        let (values, present) = (
            &self.values[row * self.width..][..self.width],
            &self.present[row * self.heads..][..self.heads],
        );
        let linear = &self.model.linear;
        if let Some(opinion) = linear.opinion(&self.model.shape.heads, values, present) {
            opinion.join(&self.model.encoding, energy, &mut conditionals);
            excess = 0.5 * (excess + opinion.excess);
        }
        explain(
            &self.model.encoding,
            &self.policy,
            cells,
            &conditionals,
            energy,
            excess,
        )
    }

    /// Whether deviations that do not count make all the difference: whether a row that differs from this one by such
    /// deviations alone is normal. Fields are put right one after the other, each given the others; first in the row
    /// as it is, then with all of them at their means, because fields that are off together look right beside each
    /// other.
    fn is_muted(&mut self, threshold: f64, cells: &[f64]) -> bool {
        let (model, policy) = (Arc::clone(&self.model), Arc::clone(&self.policy));
        let mut at_means = cells.to_vec();
        let mut restricted = Vec::new();
        for (index, field) in model.encoding.fields.iter().enumerate() {
            let [Part::Scaled { mean, .. }] = &field.parts[..] else {
                continue;
            };
            if policy.fields[index].is_open() || cells[index].is_nan() {
                continue;
            }
            restricted.push(index);
            if !policy.fields[index].admits(cells[index] - mean) {
                at_means[index] = *mean;
            }
        }
        for mut row in [cells.to_vec(), at_means] {
            for &index in restricted
                .iter()
                .cycle()
                .take(ROUNDS_OF_MUTING * restricted.len())
            {
                for found in self.conditionals(index..index + 1, &row) {
                    if policy.fields[index].admits(cells[index] - found.replacement) {
                        continue;
                    }
                    row[index] = found.replacement;
                    if model.calibration.p_value(found.score) > threshold {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// What is expected of `fields` of the row with these cells, each given all others.
    fn conditionals(&mut self, fields: Range<usize>, cells: &[f64]) -> Vec<Conditional> {
        let model = Arc::clone(&self.model);
        let found = conditionals(&model.encoding, fields, cells, |rows, marks| {
            self.score_aside(rows, marks)
        });
        // Rows of the model's own fields are always whole.
        found.unwrap_or_default()
    }

    /// Scores the rows of `cells`, and keeps what the last call of [`Self::score`] returned.
    fn score_aside(&mut self, cells: &[f64], marks: &mut Marks) -> Result<(), RowsError> {
        self.swap_aside();
        let outcome = self.score(cells).map(<[Scored]>::len);
        self.swap_aside();
        let rows = outcome?;
        let Aside {
            outputs, scored, ..
        } = &self.aside;
        marks.scores.clear();
        marks
            .scores
            .extend(scored.iter().map(|scored| scored.score));
        marks.energies.clear();
        for row in 0..rows {
            let energies = outputs.iter().map(|output| energy(output, row));
            marks.energies.extend(energies);
        }
        Ok(())
    }

    fn swap_aside(&mut self) {
        let aside = &mut self.aside;
        std::mem::swap(&mut self.values, &mut aside.values);
        std::mem::swap(&mut self.present, &mut aside.present);
        std::mem::swap(&mut self.outputs, &mut aside.outputs);
        std::mem::swap(&mut self.scored, &mut aside.scored);
    }
}

/// -ln of the density of a row under one network, but for a constant, nats.
fn energy(output: &Scores, row: usize) -> f32 {
    output.nll[row] + output.code_nll[row]
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
