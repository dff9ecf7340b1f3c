//! The configuration: plain data, parsed whole and validated whole before anything is bound.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

mod budget;
mod secret;

pub use budget::Budget;
pub use secret::Secret;

/// Everything that a user can set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub kafka: Kafka,
    pub input: Input,
    pub fields: Vec<Field>,
    pub output: Output,
    pub dead_letter: DeadLetter,
    pub model: Model,
    pub train: Train,
    pub detect: Detect,
    pub line: Line,
    pub http: Http,
    pub log: Log,
}

/// `[kafka]`: how to reach the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Kafka {
    /// `host:port[,host:port…]`, librdkafka's `bootstrap.servers`.
    pub brokers: String,
    /// `[kafka.properties]`: passed through to librdkafka, less those that would break a promise.
    pub properties: BTreeMap<String, String>,
    /// `[kafka.secrets]`: librdkafka keys whose values come from a file or the environment only.
    pub secrets: BTreeMap<String, Secret>,
}

/// `[input]`: what is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Where a group without committed offsets starts.
    pub start: Start,
    /// `where`: records that do not match are skipped, and counted as filtered.
    pub filter: Option<Filter>,
    /// Path of the field that names what an episode belongs to; without it the Kafka key does.
    pub key: Option<String>,
    /// Path of the event time; without it the Kafka timestamp is used.
    pub time: Option<String>,
    /// What happens to a record that lacks a field (a field's `required` overrides it).
    pub missing: Policy,
    /// What happens to a record with a field of the wrong type.
    pub wrong_type: Policy,
    /// Records longer than this go to the dead letters as `too_large`. Bytes.
    pub max_record_bytes: usize,
}

/// Where a group without committed offsets starts reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    Latest,
    Earliest,
    /// Right after the last offset that the model was trained on.
    AfterTraining,
    /// At the first record at or after this instant.
    Time(jiff::Timestamp),
}

/// `where = 'type = "reading" and value exists'`: all conditions must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub conditions: Vec<Condition>,
}

/// One condition of a [`Filter`].
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The field at `path` is there and not null.
    Exists { path: String },
    /// The field at `path` is a string, number or boolean whose text is `value`.
    Equals { path: String, value: String },
}

/// What is done with a cell that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The cell counts as missing: masked in the likelihood.
    Mask,
    /// The record becomes a dead letter.
    DeadLetter,
}

/// `[[fields]]`: one field that the model sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Dotted path into the record, `cpu.user`.
    pub path: String,
    pub kind: Kind,
    /// A record without it becomes a dead letter.
    pub required: bool,
    /// The side on which a deviation counts.
    pub direction: Direction,
    /// Deviations below this, in the field's own units, never make an outlier. 0 or more.
    pub min_deviation: f64,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Numeric,
    Boolean,
    Categorical,
    Timestamp,
}

/// The side on which a deviation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Both,
    Above,
    Below,
}

/// `[output]`: where outliers go and how much of a record goes with them.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub topic: String,
    pub record: Copied,
    /// Paths whose values are replaced by a keyed hash wherever a record is shown; `$key` is the
    /// Kafka key.
    pub redact: Vec<String>,
    /// The key of that hash; required when `redact` is not empty.
    pub redact_key: Option<Secret>,
}

/// How much of the record an outlier message copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    Full,
    /// Only the configured fields.
    Fields,
    None,
}

/// `[dead_letter]`: where records go that cannot be scored.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub topic: String,
    /// Whether the raw bytes go with the position and the class.
    pub payload: bool,
}

/// `[model]`: the model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub path: PathBuf,
}

/// `[train]`: how a model is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Train {
    /// Whether the training rows are known to hold no outliers.
    pub data: TrainingData,
    /// How far back the training rows reach.
    pub since: Duration,
    /// The newest rows that are kept.
    pub max_rows: usize,
    /// Share of the rows, the newest ones, that is held out for calibration.
    pub calibration_share: f64,
    /// Width of each hidden layer.
    pub hidden: usize,
    /// Width of the latent code.
    pub latent: usize,
    /// One ensemble member for each variance floor (a deviation, in scaled units).
    pub floors: Vec<f64>,
    /// Upper bound of the optimiser steps a member.
    pub max_steps: usize,
    pub seed: u64,
}

/// Whether the training rows are known to hold no outliers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingData {
    Clean,
    Unlabelled,
}

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

/// `[http]`: metrics, health and status.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    pub bind: SocketAddr,
}

/// `[log]`: what is written to standard error.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    pub level: Level,
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Human,
    Json,
}
