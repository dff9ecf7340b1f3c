//! The distance to the fifth nearest neighbour.

use super::{Baseline, Kind, Matrix, capped};

const NEIGHBOURS: usize = 5;

/// Training rows that are compared with side by side, so that the compiler makes vectors of them.
const LANES: usize = 16;

/// Rows that are scored together, so that a block of training rows is used while it is near.
const TILE: usize = 8;

/// The Euclidean distance to the fifth nearest training row (Ramaswamy, Rastogi and Shim 2000), with
/// the settings of published benchmarks (PyOD's `KNN`, as in ADBench). A row that is itself among
/// the training rows is its own nearest neighbour, at distance 0, as in PyOD's `decision_function`.
/// Among fewer than five training rows, the farthest.
#[derive(Debug, Clone)]
pub struct NearestNeighbours {
    /// Blocks of 16 training rows: by block, by column, the 16 values. The last block is filled up
    /// with rows at infinity.
    blocks: Vec<[f32; LANES]>,
    width: usize,
    rows: usize,
}

/// The smallest squared distances so far, ascending.
type Nearest = [f32; NEIGHBOURS];

impl NearestNeighbours {
    pub(super) fn fit(rows: &Matrix, seed: u64) -> NearestNeighbours {
        let rows = capped(rows, seed);
        let width = rows.width();
        let mut blocks = vec![[f32::INFINITY; LANES]; rows.rows().div_ceil(LANES) * width];
        for (index, row) in rows.iter().enumerate() {
            let block = &mut blocks[index / LANES * width..][..width];
            for (lanes, &value) in block.iter_mut().zip(row) {
                lanes[index % LANES] = value;
            }
        }
        NearestNeighbours {
            blocks,
            width,
            rows: rows.rows(),
        }
    }
}

impl Baseline for NearestNeighbours {
    fn name(&self) -> &'static str {
        Kind::NearestNeighbours.name()
    }

    fn scores(&self, rows: &Matrix) -> Vec<f32> {
        let counted = NEIGHBOURS.min(self.rows);
        let mut scores = Vec::with_capacity(rows.rows());
        for tile in rows.values().chunks(TILE * self.width) {
            let mut nearest = [[f32::INFINITY; NEIGHBOURS]; TILE];
            for block in self.blocks.chunks_exact(self.width) {
                for (row, nearest) in tile.chunks_exact(self.width).zip(&mut nearest) {
                    for distance in squared_distances(row, block) {
                        insert(nearest, distance);
                    }
                }
            }
            let rows = tile.len() / self.width;
            let squared = nearest[..rows].iter().map(|nearest| nearest[counted - 1]);
            scores.extend(squared.map(f32::sqrt));
        }
        scores
    }

    fn fitted_rows(&self) -> usize {
        self.rows
    }
}

/// From `row` to each of the training rows of `block`.
fn squared_distances(row: &[f32], block: &[[f32; LANES]]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for (value, lanes) in row.iter().zip(block) {
        for (sum, other) in sums.iter_mut().zip(lanes) {
            let difference = value - other;
            *sum += difference * difference;
        }
    }
    sums
}

fn insert(nearest: &mut Nearest, distance: f32) {
    if distance >= nearest[NEIGHBOURS - 1] {
        return;
    }
    let place = nearest.partition_point(|&nearer| nearer <= distance);
    nearest.copy_within(place..NEIGHBOURS - 1, place + 1);
    nearest[place] = distance;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::baselines::reference::{self, assert_close};
    use proptest::prelude::*;

    #[test]
    fn distances_agree_with_scikit_learn() {
        // scikit-learn 1.9.1, NearestNeighbors(n_neighbors=5).fit(rows).kneighbors(rows).
        let expected = [
            1.921_303, 0.800_391, 0.800_391, 1.086_584, 1.127_168, 1.189_554, 0.609_976, 0.609_976,
            1.127_168, 2.287_235, 0.962_175, 0.962_175, 0.962_175, 1.128_467, 1.086_584, 0.962_175,
            1.086_584, 0.962_175, 1.898_036, 0.609_976, 0.609_976, 1.128_467, 1.086_584, 1.100_426,
            0.800_391, 0.800_391, 7.710_585, 8.006_101, 6.581_891, 7.979_772,
        ];
        let rows = reference::rows();
        assert_close(
            &NearestNeighbours::fit(&rows, 0).scores(&rows),
            &expected,
            1e-5,
        );
    }

    #[test]
    fn a_training_row_is_its_own_neighbour_and_few_rows_are_enough() {
        let rows = Matrix::new(vec![0.0, 3.0, 7.0], 1).unwrap();
        let fitted = NearestNeighbours::fit(&rows, 0);
        assert_eq!(fitted.scores(&rows), [7.0, 4.0, 7.0]);
        let six = Matrix::new(vec![0.0, 1.0, 2.0, 3.0, 4.0, 50.0], 1).unwrap();
        assert_eq!(NearestNeighbours::fit(&six, 0).scores(&six)[0], 4.0);
    }

    proptest! {
        #[test]
        fn the_score_is_the_fifth_smallest_distance(
            width in 1_usize..5,
            training in proptest::collection::vec(-10.0_f32..10.0, 80),
            asked in proptest::collection::vec(-10.0_f32..10.0, 60),
        ) {
            let cut = |values: &[f32]| {
                let whole = values.len() / width * width;
                Matrix::new(values[..whole].to_vec(), width).unwrap()
            };
            let (training, asked) = (cut(&training), cut(&asked));
            let found = NearestNeighbours::fit(&training, 0).scores(&asked);
            prop_assert_eq!(found.len(), asked.rows());
            for (row, found) in asked.iter().zip(found) {
                let square = |other: &[f32]| -> f32 {
                    row.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum()
                };
                let mut distances: Vec<f32> = training.iter().map(square).collect();
                distances.sort_by(f32::total_cmp);
                prop_assert!((found - distances[4].sqrt()).abs() < 1e-4);
            }
        }
    }
}
