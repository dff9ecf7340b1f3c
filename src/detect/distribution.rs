//! The distribution of one field given all others, by quadrature over the values that were tried.

/// What is expected of a field given all others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Expectation {
    /// In the field's own units. The deviation holds that of each member and that between them.
    Number { mean: f64, deviation: f64 },
    /// The likeliest cell.
    Class { cell: f64, probability: f32 },
    /// Times have no range in their own units.
    Time,
}

/// A value that was tried in the place of a cell.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub cell: f64,
    pub score: f32,
    /// One a member.
    pub energies: Vec<f32>,
}

impl Trial {
    /// Mean over members.
    pub fn energy(&self) -> f32 {
        self.energies.iter().sum::<f32>() / self.energies.len().max(1) as f32
    }
}

/// The distribution of a field given all others: its trials in order, and by member the weight of each, sum 1.
pub(super) struct Distribution<'a> {
    trials: Vec<&'a Trial>,
    weights: Vec<Vec<f64>>,
    /// Mean over members of -ln of the sum before it was made 1, nats.
    pub free_energy: f64,
}

impl<'a> Distribution<'a> {
    /// Of trials in any order. `unit`: of numbers, one of the network's units in their own, because the energies are in
    /// those; they are summed by the trapezoid rule, and classes as they are.
    pub fn of(mut trials: Vec<&'a Trial>, unit: Option<f64>) -> Distribution<'a> {
        trials.sort_by(|a, b| a.cell.total_cmp(&b.cell));
        let last = trials.len().saturating_sub(1);
        let width = |at: usize| {
            let span = trials[(at + 1).min(last)].cell - trials[at.saturating_sub(1)].cell;
            unit.map_or(1.0, |unit| span / 2.0 / unit)
        };
        let widths: Vec<f64> = (0..trials.len()).map(width).collect();
        let members = trials.first().map_or(0, |trial| trial.energies.len());
        let mut free_energy = 0.0;
        let weights = (0..members).map(|member| {
            let energy = |trial: &Trial| f64::from(trial.energies[member]);
            let least = trials
                .iter()
                .map(|trial| energy(trial))
                .fold(f64::INFINITY, f64::min);
            let weigh = |(trial, width): (&&Trial, &f64)| width * (least - energy(trial)).exp();
            let mut weights: Vec<f64> = trials.iter().zip(&widths).map(weigh).collect();
            let total = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
            weights.iter_mut().for_each(|weight| *weight /= total);
            free_energy += (least - total.ln()) / members as f64;
            weights
        });
        let weights = weights.collect();
        Distribution {
            trials,
            weights,
            free_energy,
        }
    }

    /// The mean of what `of` says of a trial and a member, over both.
    pub fn mean(&self, of: impl Fn(&Trial, usize) -> f64) -> f64 {
        let mut mean = 0.0;
        for (member, weights) in self.weights.iter().enumerate() {
            for (trial, weight) in self.trials.iter().zip(weights) {
                mean += weight * of(trial, member) / self.weights.len() as f64;
            }
        }
        mean
    }

    /// The members' expectations, each weighted by its precision: a member with a large floor is right about the mean,
    /// and says nothing of the spread. `near`: a value close to the mean, so that the squares of large numbers do
    /// not cancel.
    pub fn number(&self, near: f64) -> Expectation {
        let (mut precisions, mut mean, mut square) = (0.0, 0.0, 0.0);
        for weights in &self.weights {
            let (mut first, mut second) = (0.0, 0.0);
            for (trial, weight) in self.trials.iter().zip(weights) {
                first += weight * (trial.cell - near);
                second += weight * (trial.cell - near).powi(2);
            }
            let precision = 1.0 / (second - first * first).max(1e-12 * first * first + 1e-300);
            precisions += precision;
            mean += precision * first;
            square += precision * second;
        }
        let (mean, square) = (mean / precisions, square / precisions);
        Expectation::Number {
            mean: near + mean,
            deviation: (square - mean * mean).max(0.0).sqrt(),
        }
    }

    /// The likeliest of all classes.
    pub fn class(&self) -> Option<Expectation> {
        let members = self.weights.len() as f64;
        let probability =
            |at: usize| self.weights.iter().map(|weights| weights[at]).sum::<f64>() / members;
        let likeliest =
            (0..self.trials.len()).max_by(|&a, &b| probability(a).total_cmp(&probability(b)))?;
        Some(Expectation::Class {
            cell: self.trials[likeliest].cell,
            probability: probability(likeliest) as f32,
        })
    }
}
