//! Robust Mahalanobis distance: the minimum covariance determinant.

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::moments::{Metric, Moments};
use super::{Baseline, BaselineError, Kind, Matrix, capped};

/// Random starts, and how many of them are followed to the end.
const STARTS: usize = 30;
const FOLLOWED: usize = 10;

/// C-steps of a start before the best are chosen.
const FIRST_STEPS: usize = 2;

/// C-steps at most; ten are usual.
const MOST_STEPS: usize = 100;

/// Starts run on a random sample of this size where there are more rows.
const SAMPLE: usize = 1_500;

/// A determinant that falls by no more than this factor (its logarithm) has settled.
const SETTLED: f64 = 1e-9;

/// Standard normal quantiles of 0.5 and 0.975.
const MIDDLE: f64 = 0.0;
const UPPER: f64 = 1.959_963_985;

/// The squared Mahalanobis distance by the mean and covariance of the half of the rows whose
/// covariance has the smallest determinant (Rousseeuw 1985), found by FastMCD (Rousseeuw and Van
/// Driessen 1999, Technometrics 41): half is h = (n + p + 1) / 2; a C-step takes the h rows that
/// are nearest by the present mean and covariance, which never raises the determinant; 30 starts of
/// p + 1 random rows make two C-steps each, and the best ten go on until they settle. The distances
/// are then scaled so that their median is that of a chi-square distribution, rows beyond its 0.975
/// quantile are left out, and the rest give the final mean and covariance.
///
/// Unlike in the paper, with more than 1,500 rows the starts are followed on a random sample of that
/// size (the paper nests five samples of 300 in it), and the best goes on over all rows.
#[derive(Debug, Clone)]
pub struct Mcd {
    metric: Metric,
    rows: usize,
}

impl Mcd {
    pub(super) fn fit(rows: &Matrix, seed: u64) -> Result<Mcd, BaselineError> {
        let rows = capped(rows, seed);
        let everything = Moments::of(rows.iter(), rows.width());
        let ridge = everything.ridge();
        let found = smallest(&rows, ridge, seed).and_then(|half| reweighted(&rows, &half, ridge));
        Ok(Mcd {
            metric: found.ok_or(BaselineError::Singular)?,
            rows: rows.rows(),
        })
    }
}

impl Baseline for Mcd {
    fn name(&self) -> &'static str {
        Kind::Mcd.name()
    }

    fn scores(&self, rows: &Matrix) -> Vec<f32> {
        let distances = self.metric.squared_distances(rows).into_iter();
        distances.map(|distance| distance as f32).collect()
    }

    fn fitted_rows(&self) -> usize {
        self.rows
    }
}

/// The rows among which the half with the smallest determinant is sought.
struct Search<'a> {
    rows: &'a Matrix,
    half: usize,
    ridge: f64,
}

impl Search<'_> {
    fn new(rows: &Matrix, ridge: f64) -> Search<'_> {
        let half = (rows.rows() + rows.width()).div_ceil(2);
        Search {
            rows,
            half: half.min(rows.rows()),
            ridge,
        }
    }

    fn metric(&self, chosen: &[usize]) -> Option<Metric> {
        let chosen = chosen.iter().map(|&index| self.rows.row(index));
        Metric::new(Moments::of(chosen, self.rows.width()), self.ridge)
    }

    /// From a few random rows, a few steps on.
    fn start(&self, random: &mut ChaCha8Rng) -> Option<Metric> {
        let few = (self.rows.width() + 1).min(self.rows.rows());
        let chosen = index::sample(random, self.rows.rows(), few).into_vec();
        let start = self.metric(&chosen);
        (0..FIRST_STEPS).try_fold(start?, |metric, _| self.step(&metric))
    }

    /// A C-step: the metric of the half of the rows that is nearest by `metric`.
    fn step(&self, metric: &Metric) -> Option<Metric> {
        let distances = metric.squared_distances(self.rows);
        let mut order: Vec<usize> = (0..self.rows.rows()).collect();
        order.select_nth_unstable_by(self.half - 1, |&a, &b| {
            distances[a].total_cmp(&distances[b])
        });
        self.metric(&order[..self.half])
    }

    /// C-steps until the determinant has settled.
    fn settle(&self, start: &Metric) -> Option<Metric> {
        let mut metric = self.step(start)?;
        for _ in 1..MOST_STEPS {
            let next = self.step(&metric)?;
            let settled = next.log_determinant >= metric.log_determinant - SETTLED;
            metric = next;
            if settled {
                break;
            }
        }
        Some(metric)
    }
}

