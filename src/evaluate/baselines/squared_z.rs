//! The sum of squared z-scores: what a network that learnt nothing gives.

use super::{Baseline, Kind, Matrix};

/// Columns that vary less than this are constant, but for rounding.
const LEAST_VARIANCE: f64 = 1e-12;

/// The sum over the columns of ((value - mean) / deviation)^2, by the mean and the deviation of the
/// training rows. Columns that were constant in them are left out: they have no z-score.
#[derive(Debug, Clone)]
pub struct SquaredZ {
    columns: Vec<Column>,
    rows: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Column {
    mean: f64,
    /// 1 / variance, or 0 for a column that was constant.
    precision: f64,
}

impl SquaredZ {
    pub(super) fn fit(rows: &Matrix) -> SquaredZ {
        let count = rows.rows() as f64;
        let mut columns = vec![Column::default(); rows.width()];
        for row in rows.iter() {
            for (column, &value) in columns.iter_mut().zip(row) {
                column.mean += f64::from(value) / count;
            }
        }
        let mut variances = vec![0.0; rows.width()];
        for row in rows.iter() {
            for ((variance, column), &value) in variances.iter_mut().zip(&columns).zip(row) {
                *variance += (f64::from(value) - column.mean).powi(2) / count;
            }
        }
        for (column, variance) in columns.iter_mut().zip(variances) {
            if variance > LEAST_VARIANCE {
                column.precision = 1.0 / variance;
            }
        }
        SquaredZ {
            columns,
            rows: rows.rows(),
        }
    }
}

impl Baseline for SquaredZ {
    fn name(&self) -> &'static str {
        Kind::SquaredZ.name()
    }

    fn scores(&self, rows: &Matrix) -> Vec<f32> {
        let score = |row: &[f32]| -> f64 {
            let cells = self.columns.iter().zip(row);
            cells
                .map(|(column, &value)| (f64::from(value) - column.mean).powi(2) * column.precision)
                .sum()
        };
        rows.iter().map(|row| score(row) as f32).collect()
    }

    fn fitted_rows(&self) -> usize {
        self.rows
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_standardised_and_constant_ones_left_out() {
        // Means 3 and 7, variances 4 and 0.
        let rows = Matrix::new(vec![1.0, 7.0, 5.0, 7.0], 2).unwrap();
        let odd = Matrix::new(vec![9.0, 100.0, 3.0, 7.0], 2).unwrap();
        assert_eq!(SquaredZ::fit(&rows).scores(&odd), [9.0, 0.0]);
    }
}
