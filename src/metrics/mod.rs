//! Every metric of the program, declared in one place.
//!
//! The doc comment of a field is its help text and its line in `docs/metrics.md`, which a test
//! compares. Label values are closed sets (`labels`). The registry is passed in, so that a test
//! can hold one of its own.

use std::fmt;
use std::sync::Arc;

use prometheus::process_collector::ProcessCollector;
use prometheus::{Gauge, Histogram, IntCounter, IntGauge, Registry, TextEncoder};

mod declare;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod documents;
mod family;
mod labels;
mod scores;

pub use declare::{Declaration, Kind, Label, LabelSet, LabelValue, Values};
pub use family::{BuildInfo, ByField, ByPartition, DeviceInfo, Family, ModelInfo};
pub use labels::{
    Bound, CommitResult, DeadLetterClass, Disposition, FeedbackLabel, OutputTopic, PublishError,
    Queue, Rebalance, RetrainOutcome, SkipReason, Stage,
};
pub use scores::{ScoreFigures, ScoreHistograms};

use declare::{Instrument, Place};

/// From a batch in the cache to one that waited for a broker, in steps of about three.
const STAGE_SECONDS: &[f64] = &[
    0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0,
];
/// Fine around the commit interval, where a healthy line is; coarse up to a day, for a backlog.
const END_TO_END_SECONDS: &[f64] = &[
    0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0,
    86400.0,
];
const BATCH_ROWS: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0,
];
/// Half of the held-out scores are below 0 and nine in ten below 1, by their standardisation.
const SCORE: &[f64] = &[
    -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 1000.0,
];
/// Severity is exponential for normal records: each whole step holds a tenth of the one before.
const SEVERITY: &[f64] = &[
    0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 12.0,
];
const RECONSTRUCTION_ERROR: &[f64] = &[
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1000.0,
];
/// Of either sign: a density of a narrow field is far above 1, and of an outlier near 0.
const ELBO: &[f64] = &[
    -10000.0, -1000.0, -300.0, -100.0, -50.0, -30.0, -20.0, -10.0, -5.0, 0.0, 5.0, 10.0, 20.0,
    30.0, 50.0, 100.0, 300.0,
];

