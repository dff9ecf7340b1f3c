//! The likelihood of each cell of a block, and the divergence of its codes.
//!
//! The formulas are those of `likelihood.rs`, less the contamination: scoring wants to see it.

use pulp::{Simd, WithSimd};

use super::dense::LINE;
use super::layout::{Classes, Layout};
use super::math::{exp, ln, sigmoid, softplus};
use crate::vae::likelihood::SPREAD_AT_ONE;
use crate::vae::network::LOG_VARIANCE;
use crate::vae::shape::Head;

/// ln(2 pi).
const LN_TAU: f32 = 1.837_877_1;

/// Computes surprise, squared error and variance of `rows` packed rows. `output` holds the means
/// (or logits) and then the spreads; the logits become probabilities.
pub(super) struct Cells<'a> {
    pub layout: &'a Layout,
    pub rows: usize,
    /// Least variance of a Gaussian head.
    pub floor: f32,
    pub values: &'a [f32],
    pub present: &'a [f32],
    pub output: &'a mut [f32],
    pub variance: &'a mut [f32],
    pub surprise: &'a mut [f32],
    pub squared: &'a mut [f32],
}

/// The columns of one row, or of one kind in it.
struct Kind<'a> {
    values: &'a [f32],
    present: &'a [f32],
    mean: &'a mut [f32],
    variance: &'a mut [f32],
    surprise: &'a mut [f32],
    squared: &'a mut [f32],
}

impl WithSimd for Cells<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Layout {
            gaussians,
            bernoullis,
            columns,
            cells,
            ref classes,
            ..
        } = *self.layout;
        for row in 0..self.rows {
            let output = &mut self.output[row * (columns + gaussians)..][..columns + gaussians];
            let (mean, spread) = output.split_at_mut(columns);
            let mut kind = Kind {
                values: &self.values[row * columns..][..columns],
                present: &self.present[row * cells..][..cells],
                mean,
                variance: &mut self.variance[row * columns..][..columns],
                surprise: &mut self.surprise[row * cells..][..cells],
                squared: &mut self.squared[row * cells..][..cells],
            };
            gaussian(simd, kind.part(0, gaussians), spread, self.floor);
            if bernoullis > 0 {
                bernoulli(simd, kind.part(gaussians, bernoullis));
            }
            if !classes.is_empty() {
                categorical(simd, kind, gaussians + bernoullis, classes);
            }
        }
    }
}

impl Kind<'_> {
    #[inline(always)]
    fn part(&mut self, from: usize, len: usize) -> Kind<'_> {
        Kind {
            values: &self.values[from..][..len],
            present: &self.present[from..][..len],
            mean: &mut self.mean[from..][..len],
            variance: &mut self.variance[from..][..len],
            surprise: &mut self.surprise[from..][..len],
            squared: &mut self.squared[from..][..len],
        }
    }
}

#[inline(always)]
fn gaussian<S: Simd>(simd: S, kind: Kind<'_>, spread: &[f32], floor: f32) {
    let (values, _) = S::as_simd_f32s(kind.values);
    let (present, _) = S::as_simd_f32s(kind.present);
    let (mean, _) = S::as_simd_f32s(kind.mean);
    let (spread, _) = S::as_simd_f32s(spread);
    let (variance, _) = S::as_mut_simd_f32s(kind.variance);
    let (surprise, _) = S::as_mut_simd_f32s(kind.surprise);
    let (squared, _) = S::as_mut_simd_f32s(kind.squared);
    let offset = simd.splat_f32s(SPREAD_AT_ONE as f32);
    for i in 0..values.len() {
        let error = simd.sub_f32s(values[i], mean[i]);
        let square = simd.mul_f32s(error, error);
        let grown = softplus(simd, simd.add_f32s(spread[i], offset));
        let v = simd.add_f32s(grown, simd.splat_f32s(floor));
        let constant = simd.add_f32s(ln(simd, v), simd.splat_f32s(LN_TAU));
        let twice = simd.add_f32s(simd.div_f32s(square, v), constant);
        variance[i] = v;
        surprise[i] = simd.mul_f32s(simd.mul_f32s(twice, simd.splat_f32s(0.5)), present[i]);
        squared[i] = simd.mul_f32s(square, present[i]);
    }
}

