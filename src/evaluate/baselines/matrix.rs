//! Rows of numbers, as the detectors take them.

use super::BaselineError;

/// Rows x columns, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    values: Vec<f32>,
    width: usize,
}

impl Matrix {
    /// # Errors
    /// `values` are not whole rows of `width` columns, or there are no columns.
    pub fn new(values: Vec<f32>, width: usize) -> Result<Matrix, BaselineError> {
        if width == 0 || !values.len().is_multiple_of(width) {
            let values = values.len();
            return Err(BaselineError::NotWholeRows { values, width });
        }
        Ok(Matrix { values, width })
    }

    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    /// The row at `index`, which must be below [`Matrix::rows`].
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..][..self.width]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[f32]> + Clone {
        self.values.chunks_exact(self.width)
    }

    /// The rows at `chosen`, in that order.
    #[must_use]
    pub fn select(&self, chosen: &[usize]) -> Matrix {
        let rows = chosen.iter().flat_map(|&index| self.row(index));
        Matrix {
            values: rows.copied().collect(),
            width: self.width,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_rows_are_taken_and_they_can_be_chosen() {
        assert!(Matrix::new(vec![0.0; 5], 2).is_err() && Matrix::new(vec![], 0).is_err());
        let matrix = Matrix::new(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2).unwrap();
        assert_eq!(
            (matrix.rows(), matrix.width(), matrix.row(1)),
            (3, 2, &[3.0, 4.0][..])
        );
        assert_eq!(matrix.select(&[2, 0]).values(), [5.0, 6.0, 1.0, 2.0]);
        assert_eq!(Matrix::new(vec![], 3).unwrap().rows(), 0);
    }
}
