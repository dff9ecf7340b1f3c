//! Training rows on their way in.

use std::collections::BTreeMap;

use crate::config::{self, Kind};
use crate::features::{FieldSpec, Table};
use crate::metrics::DeadLetterClass;
use crate::record::{Decoder, PathError, Vocabularies};

/// Distinct words of one categorical field that are told apart while rows are collected.
const MAX_WORDS: usize = 10_000;

/// Decoded rows in memory, the newest `max_rows` of what was added.
pub struct Collection {
    decoder: Decoder,
    vocabularies: Vocabularies,
    fields: Vec<config::Field>,
    max_rows: usize,
    cells: Vec<f64>,
    table: Table,
    /// Epoch seconds, one a row; NaN if it has none.
    times: Vec<f64>,
    /// Rows added, those that were overwritten included.
    added: usize,
    rejected: BTreeMap<DeadLetterClass, usize>,
    filtered: usize,
    first_error: Option<String>,
}

/// Where the rows came from, for the manifest.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// `topic NAME` or `file NAME`.
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
            table: Table::new(fields.len()),
            times: Vec::new(),
            added: 0,
            rejected: BTreeMap::new(),
            filtered: 0,
            first_error: None,
        })
    }

    /// Takes one record in. `time_ms`: epoch milliseconds, below 0 if it has none; the field of
    /// `input.time` comes before it.
    pub fn add(&mut self, payload: &[u8], time_ms: i64) {
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
                self.keep(decoded.time.unwrap_or(kafka_time));
            }
            Err(rejection) => {
                self.first_error
                    .get_or_insert_with(|| rejection.to_string());
                *self.rejected.entry(rejection.class).or_default() += 1;
            }
        }
    }

    fn keep(&mut self, time: f64) {
        if self.table.rows() < self.max_rows {
            self.table.push(&self.cells);
            self.times.push(time);
        } else {
            let oldest = self.added % self.max_rows;
            self.table.replace(oldest, &self.cells);
            self.times[oldest] = time;
        }
        self.added += 1;
    }

    pub fn rows(&self) -> usize {
        self.table.rows()
    }

    /// Rows that were dropped because newer ones came.
    pub fn overwritten(&self) -> usize {
        self.added - self.table.rows()
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

    /// The fields with the words seen in them, the rows in the order of time, and their times.
    pub fn into_rows(self) -> (Vec<FieldSpec>, Table, Vec<f64>) {
        let mut categorical = 0..;
        let mut words = |kind| match kind {
            // Vocabularies are counted over the categorical fields alone.
            Kind::Categorical => categorical
                .next()
                .map(|index| self.vocabularies.words(index)),
            _ => None,
        };
        let specs = self
            .fields
            .iter()
            .map(|field| FieldSpec {
                path: field.path.clone(),
                kind: field.kind,
                words: words(field.kind).unwrap_or_default().to_vec(),
                least_deviation: field.min_deviation,
            })
            .collect();
        // Rows overwritten in turn: the oldest one stands where the next would go. A stable sort
        // keeps the order in which rows without a time came.
        let rows = self.table.rows();
        let oldest = if self.overwritten() > 0 {
            self.added % rows
        } else {
            0
        };
        let mut order: Vec<usize> = (0..rows).map(|row| (row + oldest) % rows).collect();
        if !self.times.iter().any(|time| time.is_nan()) {
            order.sort_by(|&a, &b| self.times[a].total_cmp(&self.times[b]));
        }
        let times = order.iter().map(|&row| self.times[row]).collect();
        (specs, self.table.select(order.into_iter()), times)
    }
}
