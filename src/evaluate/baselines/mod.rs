//! Detectors that a network has to beat: well known, quick to state, and each held to a reference's
//! values by a test. [`fit`] makes them by [`Kind`]. The [`Autoencoder`] stands apart: it alone knows
//! which cells are missing.
//!
//! Rows are what [`Encoding::encode`](crate::features::Encoding::encode) makes: standard-scaled
//! numbers, one-hot categories, 0 for missing. The detectors do no scaling of their own beyond what
//! their definition says.

mod autoencoder;
mod isolation_forest;
mod matrix;
mod mcd;
mod moments;
mod nearest_neighbours;
mod pca;
mod random;
#[cfg(test)]
mod reference;
mod squared_z;

pub use autoencoder::Autoencoder;
pub use isolation_forest::IsolationForest;
pub use matrix::Matrix;
pub use mcd::Mcd;
pub use nearest_neighbours::NearestNeighbours;
pub use pca::Pca;
pub use random::Random;
pub use squared_z::SquaredZ;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::vae::{RowsError, TrainError, WeightError};

/// Detectors whose cost grows with training rows times rows to score, or with repeated passes over
/// the training rows, are fitted on no more than this, drawn at random.
pub const MOST_ROWS: usize = 20_000;

/// A fitted detector.
pub trait Baseline {
    /// As a user names it.
    fn name(&self) -> &'static str;

    /// One score a row, higher for odder rows. `rows` are as wide as those that it was fitted on.
    fn scores(&self, rows: &Matrix) -> Vec<f32>;

    /// How many of the training rows were used; fewer than there were where a cap was applied.
    fn fitted_rows(&self) -> usize;
}

/// The detectors that [`fit`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Pca,
    Mcd,
    IsolationForest,
    NearestNeighbours,
    SquaredZ,
    Random,
}

impl Kind {
    pub const ALL: [Kind; 6] = [
        Kind::Pca,
        Kind::Mcd,
        Kind::IsolationForest,
        Kind::NearestNeighbours,
        Kind::SquaredZ,
        Kind::Random,
    ];

