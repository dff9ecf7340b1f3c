//! A judged batch that waits until all that is said of it is durable.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Batch, Judged};
use crate::detect::Pace;

/// A judged batch on its way out.
pub(super) struct Flight {
    /// Of each partition in the batch, the offset after its last record.
    pub(super) next: BTreeMap<i32, i64>,
    /// The pace of each of them up to there, if the budget is one a day.
    pub(super) paces: BTreeMap<i32, Pace>,
    /// Oldest and newest record time, epoch milliseconds, of records that have one.
    pub(super) times: Option<(i64, i64)>,
    pub(super) judged: Judged,
    pub(super) bytes: usize,
    pub(super) since: Instant,
    /// Messages of it without an acknowledgement.
    pub(super) waiting: usize,
}

impl Flight {
    /// Messages about no record.
    pub(super) fn empty(since: Instant) -> Flight {
        Flight::new(&Batch::default(), Judged::default(), since)
    }

    pub(super) fn new(batch: &Batch, judged: Judged, since: Instant) -> Flight {
        let mut next = BTreeMap::new();
        let mut times: Option<(i64, i64)> = None;
        // Offsets rise within a partition: the last one stays.
        for run in batch.records().chunk_by(|a, b| a.partition == b.partition) {
            next.extend(run.last().map(|last| (last.partition, last.offset + 1)));
        }
        for record in batch.records() {
            if record.timestamp_ms >= 0 {
                let (oldest, newest) = times.unwrap_or((i64::MAX, i64::MIN));
                times = Some((
                    oldest.min(record.timestamp_ms),
                    newest.max(record.timestamp_ms),
                ));
            }
        }
        Flight {
            next,
            paces: BTreeMap::new(),
            times,
            judged,
            bytes: batch.bytes(),
            since,
            waiting: 0,
        }
    }
}
