//! Isolation forest: odd rows are cut off from the others by few random cuts.

use rand::seq::{IndexedRandom, index};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Baseline, Kind, Matrix};

const TREES: usize = 100;

/// Rows that a tree is grown from.
const SUBSAMPLE: usize = 256;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// Isolation forest of Liu, Ting and Zhou (2008), with its authors' settings: 100 trees on 256 rows
/// each. A node is cut in a random column, of those that vary in it, at a random place between its
/// smallest and largest value. The score is 2^(-mean path length / c(256)), in (0, 1].
#[derive(Debug, Clone)]
pub struct IsolationForest {
    trees: Vec<Vec<Node>>,
    /// Mean path length of an unsuccessful search among the rows of a tree.
    usual: f64,
    rows: usize,
}

/// A node of a tree; the first one is its root.
#[derive(Debug, Clone, Copy)]
enum Node {
    /// Rows at or below `at` go to the node `low`, others to the node `high`.
    Cut {
        column: usize,
        at: f32,
        low: usize,
        high: usize,
    },
    /// The path to here, and on as far as the rows that ended here would go on average.
    Leaf { path: f64 },
}

impl IsolationForest {
    pub(super) fn fit(rows: &Matrix, seed: u64) -> IsolationForest {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let size = rows.rows().min(SUBSAMPLE);
        let trees = (0..TREES).map(|_| {
            let chosen = index::sample(&mut random, rows.rows(), size).into_vec();
            Growth::tree(rows, chosen, &mut random)
        });
        IsolationForest {
            trees: trees.collect(),
            usual: usual_path(size),
            rows: rows.rows(),
        }
    }

    fn score(&self, row: &[f32]) -> f32 {
        let paths = self.trees.iter().map(|tree| path(tree, row));
        let mean = paths.sum::<f64>() / self.trees.len() as f64;
        (-mean / self.usual).exp2() as f32
    }
}

impl Baseline for IsolationForest {
    fn name(&self) -> &'static str {
        Kind::IsolationForest.name()
    }

    fn scores(&self, rows: &Matrix) -> Vec<f32> {
        rows.iter().map(|row| self.score(row)).collect()
    }

    fn fitted_rows(&self) -> usize {
        self.rows
    }
}

fn path(tree: &[Node], row: &[f32]) -> f64 {
    let mut at_node = 0;
    loop {
        match tree[at_node] {
            Node::Cut {
                column,
                at,
                low,
                high,
            } => at_node = if row[column] <= at { low } else { high },
            Node::Leaf { path } => return path,
        }
    }
}

/// c(n) of the paper: the mean path length of an unsuccessful search in a binary search tree of
/// `rows` keys, 2 H(n - 1) - 2 (n - 1) / n with H(i) = ln i + Euler's constant.
fn usual_path(rows: usize) -> f64 {
    match rows {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let (count, others) = (rows as f64, (rows - 1) as f64);
            2.0 * (others.ln() + EULER) - 2.0 * others / count
        }
    }
}

/// A tree while it grows.
struct Growth<'a> {
    rows: &'a Matrix,
    random: &'a mut ChaCha8Rng,
    nodes: Vec<Node>,
    /// Cuts deeper than the average path tell ordinary rows apart, which nobody asked for.
    deepest: u32,
}

impl Growth<'_> {
    fn tree(rows: &Matrix, mut chosen: Vec<usize>, random: &mut ChaCha8Rng) -> Vec<Node> {
        let mut growth = Growth {
            rows,
            random,
            nodes: Vec::new(),
            deepest: chosen.len().next_power_of_two().ilog2(),
        };
        growth.node(&mut chosen, 0);
        growth.nodes
    }

    /// Grows the node of the rows `chosen`, and those below it; returns its place.
    fn node(&mut self, chosen: &mut [usize], depth: u32) -> usize {
        let place = self.nodes.len();
        self.nodes.push(Node::Leaf {
            path: f64::from(depth) + usual_path(chosen.len()),
        });
        if depth == self.deepest {
            return place;
        }
        let Some((column, at)) = self.cut(chosen) else {
            return place;
        };
        let above = |index: &usize| self.rows.row(*index)[column] > at;
        chosen.sort_unstable_by_key(above);
        let (below, above) = chosen.split_at_mut(chosen.partition_point(|index| !above(index)));
        self.nodes[place] = Node::Cut {
            column,
            at,
            low: self.node(below, depth + 1),
            high: self.node(above, depth + 1),
        };
        place
    }

    /// A random column of those that vary among the rows `chosen`, and a place in its range.
    fn cut(&mut self, chosen: &[usize]) -> Option<(usize, f32)> {
        let (&first, others) = chosen.split_first()?;
        let mut ranges: Vec<(f32, f32)> = self.rows.row(first).iter().map(|&v| (v, v)).collect();
        for &index in others {
            for ((low, high), &value) in ranges.iter_mut().zip(self.rows.row(index)) {
                *low = low.min(value);
                *high = high.max(value);
            }
        }
        let varying = (0..ranges.len()).filter(|&column| ranges[column].0 < ranges[column].1);
        let varying: Vec<usize> = varying.collect();
        let &column = varying.choose(self.random)?;
        let (low, high) = ranges[column];
        let (from, to) = (f64::from(low), f64::from(high));
        let at = (from + self.random.random::<f64>() * (to - from)) as f32;
        // Rounded up to the end, the cut would leave one side empty.
        Some((column, if at < high { at } else { low }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_path_agrees_with_its_formula() {
        // scikit-learn 1.9.1, ensemble._iforest._average_path_length.
        for (rows, expected) in [
            (1, 0.0),
            (2, 1.0),
            (3, 1.207_392_357_589_623),
            (10, 3.748_880_484_475_505),
            (256, 10.244_770_920_119_917),
            (1000, 12.969_940_887_100_174),
        ] {
            assert!((usual_path(rows) - expected).abs() < 1e-12, "{rows}");
        }
    }

    /// 300 rows around the origin, then one farther and farther out.
    fn cloud() -> Matrix {
        let cell = |index: usize| ((index * 7919 % 601) as f32 - 300.0) / 300.0;
        let mut values: Vec<f32> = (0..600).map(cell).collect();
        values.extend([1.5, 1.5, 3.0, -3.0, 9.0, 9.0]);
        Matrix::new(values, 2).unwrap()
    }

    #[test]
    fn the_farther_out_the_odder_and_ordinary_rows_score_about_a_half() {
        let rows = cloud();
        let scores = IsolationForest::fit(&rows, 1).scores(&rows);
        let (ordinary, odd) = scores.split_at(300);
        assert!(odd.is_sorted() && odd[0] > 0.5, "{odd:?}");
        assert!(ordinary.iter().all(|score| *score < odd[1]));
        let mean = ordinary.iter().sum::<f32>() / 300.0;
        assert!((0.35..0.5).contains(&mean), "{mean}");
    }

    #[test]
    fn a_tree_cuts_only_what_varies_and_no_deeper_than_the_average_path() {
        let mut values = Vec::new();
        (0..256u16).for_each(|row| values.extend([1.0, f32::from(row)]));
        let rows = Matrix::new(values, 2).unwrap();
        let forest = IsolationForest::fit(&rows, 1);
        for tree in &forest.trees {
            for node in tree {
                match *node {
                    Node::Cut { column, .. } => assert_eq!(column, 1),
                    Node::Leaf { path } => assert!(path <= 8.0 + usual_path(256 - 8)),
                }
            }
        }
    }
}
