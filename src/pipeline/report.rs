//! What the line says of itself: counts per batch, never per record.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::delivery::Delivery;
use super::flight::Flight;
use super::watch::Watch;
use crate::detect::Model;
use crate::kafka::Position;
use crate::metrics::{Disposition, Metrics, Queue, SkipReason, Stage};

/// The flag rate is that of this span.
const FLAG_RATE_SPAN: Duration = Duration::from_secs(3600);

/// A line in the log at most this often, while records come.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// Counts batches whose every record has a durable disposition.
pub(super) struct Reporter {
    metrics: Arc<Metrics>,
    watch: Watch,
    /// Scored and flagged records a minute, newest last.
    minutes: VecDeque<(Instant, u64, u64)>,
    logged: Instant,
    since_log: Counts,
}

#[derive(Default)]
struct Counts {
    normal: u64,
    outliers: u64,
    dead_letters: u64,
    skipped: u64,
}

impl Reporter {
    pub(super) fn new(metrics: Arc<Metrics>, watch: Watch) -> Reporter {
        Reporter {
            metrics,
            watch,
            minutes: VecDeque::new(),
            logged: Instant::now(),
            since_log: Counts::default(),
        }
    }

    /// What comes is judged by another model from here on.
    pub(super) fn judged_by(&mut self, model: &Arc<Model>) {
        self.watch.go_by(model);
    }

    /// Counts a batch that has landed.
    pub(super) fn landed(&mut self, flight: &Flight) {
        let (metrics, judged) = (&self.metrics, &flight.judged);
        let (outliers, dead) = (
            judged.outliers.len() as u64,
            judged.dead_letters.len() as u64,
        );
        for (disposition, count) in [
            (Disposition::Normal, judged.normal),
            (Disposition::Outlier, outliers),
            (Disposition::DeadLetter, dead),
            (Disposition::Skipped, judged.skipped()),
        ] {
            metrics.records.get(disposition).inc_by(count);
        }
        metrics
            .skipped
            .get(SkipReason::Filtered)
            .inc_by(judged.filtered);
        metrics
            .skipped
            .get(SkipReason::Tombstone)
            .inc_by(judged.tombstones);
        metrics.muted.inc_by(judged.muted);
        for letter in &judged.dead_letters {
            metrics.dead_letters.get(letter.class).inc();
        }
        self.watch.add(&judged.tally);
        metrics.missing_cells.add(&judged.missing);
        metrics.unknown_categories.add(&judged.unknown_categories);
        metrics.input_bytes.inc_by(flight.bytes as u64);
        metrics.batch_rows.observe(judged.records() as f64);
        let published = flight.since.elapsed().as_secs_f64();
        metrics.stage_seconds.get(Stage::Publish).observe(published);
        self.latency(flight);
        self.flag_rate(judged.normal + outliers, outliers);
        self.since_log.normal += judged.normal;
        self.since_log.outliers += outliers;
        self.since_log.dead_letters += dead;
        self.since_log.skipped += judged.skipped();
    }

    fn latency(&self, flight: &Flight) {
        if let Some((oldest, newest)) = flight.times {
            let now = jiff::Timestamp::now().as_millisecond();
            for time in [oldest, newest] {
                // Clocks of producers may run ahead of ours.
                let seconds = (now - time).max(0) as f64 / 1000.0;
                self.metrics.end_to_end_seconds.observe(seconds);
            }
        }
    }

    fn flag_rate(&mut self, scored: u64, flagged: u64) {
        let now = Instant::now();
        match self.minutes.back_mut() {
            Some((since, all, odd)) if now.duration_since(*since) < Duration::from_secs(60) => {
                *all += scored;
                *odd += flagged;
            }
            _ => self.minutes.push_back((now, scored, flagged)),
        }
        while let Some((since, ..)) = self.minutes.front()
            && now.duration_since(*since) > FLAG_RATE_SPAN
        {
            self.minutes.pop_front();
        }
        let sum = |of: fn(&(Instant, u64, u64)) -> u64| self.minutes.iter().map(of).sum::<u64>();
        let scored = sum(|minute| minute.1);
        if scored > 0 {
            self.metrics
                .flag_rate
                .set(sum(|minute| minute.2) as f64 / scored as f64);
        }
    }

    /// Gauges and the log line, on every tick of the commit interval.
    pub(super) fn tick(
        &mut self,
        ends: &BTreeMap<i32, i64>,
        positions: &BTreeMap<i32, Position>,
        delivery: &Delivery,
    ) {
        for (partition, position) in positions {
            if let Some(end) = ends.get(partition) {
                let lag = (end - position.next).max(0);
                self.metrics.consumer_lag.set(*partition, lag);
            }
        }
        let in_flight = i64::try_from(delivery.in_flight()).unwrap_or(i64::MAX);
        self.metrics.queue_depth.get(Queue::InFlight).set(in_flight);
        let counts = &self.since_log;
        let records = counts.normal + counts.outliers + counts.dead_letters + counts.skipped;
        if records > 0 && self.logged.elapsed() >= LOG_EVERY {
            tracing::info!(
                records,
                outliers = counts.outliers,
                dead_letters = counts.dead_letters,
                skipped = counts.skipped,
                "the last minute"
            );
            self.logged = Instant::now();
            self.since_log = Counts::default();
        }
    }
}
