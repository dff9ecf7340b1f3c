//! From the moment in which a record was fed to that in which a `read_committed` reader saw the outlier.

use std::time::{Duration, Instant};

use crate::stream::{PARTITIONS, Place};
use crate::verifier::Seen;

/// Until which row was fed when, in order.
pub type Fed = Vec<(usize, Instant)>;

/// Each outlier's latency, with the time at which its record was fed; of those told twice the first.
pub fn latencies(fed: &Fed, seen: &[Seen]) -> Vec<(Instant, Duration)> {
    let mut told = std::collections::BTreeSet::new();
    let first = seen.iter().filter(|(place, _)| told.insert(*place));
    let latency = |&(place, when): &Seen| {
        let row = row(place);
        let chunk = fed.partition_point(|(until, _)| *until <= row);
        let began = fed[chunk].1;
        (began, when.saturating_duration_since(began))
    };
    first.map(latency).collect()
}

fn row(place: Place) -> usize {
    (place.1 * i64::from(PARTITIONS) + place.0) as usize
}

/// Percentiles in milliseconds, in words.
pub fn percentiles(mut latencies: Vec<Duration>) -> String {
    if latencies.is_empty() {
        return "none".into();
    }
    latencies.sort_unstable();
    let at = |share: f64| {
        let place = ((latencies.len() - 1) as f64 * share).round() as usize;
        latencies[place].as_secs_f64() * 1e3
    };
    format!(
        "p50 {:.0}, p90 {:.0}, p99 {:.0}, most {:.0} ms of {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        latencies.len()
    )
}