    /// As a user names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pca => "pca",
            Kind::Mcd => "mcd",
            Kind::IsolationForest => "iforest",
            Kind::NearestNeighbours => "knn",
            Kind::SquaredZ => "z2",
            Kind::Random => "random",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Fits a detector to `rows`. The same rows and seed give the same detector.
///
/// # Errors
/// There are fewer than two rows, or a value is not finite.
pub fn fit(kind: Kind, rows: &Matrix, seed: u64) -> Result<Box<dyn Baseline>, BaselineError> {
    check(rows)?;
    Ok(match kind {
        Kind::Pca => Box::new(Pca::fit(rows)),
        Kind::Mcd => Box::new(Mcd::fit(rows, seed)?),
        Kind::IsolationForest => Box::new(IsolationForest::fit(rows, seed)),
        Kind::NearestNeighbours => Box::new(NearestNeighbours::fit(rows, seed)),
        Kind::SquaredZ => Box::new(SquaredZ::fit(rows)),
        Kind::Random => Box::new(Random::new(rows, seed)),
    })
}

fn check(rows: &Matrix) -> Result<(), BaselineError> {
    if rows.rows() < 2 {
        return Err(BaselineError::TooFewRows { rows: rows.rows() });
    }
    match rows.values().iter().position(|value| !value.is_finite()) {
        Some(index) => Err(BaselineError::NotFinite {
            row: index / rows.width(),
            column: index % rows.width(),
        }),
        None => Ok(()),
    }
}

/// The rows, or [`MOST_ROWS`] of them drawn by `seed` without replacement, in their order.
fn capped(rows: &Matrix, seed: u64) -> Matrix {
    if rows.rows() <= MOST_ROWS {
        return rows.clone();
    }
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut chosen = index::sample(random, rows.rows(), MOST_ROWS).into_vec();
    chosen.sort_unstable();
    rows.select(&chosen)
}

/// Why a detector was not fitted.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    #[error("{values} values are not whole rows of {width} columns")]
    NotWholeRows { values: usize, width: usize },
    #[error("{rows} training rows are too few for a detector, 2 are the least: give more rows")]
    TooFewRows { rows: usize },
    #[error(
        "training row {row} is not finite in column {column} (both counted from 0): check the \
         scaling of the fields"
    )]
    NotFinite { row: usize, column: usize },
    #[error(
        "the covariance of the training rows cannot be inverted: check the scaling of the fields"
    )]
    Singular,
    #[error("the autoencoder was not trained: {0}")]
    Train(#[from] TrainError),
    #[error("the trained autoencoder cannot be used: {0}; this is a defect, please report it")]
    Weights(#[from] WeightError),
    #[error(transparent)]
    Rows(#[from] RowsError),
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// 60 rows along a line with little noise, as wide as asked for.
    fn line(width: usize) -> Matrix {
        let cell = |row: usize, column: usize| {
            let noise = (row * 31 + column * 17) % 23;
            (row as f32 - 30.0) / 17.0 + noise as f32 * 0.01
        };
        let values = (0..60).flat_map(|row| (0..width).map(move |column| cell(row, column)));
        Matrix::new(values.collect(), width).unwrap()
    }

    #[test]
    fn every_kind_but_random_finds_what_is_off_the_line() {
        let rows = line(3);
        let odd = Matrix::new(vec![9.0, -9.0, 9.0], 3).unwrap();
        for kind in Kind::ALL {
            let fitted = fit(kind, &rows, 1).unwrap();
            assert_eq!((fitted.name(), fitted.fitted_rows()), (kind.name(), 60));
            assert_eq!(Kind::named(fitted.name()), Some(kind));
            let ordinary = fitted.scores(&rows);
            assert_eq!(ordinary.len(), 60);
            let odder = ordinary.iter().all(|&score| score < fitted.scores(&odd)[0]);
            assert!(odder || kind == Kind::Random, "{kind:?}");
        }
        assert_eq!(Kind::named("lof"), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_scores() {
        let rows = line(3);
        for kind in Kind::ALL {
            let scores = |seed| fit(kind, &rows, seed).unwrap().scores(&rows);
            assert_eq!(scores(7), scores(7), "{kind:?}");
            let seeded = [Kind::IsolationForest, Kind::Random].contains(&kind);
            assert!(!seeded || scores(7) != scores(8), "{kind:?}");
        }
    }

    #[test]
    fn constant_rows_two_rows_and_one_column_give_finite_scores() {
        let odd = Matrix::new(vec![3.0, 4.0], 2).unwrap();
        let constant = Matrix::new(vec![1.0; 40], 2).unwrap();
        let two = Matrix::new(vec![0.0, 1.0, 1.0, 0.0], 2).unwrap();
        for (rows, odd) in [(constant, odd.clone()), (two, odd), (line(1), line(1))] {
            for kind in Kind::ALL {
                let scores = fit(kind, &rows, 1).unwrap().scores(&odd);
                assert!(scores.iter().all(|score| score.is_finite()), "{kind:?}");
            }
        }
    }

    #[test]
    fn rows_that_nothing_can_be_fitted_to_are_refused() {
        let one = Matrix::new(vec![1.0, 2.0], 2).unwrap();
        let undefined = Matrix::new(vec![1.0, 2.0, 3.0, f32::NAN], 2).unwrap();
        for kind in Kind::ALL {
            let refused = fit(kind, &one, 0).err().unwrap();
            assert!(matches!(refused, BaselineError::TooFewRows { rows: 1 }));
            let refused = fit(kind, &undefined, 0).err().unwrap();
            assert!(matches!(
                refused,
                BaselineError::NotFinite { row: 1, column: 1 }
            ));
        }
    }

    #[test]
    fn a_cap_keeps_that_many_rows_in_their_order() {
        let many = Matrix::new((0..30_000u16).map(f32::from).collect(), 1).unwrap();
        let kept = capped(&many, 3);
        assert_eq!(kept.rows(), MOST_ROWS);
        assert!(kept.values().is_sorted_by(|a, b| a < b));
        assert_ne!(kept, capped(&many, 4));
    }
}
