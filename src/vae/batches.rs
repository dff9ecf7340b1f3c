//! The order in which training rows are seen.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, StandardNormal};

use super::rows::Rows;
use super::shape::Shape;

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
        }
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
            batch.values.extend_from_slice(values);
            batch.present.extend_from_slice(present);
        }
        let draws = chosen.len() * self.latent;
        batch
            .noise
            .extend((0..draws).map(|_| -> f32 { StandardNormal.sample(random) }));
        batch
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::vae::Head;

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
}