declare::metrics! {
    /// Every metric of the program, registered.
    pub struct Metrics {
        /// Records whose disposition is durable. Every record has exactly one.
        records: Family<Disposition, IntCounter> = "outlierd_records_total" in "records",
        /// Records that were not meant to be scored.
        skipped: Family<SkipReason, IntCounter> = "outlierd_skipped_total" in "records",
        /// Normal records that were odd, but only in fields whose deviation does not count (`direction`,
        /// `min_deviation`).
        muted: IntCounter = "outlierd_muted_total" in "records",
        /// Records that could not be scored.
        dead_letters: Family<DeadLetterClass, IntCounter> = "outlierd_dead_letters_total" in "records",
        /// Keys and values read from the input topic, uncompressed.
        input_bytes: IntCounter = "outlierd_input_bytes_total" in "bytes",
        /// Records in a batch.
        batch_rows: Histogram = "outlierd_batch_rows" in "records" [BATCH_ROWS],
        /// Time that a batch spends in each stage, without the waits between them.
        stage_seconds: Family<Stage, Histogram> = "outlierd_stage_seconds" in "seconds" [STAGE_SECONDS],
        /// Time from a record's timestamp until its verdict is durable. Observed twice a batch: for
        /// its oldest and for its newest record.
        end_to_end_seconds: Histogram = "outlierd_end_to_end_seconds" in "seconds" [END_TO_END_SECONDS],
        /// Records between the committed offset and the end of the partition.
        consumer_lag: ByPartition = "outlierd_consumer_lag" in "records",

        /// Scores, in spreads of the held-out scores around their median.
        score: Histogram = "outlierd_score" in "spreads" [SCORE],
        /// How rare a record is: 3 means that one normal record in a thousand looks this odd.
        severity: Histogram = "outlierd_severity" in "-log10 p" [SEVERITY],
        /// Sum of the squared errors of the reconstruction over the scaled fields of a record.
        reconstruction_error: Histogram = "outlierd_reconstruction_error" in "scaled units squared" [RECONSTRUCTION_ERROR],
        /// Evidence lower bound of a record: the lower, the odder.
        elbo: Histogram = "outlierd_elbo" in "nats" [ELBO],
        /// Share of the records scored lately that were outliers.
        flag_rate: Gauge = "outlierd_flag_rate" in "share of records",
        /// Share of the records that the user wants to see as outliers; of a budget a day, at the present
        /// rate of this instance's partitions.
        budget: Gauge = "outlierd_budget" in "share of records",
        /// The p-value at or below which a record is an outlier. With a budget a day each partition has
        /// its own.
        threshold: Family<Bound, Gauge> = "outlierd_threshold_p" in "probability",

        /// 1, with the model in use in the labels. Absent while there is none.
        model_info: ModelInfo = "outlierd_model_info" in "1",
        /// Time of the newest record that the model in use was trained on, since the Unix epoch. 0 while there is none, and if its records had no time.
        model_trained: IntGauge = "outlierd_model_trained_timestamp_seconds" in "seconds",
        /// Models that were to take over and could not: damaged, or made for another configuration.
        models_refused: IntCounter = "outlierd_models_refused_total" in "models",
        /// Population stability index of a field's last 2048 rows that were looked at, beside the training rows: below 0.1 is little, above 0.25 much.
        drift_psi: ByField<Gauge> = "outlierd_drift_psi" in "index",
        /// Kolmogorov and Smirnov's statistic of the same rows.
        drift_ks: ByField<Gauge> = "outlierd_drift_ks" in "distance",
        /// Share of the same rows without the field, less that of training.
        drift_missing: ByField<Gauge> = "outlierd_drift_missing" in "share of records",
        /// Population stability index of the p-values of the same rows: how far from uniform they are.
        drift_score: Gauge = "outlierd_drift_score" in "index",
        /// Mean evidence lower bound of the same rows, less that of held-out training rows.
        drift_elbo: Gauge = "outlierd_drift_elbo" in "nats",
        /// Fields, and the scores as one more, that drift: above 0.25 twice in a row, and not below 0.1 since.
        drifting: IntGauge = "outlierd_drifting" in "fields",
        /// Outliers that people have said something of; the last word counts.
        feedback: Family<FeedbackLabel, IntGauge> = "outlierd_feedback" in "outliers",
        /// Confirmed outliers, of those that people have said something of. 0 while there are none.
        precision: Gauge = "outlierd_precision" in "share of labelled outliers",
        /// Retrains that have ended.
        retrains: Family<RetrainOutcome, IntCounter> = "outlierd_retrains_total" in "retrains",
        /// 1 while a retrain is at work, else 0.
        retrain_running: IntGauge = "outlierd_retrain_running" in "0 or 1",
        /// How much of its training a retrain has done.
        retrain_progress: Gauge = "outlierd_retrain_progress" in "share of steps",
        /// Models that were refused since the one that serves began to.
        retrain_refusals: IntGauge = "outlierd_retrain_refusals" in "models",
        /// Cells that the model did not see: absent, null, or of a wrong type under the mask policy.
        missing_cells: ByField<IntCounter> = "outlierd_missing_cells_total" in "cells",
        /// Cells whose category the model was not trained on.
        unknown_categories: ByField<IntCounter> = "outlierd_unknown_categories_total" in "cells",

        /// Changes of this instance's partitions.
        rebalances: Family<Rebalance, IntCounter> = "outlierd_rebalances_total" in "rebalances",
        /// Partitions that this instance reads.
        assigned_partitions: IntGauge = "outlierd_assigned_partitions" in "partitions",
        /// Partitions of this instance that stand still until an operator decides.
        halted_partitions: IntGauge = "outlierd_halted_partitions" in "partitions",
        /// Records that the cluster deleted, by its retention, before they were read.
        records_lost: IntCounter = "outlierd_records_lost_total" in "records",
        /// How often the line started over from the committed offsets, with new clients.
        restarts: IntCounter = "outlierd_line_restarts_total" in "restarts",
        /// Commits of offsets.
        commits: Family<CommitResult, IntCounter> = "outlierd_commits_total" in "commits",
        /// Messages that are durable on an output topic.
        published: Family<OutputTopic, IntCounter> = "outlierd_published_total" in "messages",
        /// Messages that went out without the record, which was too large for the topic.
        published_by_reference: IntCounter = "outlierd_published_by_reference_total" in "messages",
        /// Attempts to publish that failed.
        publish_errors: Family<PublishError, IntCounter> = "outlierd_publish_errors_total" in "attempts",
        /// Work that waits: batches, and messages for `in_flight`.
        queue_depth: Family<Queue, IntGauge> = "outlierd_queue_depth" in "batches or messages",

        /// 1, with what scores in the labels.
        device_info: DeviceInfo = "outlierd_device_info" in "1",
        /// 1 from when the GPU had to take smaller batches or the CPU had to take its place, else 0.
        device_degraded: IntGauge = "outlierd_device_degraded" in "0 or 1",
        /// 1 while at least one broker answers, else 0.
        broker_up: IntGauge = "outlierd_broker_up" in "0 or 1",
        /// 1 while `/readyz` says ready, else 0.
        ready: IntGauge = "outlierd_ready" in "0 or 1",
        /// 1, with the program's version and features in the labels.
        build_info: BuildInfo = "outlierd_build_info" in "1",
    }
}

