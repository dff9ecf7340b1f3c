//! What scoring says of rows, and the memory it works in.

use super::density::Room;
use super::score::{BLOCK, Strides};
use crate::vae::shape::Shape;

/// The scores of rows under one network, an array a score. The arrays grow to the largest batch and
/// are then used again. Columns and heads are in the order of the shape.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    /// Negative log-likelihood of the present cells at the mean code, by row, in nats.
    pub nll: Vec<f32>,
    /// Kullback-Leibler divergence of the code from its prior, by row, in nats.
    pub kl: Vec<f32>,
    /// Squared errors summed over the present heads, by row, in scaled units; the Brier score for
    /// heads of classes.
    pub squared_error: Vec<f32>,
    /// -ln of the density of the mean code under the aggregated posterior, by row, in nats; 0 if the
    /// scorer has no mixture.
    pub code_nll: Vec<f32>,
    /// The terms of `nll`, rows x heads; 0 where missing.
    pub head_nll: Vec<f32>,
    /// The terms of `squared_error`, rows x heads; 0 where missing.
    pub head_squared: Vec<f32>,
    /// Rows x columns: the number that the network expects, or the probability of 1 or of the class.
    pub expected: Vec<f32>,
    /// Rows x columns: the variance that it expects, p(1 - p) for probabilities.
    pub variance: Vec<f32>,
    /// Rows x latent: the mean of the code's posterior.
    pub code: Vec<f32>,
    /// Rows x latent: its variance.
    pub code_variance: Vec<f32>,
    pub(super) scratch: Scratch,
}

/// One block of rows on its way through the network. Rows of `values` and `present` are packed.
#[derive(Debug, Clone, Default)]
pub(super) struct Scratch {
    pub values: Vec<f32>,
    pub present: Vec<f32>,
    pub hidden: [Vec<f32>; 2],
    pub code: Vec<f32>,
    pub code_variance: Vec<f32>,
    pub output: Vec<f32>,
    pub variance: Vec<f32>,
    pub surprise: Vec<f32>,
    pub squared: Vec<f32>,
    pub room: Room,
}

impl Scores {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many rows were scored last.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.nll.len()
    }

    /// What is said by row.
    fn by_row(&mut self) -> [&mut Vec<f32>; 4] {
        [
            &mut self.nll,
            &mut self.kl,
            &mut self.squared_error,
            &mut self.code_nll,
        ]
    }

    /// Makes room for what is said by row of `rows` rows; there is nothing by head, by column and by unit then.
    #[cfg(any(test, feature = "cuda"))]
    pub(in crate::vae) fn fit_by_row(&mut self, rows: usize) {
        for by_row in self.by_row() {
            by_row.resize(rows, 0.0);
        }
        for finer in [
            &mut self.head_nll,
            &mut self.head_squared,
            &mut self.expected,
            &mut self.variance,
            &mut self.code,
            &mut self.code_variance,
        ] {
            finer.clear();
        }
    }

    /// Puts what was found of `count` rows, row `first` the first of them, into their places: in the order of
    /// [`Self::by_row`].
    #[cfg(any(test, feature = "cuda"))]
    pub(in crate::vae) fn place_by_row(&mut self, first: usize, count: usize, found: &[f32]) {
        for (place, found) in self.by_row().into_iter().zip(found.chunks_exact(count)) {
            place[first..][..count].copy_from_slice(found);
        }
    }

    /// Makes room for `rows` rows.
    pub(super) fn fit(&mut self, rows: usize, shape: &Shape, strides: &Strides) {
        let (width, heads) = (shape.width(), shape.heads.len());
        for by_row in self.by_row() {
            by_row.resize(rows, 0.0);
        }
        for by_head in [&mut self.head_nll, &mut self.head_squared] {
            by_head.resize(rows * heads, 0.0);
        }
        for by_column in [&mut self.expected, &mut self.variance] {
            by_column.resize(rows * width, 0.0);
        }
        for by_unit in [&mut self.code, &mut self.code_variance] {
            by_unit.resize(rows * shape.latent, 0.0);
        }
        self.scratch.fit(rows.min(BLOCK), strides);
    }
}

impl Scratch {
    /// Makes room for `rows` rows; packed rows become zeros.
    pub(super) fn fit(&mut self, rows: usize, strides: &Strides) {
        let Strides {
            columns,
            cells,
            hidden,
            code,
            output,
        } = *strides;
        let [first, second] = &mut self.hidden;
        for (buffer, stride) in [
            (first, hidden),
            (second, hidden),
            (&mut self.code, code),
            (&mut self.code_variance, code),
            (&mut self.output, output),
            (&mut self.variance, columns),
            (&mut self.surprise, cells),
            (&mut self.squared, cells),
        ] {
            buffer.resize(rows * stride, 0.0);
        }
        // Padding must be zero, and another network may have had its values there.
        for (buffer, stride) in [(&mut self.values, columns), (&mut self.present, cells)] {
            buffer.clear();
            buffer.resize(rows * stride, 0.0);
        }
    }
}
