//! Training rows on their way in.

use std::collections::BTreeMap;

use super::reservoir::{Place, Reservoir};
use crate::config::{self, Kind};
use crate::features::{FieldSpec, Table};
use crate::metrics::DeadLetterClass;
use crate::record::{Decoder, PathError, Vocabularies};

/// Distinct words of one categorical field that are told apart while rows are collected.
const MAX_WORDS: usize = 10_000;

/// Decoded rows in memory: all that were added, or an even sample of `max_rows` of them.
pub struct Collection {
    decoder: Decoder,
    vocabularies: Vocabularies,
    fields: Vec<config::Field>,
    max_rows: usize,
    cells: Vec<f64>,
    kept: Reservoir,
    /// Records that were offered, whatever became of them.
    offered: i64,
    /// Rows that could be used, those that were not kept included.
    usable: usize,
    /// By field, usable rows without it.
    missing: Vec<usize>,
    span: Span,
    rejected: BTreeMap<DeadLetterClass, usize>,
    filtered: usize,
    first_error: Option<String>,
}

/// Earliest and latest time of the usable rows.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: f64,
    last: f64,
    /// Whether some row had no time.
    gaps: bool,
}

/// What there is to learn from.
pub struct Material {
    /// The fields with the words seen in them.
    pub fields: Vec<FieldSpec>,
    /// The rows in the order of time.
    pub table: Table,
    /// Usable rows that the source had; the table's are an even sample of them.
    pub usable: usize,
    /// Their earliest and latest time, epoch seconds, if all have one.
    pub span: Option<(f64, f64)>,
}

impl Material {
    /// The rate of usable rows over their time; `None` where they have none or all have the same.
    pub fn records_per_day(&self) -> Option<f64> {
        let (first, last) = self.span?;
        let days = (last - first) / 86_400.0;
        (days > 0.0).then(|| self.usable as f64 / days)
    }
}

/// Where the rows came from, for the manifest.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// `topic NAME`, or `file` with the hash of its rows: a file's name and folder say nothing of
    /// its contents, and stay out of the model.
    pub name: String,
    /// Of a topic: partition, first offset, next offset.
    pub offsets: Vec<(i32, i64, i64)>,
}

impl Collection {
    /// # Errors
    /// When the configured paths contradict each other.
    pub fn new(
        fields: &[config::Field],
        input: &config::Input,
        max_rows: usize,
    ) -> Result<Collection, PathError> {
        Ok(Collection {
            decoder: Decoder::new(fields, input)?,
            vocabularies: Vocabularies::learning(MAX_WORDS),
            fields: fields.to_vec(),
            max_rows: max_rows.max(1),
            cells: vec![f64::NAN; fields.len()],
            kept: Reservoir::new(fields.len(), max_rows, 0),
            offered: 0,
            usable: 0,
            missing: vec![0; fields.len()],
            span: Span {
                first: f64::INFINITY,
                last: f64::NEG_INFINITY,
                gaps: false,
            },
            rejected: BTreeMap::new(),
            filtered: 0,
            first_error: None,
        })
    }

    /// The same, with another seed of the sample. Before rows are added.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Collection {
        self.kept = Reservoir::new(self.fields.len(), self.max_rows, seed);
        self
    }

    /// Takes in the next record of a file. `time_ms`: epoch milliseconds, below 0 if it has none;
    /// the field of `input.time` comes before it.
    pub fn add(&mut self, payload: &[u8], time_ms: i64) {
        let place = Place {
            partition: 0,
            offset: self.offered,
        };
        self.add_from(place, payload, time_ms);
    }

    /// Takes in the record that stands at `place`, the others as [`Self::add`]. Records may come in
    /// any order.
    pub fn add_from(&mut self, place: Place, payload: &[u8], time_ms: i64) {
        self.offered += 1;
        match self
            .decoder
            .decode(payload, &mut self.vocabularies, &mut self.cells)
        {
            Ok(decoded) if decoded.filtered => self.filtered += 1,
            Ok(decoded) => {
                let kafka_time = if time_ms < 0 {
                    f64::NAN
                } else {
                    time_ms as f64 / 1000.0
                };
                let time = decoded.time.unwrap_or(kafka_time);
                self.usable += 1;
                for (missing, cell) in self.missing.iter_mut().zip(&self.cells) {
                    *missing += usize::from(cell.is_nan());
                }
                self.span.take(time);
                self.kept.add(place, time, &self.cells);
            }
            Err(rejection) => {
                self.first_error
                    .get_or_insert_with(|| rejection.to_string());
                *self.rejected.entry(rejection.class).or_default() += 1;
            }
        }
    }

    /// Rows that are learnt from.
    pub fn rows(&self) -> usize {
        self.kept.rows()
    }

    /// Rows that could be used; if they are more than [`Self::rows`], those are an even sample.
    pub fn usable(&self) -> usize {
        self.usable
    }

    /// Fields that some usable rows lack, with the share of those rows.
    pub fn gaps(&self) -> impl Iterator<Item = (&str, f64)> {
        let paths = self.fields.iter().map(|field| field.path.as_str());
        let gaps = paths
            .zip(&self.missing)
            .filter(|(_, missing)| **missing > 0);
        gaps.map(|(path, &missing)| (path, missing as f64 / self.usable as f64))
    }

    /// Records that were offered, unusable and filtered ones included.
    pub fn offered(&self) -> usize {
        usize::try_from(self.offered).unwrap_or(0)
    }

    pub fn filtered(&self) -> usize {
        self.filtered
    }

    /// Records that would be dead letters, by class.
    pub fn rejected(&self) -> &BTreeMap<DeadLetterClass, usize> {
        &self.rejected
    }

    /// What was wrong with the first rejected record.
    pub fn first_error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }

    /// The fields with the words seen in them, and the rows in the order of time.
    pub fn into_material(self) -> Material {
        let mut categorical = 0..;
        let mut words = |kind| match kind {
            // Vocabularies are counted over the categorical fields alone.
            Kind::Categorical => categorical
                .next()
                .map(|index| self.vocabularies.words(index)),
            _ => None,
        };
        let fields = self.fields.iter().map(|field| FieldSpec {
            path: field.path.clone(),
            kind: field.kind,
            words: words(field.kind).unwrap_or_default().to_vec(),
            least_deviation: field.min_deviation,
        });
        Material {
            fields: fields.collect(),
            usable: self.usable,
            span: self.span.whole(),
            table: self.kept.into_table(),
        }
    }
}

impl Span {
    fn take(&mut self, time: f64) {
        self.gaps |= time.is_nan();
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    fn whole(&self) -> Option<(f64, f64)> {
        (!self.gaps && self.first <= self.last).then_some((self.first, self.last))
    }
}
