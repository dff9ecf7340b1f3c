//! Scores that know nothing: the level at which a measure starts.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Baseline, Kind, Matrix};

/// Uniform scores in [0, 1), the same sequence for the same seed, whatever the rows.
#[derive(Debug, Clone)]
pub struct Random {
    seed: u64,
    rows: usize,
}

impl Random {
    pub(super) fn new(rows: &Matrix, seed: u64) -> Random {
        Random {
            seed,
            rows: rows.rows(),
        }
    }
}

impl Baseline for Random {
    fn name(&self) -> &'static str {
        Kind::Random.name()
    }

    fn scores(&self, rows: &Matrix) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        (0..rows.rows()).map(|_| random.random()).collect()
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
    fn scores_are_spread_evenly() {
        let rows = Matrix::new(vec![0.0; 10_000], 1).unwrap();
        let scores = Random::new(&rows, 5).scores(&rows);
        let low = scores.iter().filter(|&&score| score < 0.25).count();
        assert!((2_300..2_700).contains(&low), "{low}");
        assert!(scores.iter().all(|score| (0.0..1.0).contains(score)));
    }
}
