//! ln p(x) by importance sampling, the measure by which papers compare networks.

use std::num::NonZeroUsize;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::cells::total;
use super::layout::pack;
use super::score::{BLOCK, Scorer};
use super::scores::{Scores, Scratch};
use crate::vae::rows::{Rows, RowsError};

impl Scorer {
    /// ln p(x) of the present cells by row, in nats: ln of the mean of p(x|z) p(z) / q(z|x) over
    /// `samples` codes drawn from the encoder's posterior q (Burda, Grosse and Salakhutdinov 2015,
    /// "Importance Weighted Autoencoders", equation 8). With one sample it is the evidence lower
    /// bound; it rises to ln p(x) with the samples. p(x|z) is the likelihood that scoring has, with
    /// the floors of variances and class probabilities in it.
    ///
    /// Memory grows with the rows, not with the samples. `scores` becomes what [`Scorer::score`]
    /// says of the rows.
    ///
    /// # Errors
    /// The rows were made for another shape.
    pub fn log_likelihood(
        &self,
        rows: Rows<'_>,
        samples: NonZeroUsize,
        random: &mut impl Rng,
        scores: &mut Scores,
    ) -> Result<Vec<f64>, RowsError> {
        self.score(rows, scores)?;
        let Scores {
            code,
            code_variance,
            scratch,
            ..
        } = scores;
        scratch.fit(BLOCK, &self.strides());
        let latent = self.shape.latent;
        let posteriors = code
            .chunks_exact(latent)
            .zip(code_variance.chunks_exact(latent));
        let found = posteriors.enumerate().map(|(row, (mean, variance))| {
            self.repeat(rows, row, scratch);
            let posterior = Posterior::new(mean, variance);
            self.weigh(&posterior, samples.get(), random, scratch)
        });
        Ok(found.collect())
    }

    /// Packs one row into every place of a block.
    fn repeat(&self, rows: Rows<'_>, row: usize, scratch: &mut Scratch) {
        let (width, heads) = (self.shape.width(), self.shape.heads.len());
        let strides = self.strides();
        let values = &rows.values()[row * width..][..width];
        let present = &rows.present()[row * heads..][..heads];
        for place in scratch.values.chunks_exact_mut(strides.columns) {
            pack(&self.layout.column_runs, values, place);
        }
        for place in scratch.present.chunks_exact_mut(strides.cells) {
            pack(&self.layout.head_runs, present, place);
        }
    }

    /// The logarithm of the mean weight of `samples` codes for the row in `scratch`.
    fn weigh(
        &self,
        posterior: &Posterior<'_>,
        samples: usize,
        random: &mut impl Rng,
        scratch: &mut Scratch,
    ) -> f64 {
        let strides = self.strides();
        let mut mean = LogMean::default();
        let mut ratios = [0.0; BLOCK];
        for first in (0..samples).step_by(BLOCK) {
            let count = BLOCK.min(samples - first);
            let codes = scratch.code.chunks_exact_mut(strides.code);
            for (ratio, code) in ratios[..count].iter_mut().zip(codes) {
                *ratio = posterior.draw(random, code);
            }
            self.expand(count, scratch);
            self.likelihood(count, scratch);
            let cells = scratch.surprise.chunks_exact(strides.cells);
            for (ratio, cells) in ratios[..count].iter().zip(cells) {
                mean.add(ratio - f64::from(total(cells)));
            }
        }
        mean.logarithm()
    }
}

/// What the encoder says of one row.
struct Posterior<'a> {
    mean: &'a [f32],
    deviation: Vec<f32>,
    /// Sum of the logarithms of the deviations.
    volume: f64,
}

impl<'a> Posterior<'a> {
    fn new(mean: &'a [f32], variance: &[f32]) -> Self {
        let logarithms = variance.iter().map(|&variance| f64::from(variance).ln());
        Posterior {
            mean,
            deviation: variance.iter().map(|variance| variance.sqrt()).collect(),
            volume: 0.5 * logarithms.sum::<f64>(),
        }
    }

    /// Writes a draw to the front of `code`, and says ln p(z) - ln q(z|x) of it.
    fn draw(&self, random: &mut impl Rng, code: &mut [f32]) -> f64 {
        let mut excess = 0.0;
        for ((z, mean), deviation) in code.iter_mut().zip(self.mean).zip(&self.deviation) {
            let noise: f32 = StandardNormal.sample(random);
            *z = mean + deviation * noise;
            excess += noise * noise - *z * *z;
        }
        0.5 * f64::from(excess) + self.volume
    }
}

/// The logarithm of a mean of numbers that come as logarithms, one by one.
#[derive(Debug, Default)]
struct LogMean {
    most: f64,
    /// In units of e^most.
    sum: f64,
    count: usize,
}

impl LogMean {
    fn add(&mut self, logarithm: f64) {
        if self.count == 0 {
            (self.most, self.sum) = (logarithm, 1.0);
        } else if logarithm > self.most {
            self.sum = self.sum * (self.most - logarithm).exp() + 1.0;
            self.most = logarithm;
        } else {
            self.sum += (logarithm - self.most).exp();
        }
        self.count += 1;
    }

    fn logarithm(&self) -> f64 {
        self.most + (self.sum / self.count as f64).ln()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mean_of_logarithms_is_that_of_the_numbers_in_any_order_and_at_any_height(
            numbers in proptest::collection::vec(-30.0..30.0f64, 1..40), height in -1e3..1e3f64,
        ) {
            let mut mean = LogMean::default();
            numbers.iter().for_each(|number| mean.add(number + height));
            let plain = numbers.iter().map(|number| number.exp()).sum::<f64>() / numbers.len() as f64;
            prop_assert!((mean.logarithm() - height - plain.ln()).abs() < 1e-9);
        }
    }
}
