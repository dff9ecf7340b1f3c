//! Means, covariances and Mahalanobis distances of rows, in double precision.

use nalgebra::{DMatrix, DVector};

use super::Matrix;

/// Rows that go through a matrix product together: enough to be fast, and memory stays bounded.
const BLOCK: usize = 256;

/// A column that does not vary among some rows (a rare class, a constant) is given a thousandth of
/// the deviation that columns have on average, so that every covariance can be inverted.
const RIDGE: f64 = 1e-6;

/// Mean and covariance of rows; the covariance is divided by their number (maximum likelihood).
#[derive(Debug, Clone)]
pub(super) struct Moments {
    pub mean: DVector<f64>,
    pub covariance: DMatrix<f64>,
}

/// What squared Mahalanobis distances are taken by.
#[derive(Debug, Clone)]
pub(super) struct Metric {
    mean: DVector<f64>,
    /// The inverse of the lower Cholesky factor of the covariance with its ridge.
    whitening: DMatrix<f64>,
    /// Of the covariance with its ridge.
    pub log_determinant: f64,
}

impl Moments {
    /// Of `rows`, of which there is at least one.
    pub fn of<'a>(rows: impl Iterator<Item = &'a [f32]> + Clone, width: usize) -> Moments {
        let mut mean = DVector::zeros(width);
        let mut count = 0.0;
        for row in rows.clone() {
            count += 1.0;
            for (sum, &value) in mean.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
        mean /= count;
        let mut covariance = DMatrix::zeros(width, width);
        for_each_block(rows, &mean, |centred| {
            covariance += centred * centred.transpose();
        });
        covariance /= count;
        Moments { mean, covariance }
    }

    /// What to add to variances of parts of these rows before they are inverted; above 0 even where
    /// nothing varies.
    pub fn ridge(&self) -> f64 {
        let average = self.covariance.trace() / self.mean.len() as f64;
        (RIDGE * average).max(f64::EPSILON)
    }
}

impl Metric {
    /// `None` if the covariance with `ridge` cannot be inverted.
    pub fn new(moments: Moments, ridge: f64) -> Option<Metric> {
        let (mean, mut covariance) = (moments.mean, moments.covariance);
        let width = mean.len();
        for column in 0..width {
            covariance[(column, column)] += ridge;
        }
        let factor = covariance.cholesky()?.unpack();
        let log_determinant = 2.0 * factor.diagonal().map(f64::ln).sum();
        Some(Metric {
            whitening: factor.solve_lower_triangular(&DMatrix::identity(width, width))?,
            log_determinant,
            mean,
        })
    }

    /// The squared Mahalanobis distance of each row from the mean.
    pub fn squared_distances(&self, rows: &Matrix) -> Vec<f64> {
        let mut distances = Vec::with_capacity(rows.rows());
        for_each_block(rows.iter(), &self.mean, |centred| {
            let white = &self.whitening * centred;
            distances.extend(white.column_iter().map(|row| row.norm_squared()));
        });
        distances
    }
}

/// Calls `work` with blocks of the rows less `mean`, one row a column.
pub(super) fn for_each_block<'a>(
    rows: impl Iterator<Item = &'a [f32]>,
    mean: &DVector<f64>,
    mut work: impl FnMut(&DMatrix<f64>),
) {
    let width = mean.len();
    let mut cells = Vec::with_capacity(BLOCK * width);
    let mut rows = rows.peekable();
    while let Some(row) = rows.next() {
        let cells_of_row = row.iter().zip(mean.iter());
        cells.extend(cells_of_row.map(|(&value, mean)| f64::from(value) - mean));
        if cells.len() == BLOCK * width || rows.peek().is_none() {
            let block = DMatrix::from_vec(width, cells.len() / width, cells);
            work(&block);
            cells = block.data.into();
            cells.clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_distances_do_not_depend_on_the_blocks() {
        // (0, 0), (2, 0), (0, 4), (2, 4): mean (1, 2), variances 1 and 4, no covariance.
        let corners = [0.0, 0.0, 2.0, 0.0, 0.0, 4.0, 2.0, 4.0];
        for times in [1, 64, 100] {
            let rows = Matrix::new(corners.repeat(times), 2).unwrap();
            let moments = Moments::of(rows.iter(), 2);
            assert_eq!(moments.mean.as_slice(), [1.0, 2.0]);
            assert_eq!(moments.covariance.as_slice(), [1.0, 0.0, 0.0, 4.0]);
            let metric = Metric::new(moments, 0.0).unwrap();
            assert!((metric.log_determinant - 4.0_f64.ln()).abs() < 1e-12);
            assert_eq!(metric.squared_distances(&rows), vec![2.0; 4 * times]);
        }
    }

    #[test]
    fn columns_that_repeat_each_other_need_a_ridge() {
        let rows = Matrix::new(vec![0.0, 0.0, 2.0, 2.0], 2).unwrap();
        let moments = Moments::of(rows.iter(), 2);
        assert!(Metric::new(moments.clone(), 0.0).is_none());
        let ridge = moments.ridge();
        assert!(Metric::new(moments, ridge).is_some());
    }
}
