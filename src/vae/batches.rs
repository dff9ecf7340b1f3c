//! The order in which training rows are seen.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use super::rows::Rows;
use super::shape::{Head, Shape};

/// Rows in a new random order on every pass; a pass ends when less than a whole batch is left.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    rows: Rows<'a>,
    width: usize,
    heads: usize,
    latent: usize,
    size: usize,
    order: Vec<usize>,
    next: usize,
    /// Columns whose values are probabilities.
    drawn: Vec<usize>,
}

/// The numbers of one optimiser step, row-major.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Batch {
    pub rows: usize,
    pub values: Vec<f32>,
    pub present: Vec<f32>,
    /// Rows x latent, standard normal.
    pub noise: Vec<f32>,
}

impl<'a> Batches<'a> {
    pub fn new(rows: Rows<'a>, shape: &Shape, size: usize) -> Self {
        let order: Vec<usize> = (0..rows.len()).collect();
        Batches {
            rows,
            width: shape.width(),
            heads: shape.heads.len(),
            latent: shape.latent,
            size: size.min(order.len()),
            next: order.len(),
            order,
            drawn: Vec::new(),
        }
    }

    /// Takes the values of two-valued heads for probabilities: each batch draws 0 or 1 anew.
    pub fn drawing_two_valued(mut self, shape: &Shape) -> Self {
        let two_valued = shape.columns().filter(|(_, head)| *head == Head::Bernoulli);
        self.drawn = two_valued.map(|(column, _)| column).collect();
        self
    }

    pub fn draw(&mut self, random: &mut impl Rng) -> Batch {
        if self.next + self.size > self.order.len() {
            self.order.shuffle(random);
            self.next = 0;
        }
        let chosen = &self.order[self.next..self.next + self.size];
        self.next += self.size;
        let mut batch = Batch {
            rows: chosen.len(),
            ..Batch::default()
        };
        for &row in chosen {
            let values = &self.rows.values()[row * self.width..][..self.width];
            let present = &self.rows.present()[row * self.heads..][..self.heads];
            let first = batch.values.len();
            batch.values.extend_from_slice(values);
            for &column in &self.drawn {
                let value = &mut batch.values[first + column];
                // Most are certain, and need no draw.
                if 0.0 < *value && *value < 1.0 {
                    *value = f32::from(u8::from(random.random::<f32>() < *value));
                }
            }
            batch.present.extend_from_slice(present);
        }
        let draws = chosen.len() * self.latent;
        batch
            .noise
            .extend((0..draws).map(|_| -> f32 { StandardNormal.sample(random) }));
        batch
    }
}

impl Batch {
    /// Cuts the rows into at most `parts` runs of about the same length, in their order.
    pub fn split(self, parts: usize, shape: &Shape) -> Vec<Batch> {
        let (width, heads, latent) = (shape.width(), shape.heads.len(), shape.latent);
        let size = self.rows.div_ceil(parts.max(1)).max(1);
        if size >= self.rows {
            return vec![self];
        }
        let cut = |first: usize| {
            let rows = size.min(self.rows - first);
            Batch {
                rows,
                values: self.values[first * width..][..rows * width].to_vec(),
                present: self.present[first * heads..][..rows * heads].to_vec(),
                noise: self.noise[first * latent..][..rows * latent].to_vec(),
            }
        };
        (0..self.rows).step_by(size).map(cut).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_pass_sees_every_row_at_most_once_and_starts_anew_in_another_order() {
        let shape = Shape {
            heads: vec![Head::Gaussian],
            hidden: 1,
            latent: 1,
        };
        let values: Vec<f32> = (0..10u8).map(f32::from).collect();
        let present = [1.0; 10];
        let rows = Rows::new(&shape, &values, &present).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut batches = Batches::new(rows, &shape, 5);
        let mut pass = || {
            let mut seen = batches.draw(&mut random).values;
            seen.extend(batches.draw(&mut random).values);
            seen
        };
        let (first, second) = (pass(), pass());
        assert_ne!(first, second);
        for mut seen in [first, second] {
            seen.sort_by(f32::total_cmp);
            assert_eq!(seen, values);
        }
    }

    #[test]
    fn few_rows_make_one_small_batch() {
        let shape = Shape {
            heads: vec![Head::Gaussian],
            hidden: 1,
            latent: 3,
        };
        let rows = Rows::new(&shape, &[1.0, 2.0], &[1.0, 0.0]).unwrap();
        let batch = Batches::new(rows, &shape, 128).draw(&mut ChaCha8Rng::seed_from_u64(0));
        assert_eq!((batch.rows, batch.noise.len()), (2, 6));
    }

    #[test]
    fn two_valued_cells_are_drawn_anew_by_their_probability_and_numbers_are_left() {
        let shape = Shape {
            heads: vec![Head::Gaussian, Head::Bernoulli, Head::Bernoulli],
            hidden: 1,
            latent: 1,
        };
        let (values, present) = ([0.5, 0.3, 1.0].repeat(10), [1.0; 30]);
        let rows = Rows::new(&shape, &values, &present).unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(0);
        let mut batches = Batches::new(rows, &shape, 10).drawing_two_valued(&shape);
        let mut ones = 0;
        for _ in 0..200 {
            for row in batches.draw(&mut random).values.chunks_exact(3) {
                assert!(row[0] == 0.5 && row[2] == 1.0 && (row[1] == 0.0 || row[1] == 1.0));
                ones += usize::from(row[1] == 1.0);
            }
        }
        // 2000 draws of 0.3: a deviation of 20.5.
        assert!((520..680).contains(&ones), "{ones}");
    }

    #[test]
    fn the_parts_of_a_batch_are_its_rows_in_their_order() {
        let shape = Shape {
            heads: vec![Head::Categorical { classes: 2 }, Head::Gaussian],
            hidden: 1,
            latent: 4,
        };
        let numbers = |count: usize| (0..count).map(|i| i as f32).collect::<Vec<_>>();
        for (rows, parts, lengths) in [
            (7, 2, vec![4, 3]),
            (7, 1, vec![7]),
            (2, 5, vec![1, 1]),
            (5, 4, vec![2, 2, 1]),
        ] {
            let whole = Batch {
                rows,
                values: numbers(3 * rows),
                present: numbers(2 * rows),
                noise: numbers(4 * rows),
            };
            let found = whole.clone().split(parts, &shape);
            assert_eq!(
                found.iter().map(|part| part.rows).collect::<Vec<_>>(),
                lengths
            );
            let joined = |of: fn(&Batch) -> &Vec<f32>| {
                found.iter().flat_map(of).copied().collect::<Vec<_>>()
            };
            assert_eq!(joined(|part| &part.values), whole.values);
            assert_eq!(joined(|part| &part.present), whole.present);
            assert_eq!(joined(|part| &part.noise), whole.noise);
        }
    }
}
