//! How the cells of the training rows are spread, field by field: what a stream is compared with.

use serde::{Deserialize, Serialize};

use crate::config::Kind;
use crate::features::{Encoding, Table};

/// Bins of a number: a tenth of the training rows each.
const BINS: usize = 10;

/// Words that have a bin of their own; the others share the last one.
const MOST_WORDS: usize = 31;

/// The training rows as histograms, one a field.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile {
    pub fields: Vec<Spread>,
}

/// One field of the training rows. A time has no bins: it always moves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Ascending; bin i holds what lies below edge i and in no bin before it, the last one the rest.
    edges: Vec<f64>,
    /// Of the rows that have the field, the share in each bin; one more than edges, or none.
    shares: Vec<f64>,
    /// Share of the rows without it.
    missing: f64,
}

impl Profile {
    pub fn of(encoding: &Encoding, table: &Table) -> Profile {
        let fields = encoding.fields.iter().enumerate();
        Profile {
            fields: fields
                .map(|(index, field)| match field.kind {
                    Kind::Timestamp => Spread::default(),
                    Kind::Numeric => Spread::new(table, index, deciles(table, index)),
                    Kind::Boolean => Spread::new(table, index, vec![0.5]),
                    Kind::Categorical => {
                        let words = field.vocabulary.len().min(MOST_WORDS);
                        let edges = (0..words).map(|word| word as f64 + 0.5);
                        Spread::new(table, index, edges.collect())
                    }
                })
                .collect(),
        }
    }

    /// Whether it can be one of `fields` fields. Models of before have none.
    pub fn is_sound(&self, fields: usize) -> bool {
        self.fields.is_empty()
            || self.fields.len() == fields && self.fields.iter().all(Spread::is_sound)
    }
}

/// The inner deciles of a field, each once.
fn deciles(table: &Table, field: usize) -> Vec<f64> {
    let mut values: Vec<f64> = table.present(field).collect();
    values.sort_unstable_by(f64::total_cmp);
    let at = |tenth: usize| values.get(values.len() * tenth / BINS).copied();
    let mut edges: Vec<f64> = (1..BINS).filter_map(at).collect();
    edges.dedup();
    edges
}

impl Spread {
    fn new(table: &Table, field: usize, edges: Vec<f64>) -> Spread {
        let mut spread = Spread {
            shares: vec![0.0; edges.len() + 1],
            edges,
            missing: 0.0,
        };
        let mut present = 0.0;
        for cell in table.present(field) {
            let bin = spread.bin(cell);
            spread.shares[bin] += 1.0;
            present += 1.0;
        }
        let rows = (table.rows() as f64).max(1.0);
        spread.missing = 1.0 - present / rows;
        if present > 0.0 {
            spread.shares.iter_mut().for_each(|share| *share /= present);
        } else {
            spread.shares.clear();
        }
        spread
    }

    fn is_sound(&self) -> bool {
        let of_edges = [0, self.edges.len() + 1].contains(&self.shares.len());
        let ascending = self.edges.is_sorted_by(|a, b| a < b);
        let numbers = self.edges.iter().chain(&self.shares).chain([&self.missing]);
        of_edges && ascending && numbers.into_iter().all(|number| number.is_finite())
    }

    /// The bin of a cell that is there.
    pub fn bin(&self, cell: f64) -> usize {
        // As many edges as lie at or below it; few enough for the plain way to be the quickest.
        self.edges
            .iter()
            .map(|edge| usize::from(cell >= *edge))
            .sum()
    }

    /// The share of the training rows in each bin; none where the field is not compared.
    pub fn shares(&self) -> &[f64] {
        &self.shares
    }

    /// The share of the training rows without the field.
    pub fn missing(&self) -> f64 {
        self.missing
    }
}
