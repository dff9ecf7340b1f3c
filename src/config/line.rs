//! `[detect]` and `[line]`: what becomes an alert, and the sizes of the way there.

use std::time::Duration;

use super::budget::Budget;
use super::quantity::{bytes, duration, whole};
use super::section::Section;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86400);

/// `[detect]`: what becomes an alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Detect {
    pub budget: Budget,
    /// Outliers of one key no further apart than this share an episode.
    pub episode_gap: Duration,
}

/// `[line]`: the sizes of the line from Kafka bytes to committed offset.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub batch_rows: usize,
    pub batch_bytes: usize,
    /// A batch leaves the consume thread at this age, full or not.
    pub batch_age: Duration,
    /// Score threads.
    pub threads: usize,
    pub commit_interval: Duration,
    /// How long a stop may take before it is cut short.
    pub grace: Duration,
}

impl Detect {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let budget = section.or("budget", "0.1%", Budget::parse);
        let gaps = duration(Duration::ZERO..=30 * DAY);
        let episode_gap = section.or("episode_gap", "60s", gaps);
        section.finish();
        Some(Self {
            budget: budget?,
            episode_gap: episode_gap?,
        })
    }
}

impl Line {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let batch_rows = section.or("batch_rows", "1024", whole(1..=65536));
        let batch_bytes = section.or("batch_bytes", "4MiB", bytes(1 << 10..=256 << 20));
        let batch_age = section.or("batch_age", "20ms", duration(MILLISECOND..=10 * SECOND));
        let threads = section.or("threads", "1", whole(1..=256));
        let intervals = duration(10 * MILLISECOND..=MINUTE);
        let commit_interval = section.or("commit_interval", "200ms", intervals);
        let grace = section.or("grace", "30s", duration(SECOND..=10 * MINUTE));
        section.finish();
        Some(Self {
            batch_rows: batch_rows?,
            batch_bytes: batch_bytes?,
            batch_age: batch_age?,
            threads: threads?,
            commit_interval: commit_interval?,
            grace: grace?,
        })
    }
}
