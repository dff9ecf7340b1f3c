//! Principal components: Hotelling's T squared within them, and the residual Q outside.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

use super::moments::{Moments, for_each_block};
use super::{Baseline, Kind, Matrix};

/// Share of the variance that the components explain.
const EXPLAINED: f64 = 0.9;

/// Least spread that a statistic is divided by: below is rounding.
const LEAST_SPREAD: f64 = 1e-9;

/// T squared (Hotelling 1947), the squared distance within the first components in units of their
/// variances, and Q (Jackson and Mudholkar 1979), the squared distance from the plane of these
/// components. Each is standardised by its median and 0.9 quantile on the training rows, so that
/// neither drowns the other; the score is their sum.
#[derive(Debug, Clone)]
pub struct Pca {
    mean: DVector<f64>,
    /// Components x columns, one unit vector a row; as few as explain 90 % of the variance.
    components: DMatrix<f64>,
    /// Of the components.
    variances: DVector<f64>,
    within: Standard,
    outside: Standard,
    rows: usize,
}

/// (value - median) / (0.9 quantile - median).
#[derive(Debug, Clone, Copy)]
struct Standard {
    median: f64,
    spread: f64,
}

impl Pca {
    pub(super) fn fit(rows: &Matrix) -> Pca {
        let Moments { mean, covariance } = Moments::of(rows.iter(), rows.width());
        let total = covariance.trace();
        let eigen = SymmetricEigen::new(covariance);
        let mut order: Vec<usize> = (0..rows.width()).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let mut explained = 0.0;
        order.retain(|&index| {
            let needed = explained < EXPLAINED * total;
            explained += eigen.eigenvalues[index];
            needed
        });
        let component = |row: usize, column: usize| eigen.eigenvectors[(column, order[row])];
        let mut fitted = Pca {
            components: DMatrix::from_fn(order.len(), rows.width(), component),
            variances: DVector::from_fn(order.len(), |row, _| eigen.eigenvalues[order[row]]),
            mean,
            within: Standard::NONE,
            outside: Standard::NONE,
            rows: rows.rows(),
        };
        let (within, outside) = fitted.statistics(rows).into_iter().unzip();
        fitted.within = Standard::of(within);
        fitted.outside = Standard::of(outside);
        fitted
    }

    /// T squared and Q of each row.
    fn statistics(&self, rows: &Matrix) -> Vec<(f64, f64)> {
        let mut statistics = Vec::with_capacity(rows.rows());
        for_each_block(rows.iter(), &self.mean, |centred| {
            let scores = &self.components * centred;
            let residuals = centred - self.components.tr_mul(&scores);
            for (scores, residual) in scores.column_iter().zip(residuals.column_iter()) {
                let terms = scores.iter().zip(&self.variances);
                let within = terms
                    .map(|(score, variance)| score * score / variance)
                    .sum();
                statistics.push((within, residual.norm_squared()));
            }
        });
        statistics
    }
}

impl Baseline for Pca {
    fn name(&self) -> &'static str {
        Kind::Pca.name()
    }

    fn scores(&self, rows: &Matrix) -> Vec<f32> {
        let statistics = self.statistics(rows).into_iter();
        statistics
            .map(|(within, outside)| {
                (self.within.apply(within) + self.outside.apply(outside)) as f32
            })
            .collect()
    }

    fn fitted_rows(&self) -> usize {
        self.rows
    }
}

impl Standard {
    const NONE: Standard = Standard {
        median: 0.0,
        spread: 1.0,
    };

    fn of(mut values: Vec<f64>) -> Standard {
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().saturating_sub(1) as f64;
        let quantile = |share: f64| values[(share * last).round() as usize];
        let (median, upper) = (quantile(0.5), quantile(0.9));
        Standard {
            median,
            spread: (upper - median).max(LEAST_SPREAD),
        }
    }

    fn apply(self, value: f64) -> f64 {
        (value - self.median) / self.spread
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::baselines::reference::{self, assert_close};

    #[test]
    fn components_and_scores_agree_with_scikit_learn() {
        // scikit-learn 1.9.1, PCA(n_components=0.9, svd_solver="full"); T squared by its variances
        // times 29 / 30, the residual by its inverse_transform, quantiles by nearest rank.
        let rows = reference::rows();
        let fitted = Pca::fit(&rows);
        assert_eq!(fitted.components.nrows(), 2);
        let within = [4.375_846, 1.037_727, 0.375_992];
        let outside = [0.117_996, 0.042_844, 0.004_966];
        for (row, (t, q)) in fitted.statistics(&rows)[..3].iter().enumerate() {
            assert!((t - within[row]).abs() < 2e-6 && (q - outside[row]).abs() < 2e-6);
        }
        let expected = [
            0.817_187, -0.117_265, -0.325_206, -0.232_873, 0.429_253, 0.218_81, -0.290_01,
            -0.297_84, -0.073_823, 3.453_428, -0.012_885, -0.390_021, -0.197_74, 0.721_05,
            0.305_829, -0.171_846, -0.417_3, -0.024_907, 2.214_807, 0.019_489, -0.258_074,
            0.190_872, 0.220_659, 0.520_808, -0.194_117, -0.271_569, 1.928_366, 3.545_798, 2.0,
            1.805_042,
        ];
        assert_close(&fitted.scores(&rows), &expected, 1e-5);
    }

    #[test]
    fn rows_exactly_in_the_plane_of_the_components_do_not_magnify_rounding() {
        let values = (0..40u8).flat_map(|row| [f32::from(row) / 7.0, f32::from(row) / 3.0]);
        let rows = Matrix::new(values.collect(), 2).unwrap();
        let fitted = Pca::fit(&rows);
        let largest = fitted.scores(&rows).into_iter().fold(0.0, f32::max);
        assert!(largest < 3.0, "{largest}");
        let off = Matrix::new(vec![3.0, 6.0], 2).unwrap();
        assert!(fitted.scores(&off)[0] > 100.0);
    }
}
