//! What becomes of the records of a batch.

use std::time::Duration;

use crate::detect::{Claim, Explanation, Scored, Tally};
use crate::metrics::DeadLetterClass;
use crate::record::Decoded;

/// The dispositions of one batch: normal + outliers + dead letters + skipped = records.
#[derive(Debug, Default, PartialEq)]
pub struct Judged {
    pub normal: u64,
    /// Those of the normal ones that were odd only in ways that the user does not care for.
    pub muted: u64,
    /// Skipped: they do not match `input.where`.
    pub filtered: u64,
    /// Skipped: records without a payload.
    pub tombstones: u64,
    pub outliers: Vec<Finding>,
    pub dead_letters: Vec<DeadLetter>,
    /// The score of each record of the batch, NaN where it has none; empty unless they are asked for.
    pub scores: Vec<f32>,
    /// Rows whose verdict is still to be made, in their order, if the threshold follows the rate.
    pub pending: Vec<Pending>,
    /// How long it took from bytes to cells.
    pub decoding: Duration,
    /// Missing cells, one count a field.
    pub missing: Vec<u64>,
    /// Categories that the model was not trained on, one count a field.
    pub unknown_categories: Vec<u64>,
    /// Some of the rows, to notice drift by.
    pub tally: Tally,
}

/// A scored row without a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pending {
    /// Its record in the batch.
    pub record: usize,
    pub p: f64,
    /// As in [`Finding`].
    pub time_ms: i64,
}

/// An outlier: record `record` of the batch, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub record: usize,
    pub scored: Scored,
    pub claim: Claim,
    /// The threshold on p that made it one.
    pub threshold_p: f64,
    pub explanation: Explanation,
    /// What an episode belongs to.
    pub key: Option<Vec<u8>>,
    /// The time of the event, epoch milliseconds: the field of `input.time`, else the record's own;
    /// below 0 if it has none.
    pub time_ms: i64,
}

/// A record that cannot be scored.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub record: usize,
    pub class: DeadLetterClass,
    /// One sentence without any of the record's values.
    pub error: String,
}

impl Judged {
    /// Records with a disposition; pending ones have none yet.
    pub fn records(&self) -> u64 {
        self.normal + self.skipped() + (self.outliers.len() + self.dead_letters.len()) as u64
    }

    pub fn skipped(&self) -> u64 {
        self.filtered + self.tombstones
    }

    pub(super) fn count_cells(&mut self, cells: &[f64], decoded: &Decoded, categorical: &[bool]) {
        // Most records have neither, and this sum is quick.
        if cells
            .iter()
            .map(|cell| u32::from(cell.is_nan()))
            .sum::<u32>()
            > 0
        {
            for (missing, cell) in self.missing.iter_mut().zip(cells) {
                *missing += u64::from(cell.is_nan());
            }
        }
        if decoded.unknown_categories > 0 {
            let cells = cells.iter().zip(categorical);
            for (unknown, (cell, categorical)) in self.unknown_categories.iter_mut().zip(cells) {
                *unknown += u64::from(*categorical && *cell == 0.0);
            }
        }
    }

    /// Takes in the verdict on a pending row; what was counted of its cells stays.
    pub(super) fn settle(&mut self, verdict: Judged) {
        self.normal += verdict.normal;
        self.muted += verdict.muted;
        self.outliers.extend(verdict.outliers);
        self.dead_letters.extend(verdict.dead_letters);
    }

    pub(super) fn add(&mut self, other: Judged) {
        self.filtered += other.filtered;
        self.tombstones += other.tombstones;
        self.decoding += other.decoding;
        self.tally.merge(&other.tally);
        self.scores.extend_from_slice(&other.scores);
        self.pending.extend_from_slice(&other.pending);
        add_up(&mut self.missing, &other.missing);
        add_up(&mut self.unknown_categories, &other.unknown_categories);
        self.settle(other);
    }
}

fn add_up(sums: &mut Vec<u64>, counts: &[u64]) {
    sums.resize(sums.len().max(counts.len()), 0);
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}