#[inline(always)]
fn bernoulli<S: Simd>(simd: S, kind: Kind<'_>) {
    let floor = Head::Bernoulli.probability_floor() as f32;
    let (values, _) = S::as_simd_f32s(kind.values);
    let (present, _) = S::as_simd_f32s(kind.present);
    let (mean, _) = S::as_mut_simd_f32s(kind.mean);
    let (variance, _) = S::as_mut_simd_f32s(kind.variance);
    let (surprise, _) = S::as_mut_simd_f32s(kind.surprise);
    let (squared, _) = S::as_mut_simd_f32s(kind.squared);
    let (least, room) = (simd.splat_f32s(floor), simd.splat_f32s(1.0 - 2.0 * floor));
    let unit = simd.splat_f32s(1.0);
    for i in 0..values.len() {
        let one = simd.mul_add_e_f32s(sigmoid(simd, mean[i]), room, least);
        let zero = simd.sub_f32s(unit, one);
        let likelihood = simd.mul_add_e_f32s(values[i], simd.sub_f32s(one, zero), zero);
        let surprised = simd.neg_f32s(ln(simd, simd.max_f32s(likelihood, least)));
        let error = simd.sub_f32s(values[i], one);
        mean[i] = one;
        variance[i] = simd.mul_f32s(one, zero);
        surprise[i] = simd.mul_f32s(surprised, present[i]);
        squared[i] = simd.mul_f32s(simd.mul_f32s(error, error), present[i]);
    }
}

/// The kind holds the whole row here; the classes start at `from`.
#[inline(always)]
fn categorical<S: Simd>(simd: S, kind: Kind<'_>, from: usize, classes: &[Classes]) {
    let Kind {
        values,
        present,
        mean,
        variance,
        surprise,
        squared,
    } = kind;
    for Classes { first, count, .. } in classes {
        let logits = &mut mean[*first..][..*count];
        let most = logits.iter().copied().fold(f32::MIN, f32::max);
        logits.iter_mut().for_each(|logit| *logit -= most);
    }
    for weight in S::as_mut_simd_f32s(&mut mean[from..]).0 {
        *weight = exp(simd, *weight);
    }
    for Classes {
        first,
        count,
        floor,
        ..
    } in classes
    {
        let weights = &mut mean[*first..][..*count];
        let share = (1.0 - floor * *count as f32) / weights.iter().sum::<f32>();
        weights
            .iter_mut()
            .for_each(|weight| *weight = *weight * share + floor);
    }
    let (probability, _) = S::as_simd_f32s(&mean[from..]);
    let (logarithm, _) = S::as_mut_simd_f32s(&mut variance[from..]);
    for i in 0..probability.len() {
        logarithm[i] = ln(simd, probability[i]);
    }
    for Classes {
        cell, first, count, ..
    } in classes
    {
        let (mut surprised, mut brier) = (0.0, 0.0);
        for column in *first..first + count {
            let (value, p) = (values[column], mean[column]);
            surprised -= value * variance[column];
            brier += (value - p) * (value - p);
            variance[column] = p * (1.0 - p);
        }
        surprise[*cell] = surprised * present[*cell];
        squared[*cell] = brier * present[*cell];
    }
}

/// Kullback-Leibler divergence of `rows` codes from the standard normal prior, in nats. A code is
/// its means, then the logarithms of its variances, padded to `stride`.
pub(super) struct Divergence<'a> {
    pub rows: usize,
    pub latent: usize,
    pub stride: usize,
    pub code: &'a [f32],
    /// Overwritten.
    pub variance: &'a mut [f32],
    pub divergence: &'a mut [f32],
}

impl WithSimd for Divergence<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let used = self.rows * self.stride;
        let (least, most) = LOG_VARIANCE;
        let (from, _) = S::as_simd_f32s(&self.code[..used]);
        let (to, _) = S::as_mut_simd_f32s(&mut self.variance[..used]);
        for i in 0..from.len() {
            let above = simd.max_f32s(from[i], simd.splat_f32s(least));
            to[i] = exp(simd, simd.min_f32s(above, simd.splat_f32s(most)));
        }
        for (row, divergence) in self.divergence[..self.rows].iter_mut().enumerate() {
            let code = &self.code[row * self.stride..][..2 * self.latent];
            let (mean, log_variance) = code.split_at(self.latent);
            let variance = &self.variance[row * self.stride + self.latent..][..self.latent];
            let mut sum = 0.0;
            for i in 0..self.latent {
                let log_variance = log_variance[i].clamp(least, most);
                sum += mean[i] * mean[i] + (variance[i] - 1.0 - log_variance);
            }
            *divergence = 0.5 * sum;
        }
    }
}

/// The sum of a packed row of cells: sixteen partial sums, then a tree, the same on every machine.
pub(super) fn total(cells: &[f32]) -> f32 {
    let mut sums = [0.0; LINE];
    for line in cells.chunks_exact(LINE) {
        for (sum, cell) in sums.iter_mut().zip(line) {
            *sum += cell;
        }
    }
    let mut half = LINE / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}