/// The metric of the half of `rows` whose covariance has the smallest determinant that was found.
fn smallest(rows: &Matrix, ridge: f64, seed: u64) -> Option<Metric> {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let size = rows.rows().min(SAMPLE);
    let sample = rows.select(&index::sample(random, rows.rows(), size).into_vec());
    let search = Search::new(&sample, ridge);
    let by_determinant = |a: &Metric, b: &Metric| a.log_determinant.total_cmp(&b.log_determinant);
    let mut starts: Vec<Metric> = (0..STARTS).filter_map(|_| search.start(random)).collect();
    starts.sort_by(by_determinant);
    let followed = starts.iter().take(FOLLOWED);
    let best = followed
        .filter_map(|start| search.settle(start))
        .min_by(by_determinant)?;
    Search::new(rows, ridge).settle(&best)
}

/// The metric of the rows that are not beyond the 0.975 quantile by `half`.
fn reweighted(rows: &Matrix, half: &Metric, ridge: f64) -> Option<Metric> {
    let distances = half.squared_distances(rows);
    let mut sorted = distances.clone();
    let (_, &mut median, _) = sorted.select_nth_unstable_by(rows.rows() / 2, f64::total_cmp);
    let scale = median / chi_square_quantile(rows.width(), MIDDLE);
    let most = scale * chi_square_quantile(rows.width(), UPPER);
    let kept = rows.iter().zip(&distances);
    let kept = kept
        .filter(|(_, distance)| **distance <= most)
        .map(|(row, _)| row);
    Metric::new(Moments::of(kept, rows.width()), ridge)
}

/// The quantile of a chi-square distribution where the standard normal has `normal`, by Wilson and
/// Hilferty (1931): within 1 % from 3 degrees of freedom on, 4 % with 1.
fn chi_square_quantile(degrees: usize, normal: f64) -> f64 {
    let degrees = degrees as f64;
    let variance = 2.0 / (9.0 * degrees);
    degrees * (1.0 - variance + normal * variance.sqrt()).powi(3)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::evaluate::baselines::reference::{self, assert_close};

    #[test]
    fn distances_agree_with_scikit_learn() {
        // scikit-learn 1.9.1, MinCovDet(random_state=0).mahalanobis, times the factor for
        // consistency after reweighting, which its later versions apply to the covariance.
        let expected = [
            6.809_945,
            2.749_171,
            3.163_536,
            3.432_873,
            4.261_602,
            5.203_039,
            1.134_807,
            1.184_53,
            4.095_856,
            257.876_53,
            2.398_619,
            0.972_376,
            0.657_459,
            4.817_68,
            2.140_055,
            1.046_133,
            2.261_878,
            1.582_32,
            226.448_04,
            2.604_144,
            1.145_58,
            4.162_155,
            3.959_116,
            5.0,
            4.520_166,
            2.696_961,
            926.265_44,
            400.342_43,
            963.443_57,
            1_048.775_4,
        ];
        let rows = reference::rows();
        for seed in 0..5 {
            assert_close(
                &Mcd::fit(&rows, seed).unwrap().scores(&rows),
                &expected,
                1e-3,
            );
        }
    }

    #[test]
    fn a_third_of_far_rows_does_not_move_it_where_plain_moments_move() {
        let values = |far: usize| {
            let mut random = ChaCha8Rng::seed_from_u64(5);
            let cell = |index: usize| -> f32 {
                let noise: f32 = StandardNormal.sample(&mut random);
                noise + if index < 2 * far { 8.0 } else { 0.0 }
            };
            Matrix::new((0..6_000).map(cell).collect(), 2).unwrap()
        };
        let (clean, dirty) = (values(0), values(1_000));
        let centre = Matrix::new(vec![0.0, 0.0, 8.0, 8.0], 2).unwrap();
        let robust = Mcd::fit(&dirty, 1).unwrap().scores(&centre);
        let alone = Mcd::fit(&clean, 1).unwrap().scores(&centre);
        assert!(
            robust[0] < 0.1 && (robust[1] / alone[1] - 1.0).abs() < 0.2,
            "{robust:?} {alone:?}"
        );
        let plain = Metric::new(Moments::of(dirty.iter(), 2), 0.0).unwrap();
        assert!(plain.squared_distances(&centre)[1] < 10.0);
    }

    #[test]
    fn chi_square_quantiles_are_close() {
        // scipy 1.17.1, stats.chi2.ppf.
        for (degrees, normal, expected) in [
            (1, MIDDLE, 0.454_936),
            (1, UPPER, 5.023_886),
            (3, MIDDLE, 2.365_974),
            (3, UPPER, 9.348_404),
            (30, MIDDLE, 29.336_032),
            (30, UPPER, 46.979_242),
        ] {
            let tolerance = if degrees == 1 { 0.04 } else { 0.01 };
            let found = chi_square_quantile(degrees, normal);
            assert!(
                (found / expected - 1.0).abs() < tolerance,
                "{found} against {expected}"
            );
        }
    }
}
