//! An ordinary autoencoder: the network of the variational one without what makes it variational.

use std::ops::ControlFlow;

use super::BaselineError;
use crate::config::TrainingData;
use crate::vae::{self, Objective, Recipe, Rows, Scorer, Scores, Shape};

/// Rows that are scored together, so that memory is bounded by them.
const BLOCK: usize = 4_096;

/// A Gaussian head's least deviation, which squared errors have no use for; a member needs one.
const UNUSED_FLOOR: f32 = 1.0;

/// The same network and training schedule as the variational autoencoder's, with no noise on the
/// code, no divergence and no variances: it descends the squared error of what is present (the
/// Brier score for classes), and that is its score (Hawkins, He, Williams and Baxter 2002).
#[derive(Debug, Clone)]
pub struct Autoencoder {
    shape: Shape,
    scorer: Scorer,
    rows: usize,
}

impl Autoencoder {
    /// As a user names it.
    pub const NAME: &str = "autoencoder";

    /// Trains a network of `shape` on `rows` for at most `max_steps` steps.
    ///
    /// # Errors
    /// The rows cannot be learnt from, see [`vae::train`].
    pub fn fit(
        shape: &Shape,
        rows: Rows<'_>,
        max_steps: usize,
        seed: u64,
    ) -> Result<Autoencoder, BaselineError> {
        let plain = Recipe::new(
            rows.len(),
            UNUSED_FLOOR,
            TrainingData::Clean,
            max_steps,
            seed,
        );
        let recipe = Recipe {
            objective: Objective::SquaredError,
            ..plain
        };
        let member = vae::train(rows, shape, &recipe, &mut |_| ControlFlow::Continue(()))?;
        Ok(Autoencoder {
            scorer: Scorer::new(shape, &member)?,
            shape: shape.clone(),
            rows: rows.len(),
        })
    }

    /// The squared error of each row over what is present in it, in scaled units; higher is odder.
    ///
    /// # Errors
    /// The rows were made for another shape.
    pub fn scores(&self, rows: Rows<'_>) -> Result<Vec<f32>, BaselineError> {
        let (width, heads) = (self.shape.width(), self.shape.heads.len());
        let values = rows.values().chunks(BLOCK * width);
        let present = rows.present().chunks(BLOCK * heads);
        let mut scores = Vec::with_capacity(rows.len());
        let mut block = Scores::new();
        for (values, present) in values.zip(present) {
            self.scorer
                .score(Rows::new(&self.shape, values, present)?, &mut block)?;
            scores.extend_from_slice(&block.squared_error);
        }
        Ok(scores)
    }

    /// How many training rows it was fitted on: all.
    #[must_use]
    pub fn fitted_rows(&self) -> usize {
        self.rows
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::vae::Head;

    /// Rows on a plane: x, y, x + y, and whether x is above 0.
    fn plane(rows: usize, off: f32) -> Vec<f32> {
        let row = |index: usize| {
            let x = (index * 37 % 101) as f32 / 30.0 - 1.7;
            let y = (index * 53 % 89) as f32 / 26.0 - 1.7;
            [x, y, (x + y) / 2.0 + off, f32::from(u8::from(x > 0.0))]
        };
        (0..rows).flat_map(row).collect()
    }

    fn shape() -> Shape {
        let mut heads = vec![Head::Gaussian; 3];
        heads.push(Head::Bernoulli);
        Shape {
            heads,
            hidden: 16,
            latent: 2,
        }
    }

    #[test]
    fn it_reconstructs_the_plane_that_it_learnt_and_not_what_is_off_it() {
        let (training, odd) = (plane(400, 0.0), plane(20, 2.0));
        let marks = [1.0; 1_600];
        let rows = Rows::new(&shape(), &training, &marks).unwrap();
        let fitted = Autoencoder::fit(&shape(), rows, 400, 1).unwrap();
        assert_eq!(fitted.fitted_rows(), 400);
        let scores = fitted.scores(rows).unwrap();
        let mean = scores.iter().sum::<f32>() / 400.0;
        assert!(mean < 0.1, "{mean}");
        let rows = Rows::new(&shape(), &odd, &marks[..80]).unwrap();
        let odd = fitted.scores(rows).unwrap();
        assert!(odd.iter().all(|&score| score > 5.0 * mean), "{odd:?}");
    }

    #[test]
    fn rows_are_scored_in_blocks_and_missing_cells_left_out() {
        let training = plane(400, 0.0);
        let marks = vec![1.0; 4 * 10_000];
        let rows = Rows::new(&shape(), &training, &marks[..1_600]).unwrap();
        let fitted = Autoencoder::fit(&shape(), rows, 20, 1).unwrap();
        let many = plane(10_000, 0.0);
        let scores = fitted.scores(Rows::new(&shape(), &many, &marks).unwrap());
        let scores = scores.unwrap();
        assert_eq!(scores.len(), 10_000);
        let last = Rows::new(&shape(), &many[39_996..], &marks[..4]).unwrap();
        assert_eq!(fitted.scores(last).unwrap(), scores[9_999..]);
        let nothing = Rows::new(&shape(), &many[..4], &[0.0; 4]).unwrap();
        assert_eq!(fitted.scores(nothing).unwrap(), [0.0]);
    }

    #[test]
    fn rows_that_cannot_be_learnt_from_are_refused() {
        let few = plane(5, 0.0);
        let rows = Rows::new(&shape(), &few, &[1.0; 20]).unwrap();
        let refused = Autoencoder::fit(&shape(), rows, 20, 1).err().unwrap();
        assert!(refused.to_string().contains("5 training rows are too few"));
    }
}
