//! Rows of a stream as the network reads them.

use super::shape::Shape;

/// Rows with the marks of what is missing in them.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f32],
    present: &'a [f32],
    width: usize,
    heads: usize,
}

impl<'a> Rows<'a> {
    /// Takes `values`, rows x [`Shape::width`], row-major (standardised numbers, 0 or 1, one-hot; 0
    /// where missing), and `present`, rows x heads, 1 where there is a value and 0 where it is
    /// missing.
    ///
    /// # Errors
    /// The lengths are not those of whole rows of `shape`, or not of the same number of rows.
    pub fn new(shape: &Shape, values: &'a [f32], present: &'a [f32]) -> Result<Self, RowsError> {
        let (width, heads) = (shape.width(), shape.heads.len());
        let whole = width > 0 && heads > 0 && values.len().is_multiple_of(width);
        if !whole || values.len() / width * heads != present.len() {
            return Err(RowsError::Length {
                values: values.len(),
                present: present.len(),
                width,
                heads,
            });
        }
        Ok(Rows {
            values,
            present,
            width,
            heads,
        })
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Rows x columns, row-major.
    #[must_use]
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// Rows x heads, row-major: 1 where there is a value, 0 where it is missing.
    #[must_use]
    pub fn present(&self) -> &'a [f32] {
        self.present
    }

    /// Says whether these are rows of `shape`.
    ///
    /// # Errors
    /// They were made for a shape with other numbers of columns or heads.
    pub(super) fn fit(&self, shape: &Shape) -> Result<(), RowsError> {
        let (width, heads) = (shape.width(), shape.heads.len());
        if (self.width, self.heads) == (width, heads) {
            return Ok(());
        }
        Err(RowsError::OtherShape {
            found: (self.width, self.heads),
            wanted: (width, heads),
        })
    }
}

/// Why some numbers are not rows of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    #[error(
        "{values} values and {present} marks are not whole rows of {width} columns and {heads} heads"
    )]
    Length {
        values: usize,
        present: usize,
        width: usize,
        heads: usize,
    },
    #[error("{numbers} numbers are not whole codes: a code of this model has {latent}")]
    Codes { numbers: usize, latent: usize },
    #[error(
        "the rows have {found:?} columns and heads, the network has {wanted:?}: they were made for \
         another model"
    )]
    OtherShape {
        found: (usize, usize),
        wanted: (usize, usize),
    },
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::vae::Head;

    #[test]
    fn only_whole_rows_are_taken() {
        let heads = vec![Head::Gaussian, Head::Categorical { classes: 2 }];
        let shape = Shape {
            heads,
            hidden: 1,
            latent: 1,
        };
        assert_eq!(Rows::new(&shape, &[0.0; 6], &[1.0; 4]).unwrap().len(), 2);
        assert!(Rows::new(&shape, &[], &[]).unwrap().is_empty());
        assert!(Rows::new(&shape, &[0.0; 5], &[1.0; 4]).is_err());
        assert!(Rows::new(&shape, &[0.0; 6], &[1.0; 2]).is_err());
    }
}
