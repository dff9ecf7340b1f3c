//! Networks and rows for tests.
#![allow(clippy::unwrap_used)]

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Head, Member, Rows, Shape};

fn normal(random: &mut impl Rng) -> f32 {
    StandardNormal.sample(random)
}

/// Weights as large as trained ones, those of the missing marks too.
pub fn member(shape: &Shape, seed: u64) -> Member {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let start = Member::untrained(shape, 0.3, &mut random);
    Member::from_tensors(shape, 0.3, |name| {
        let (_, dims, values) = start.tensors().find(|(found, ..)| *found == name)?;
        let moved = values.iter().map(|value| value + 0.3 * normal(&mut random));
        Some((dims.to_vec(), moved.collect()))
    })
    .unwrap()
}

/// Rows of every kind of head, with about one head in six missing.
#[derive(Debug, Default, Clone)]
pub struct Table {
    pub values: Vec<f32>,
    pub present: Vec<f32>,
}

impl Table {
    pub fn new(shape: &Shape, rows: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut table = Table::default();
        for _ in 0..rows {
            for head in &shape.heads {
                let there = random.random_range(0..6) > 0;
                table.present.push(f32::from(u8::from(there)));
                let first = table.values.len();
                table.values.resize(first + head.width(), 0.0);
                match *head {
                    _ if !there => {}
                    Head::Gaussian => table.values[first] = 3.0 * normal(&mut random),
                    Head::Bernoulli => table.values[first] = f32::from(random.random_range(0..2u8)),
                    Head::Categorical { classes } => {
                        table.values[first + random.random_range(0..classes)] = 1.0;
                    }
                }
            }
        }
        table
    }

    pub fn rows(&self, shape: &Shape) -> Rows<'_> {
        Rows::new(shape, &self.values, &self.present).unwrap()
    }
}
