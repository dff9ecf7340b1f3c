//! Which rows train and which are judged.

use std::fmt;

use outlierd::config::TrainingData;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::material::Material;

/// What is known of the training rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Half of the normal rows train, the other half is judged.
    Clean,
    /// 70 % of all rows train, the normal ones among the others are judged.
    Unlabelled,
}

/// In what order the rows are before they are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Rows are exchangeable.
    Shuffled { seed: u64 },
    /// Rows are as the world gave them.
    File,
}

/// Rows by their index.
pub struct Split {
    pub train: Vec<usize>,
    pub unseen: Vec<usize>,
}

impl Protocol {
    pub fn data(self) -> TrainingData {
        match self {
            Protocol::Clean => TrainingData::Clean,
            Protocol::Unlabelled => TrainingData::Unlabelled,
        }
    }

    /// Splits `material`; no more than `most` rows train. With `Clean` the anomalies are all unseen.
    pub fn split(self, material: &Material, order: Order, most: usize) -> Split {
        let mut rows: Vec<usize> = (0..material.records.len()).collect();
        if let Order::Shuffled { seed } = order {
            rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        let anomalous = |row: &usize| material.anomalous[*row];
        let (rows, apart) = match self {
            Protocol::Clean => rows.into_iter().partition(|row| !anomalous(row)),
            Protocol::Unlabelled => (rows, Vec::new()),
        };
        let share = match self {
            Protocol::Clean => 0.5,
            Protocol::Unlabelled => 0.7,
        };
        let (train, unseen) = rows.split_at((rows.len() as f64 * share) as usize);
        Split {
            train: train[..train.len().min(most)].to_vec(),
            unseen: unseen.iter().chain(&apart).copied().collect(),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Clean => "clean",
            Protocol::Unlabelled => "unlabelled",
        })
    }
}