impl Metrics {
    /// Registers every metric, and those of the process, with `registry`.
    ///
    /// `fields` are the configured paths, in the order in which [`ByField::add`] gets its counts.
    ///
    /// # Errors
    ///
    /// When the registry holds one of the names already, or a path stands in `fields` twice.
    pub fn new(registry: Registry, fields: &[String]) -> prometheus::Result<Arc<Self>> {
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Self::register(registry, fields).map(Arc::new)
    }

    /// Every metric of the program, less those of the process (`process_*`).
    pub fn declarations() -> &'static [Declaration] {
        Self::DECLARATIONS
    }

    /// Histograms for one score thread.
    pub fn scores(&self) -> ScoreHistograms {
        ScoreHistograms::new(self)
    }

    /// Every value, in Prometheus's text format 0.0.4.
    ///
    /// # Errors
    ///
    /// When the encoder refuses a family, which it does only for one without a name.
    pub fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn metrics(fields: &[&str]) -> Arc<Metrics> {
        let fields: Vec<String> = fields.iter().map(|&path| path.to_owned()).collect();
        Metrics::new(Registry::new(), &fields).unwrap()
    }

    #[test]
    fn every_series_of_a_closed_label_is_there_before_the_first_event() {
        let text = metrics(&[]).render().unwrap();
        for class in DeadLetterClass::ALL {
            let class = class.as_str();
            let line = format!("outlierd_dead_letters_total{{class=\"{class}\"}} 0\n");
            assert!(text.contains(&line), "{line}");
        }
        assert!(text.contains("outlierd_stage_seconds_count{stage=\"commit\"} 0\n"));
        assert!(text.contains("# TYPE outlierd_stage_seconds histogram\n"));
        assert!(text.contains("# HELP outlierd_batch_rows Records in a batch.\n"));
    }

    #[test]
    fn a_batch_counts_for_each_field_at_its_place() {
        let metrics = metrics(&["cpu.user", "disk"]);
        metrics.missing_cells.add(&[0, 3]);
        metrics.missing_cells.add(&[1, 1]);
        let text = metrics.render().unwrap();
        assert!(text.contains("outlierd_missing_cells_total{field=\"cpu.user\"} 1\n"));
        assert!(text.contains("outlierd_missing_cells_total{field=\"disk\"} 4\n"));
        assert!(text.contains("outlierd_unknown_categories_total{field=\"disk\"} 0\n"));
    }

    #[test]
    fn a_revoked_partition_is_no_longer_reported() {
        let metrics = metrics(&[]);
        metrics.consumer_lag.set(3, 10);
        metrics.consumer_lag.set(4, 20);
        metrics.consumer_lag.remove(3);
        metrics.consumer_lag.remove(5);
        let text = metrics.render().unwrap();
        assert!(!text.contains("partition=\"3\""));
        assert!(text.contains("outlierd_consumer_lag{partition=\"4\"} 20\n"));
    }

    #[test]
    fn only_the_model_in_use_is_named() {
        let metrics = metrics(&[]);
        assert!(!metrics.render().unwrap().contains("outlierd_model_info{"));
        metrics.model_info.set("v1", "s1");
        metrics.model_info.set("v2", "s1");
        let text = metrics.render().unwrap();
        assert!(!text.contains("version=\"v1\""));
        assert!(text.contains("outlierd_model_info{schema=\"s1\",version=\"v2\"} 1\n"));
    }

    #[test]
    fn scores_show_after_the_flush_and_one_that_is_not_finite_spoils_nothing() {
        let metrics = metrics(&[]);
        let scores = metrics.scores();
        let figures = ScoreFigures {
            score: 2.0,
            severity: 3.0,
            reconstruction_error: 0.5,
            elbo: -12.0,
        };
        scores.observe(&figures);
        scores.observe(&ScoreFigures {
            score: f64::NAN,
            elbo: f64::NEG_INFINITY,
            ..figures
        });
        assert_eq!(metrics.score.get_sample_count(), 0);
        scores.flush();
        assert_eq!(metrics.score.get_sample_count(), 1);
        assert_eq!(metrics.elbo.get_sample_sum(), -12.0);
        assert_eq!(metrics.severity.get_sample_count(), 2);
    }

    #[test]
    fn what_cannot_be_registered_is_an_error() {
        let twice = ["a".to_owned(), "a".to_owned()];
        assert!(Metrics::new(Registry::new(), &twice).is_err());
        let registry = Registry::new();
        let first = Metrics::new(registry.clone(), &[]);
        assert!(first.is_ok());
        assert!(Metrics::new(registry, &[]).is_err());
    }
}
