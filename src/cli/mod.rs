//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config;

mod dlq;
mod feedback;
mod models;
mod retrain;

pub use dlq::{Chosen, Dlq, DlqCommand, DlqList, DlqReplay, DlqShow};
pub use feedback::Feedback;
pub use models::{LendCommand, Models, ModelsCommand, One, Wait};
pub use retrain::Retrain;

/// Finds the odd records of a Kafka stream with a variational autoencoder, and says why.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
#[command(
    after_help = "Try it without a Kafka: `outlierd demo`. With your own: `outlierd init`, \
    `outlierd train`, `outlierd run`."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch it work: an embedded broker, real input, training, the line, provoked disturbances
    Demo(Demo),
    /// Sample a topic or file, infer its fields, and write a commented configuration
    Init(Init),
    /// Report every error of a configuration, and what `run` would meet
    Check(Check),
    /// Train a model on the newest records of the input topic, or on a file
    Train(Train),
    /// Train a new model for the store, and have it serve if it is good enough
    Retrain(Retrain),
    /// Run the daemon
    Run(Run),
    /// Judge records on standard input, one at a time: `run` starts this to try records that may have ended it
    #[command(hide = true)]
    Probe(Run),
    /// Score a file with a model: one JSON object a record on standard output
    Score(Score),
    /// Make plausible new records with a model
    ///
    /// They have the fields that the model sees, in the order of its configuration and nested as
    /// in the input. Numbers stay within what training saw and have as many digits; words are those
    /// of the vocabulary; times are RFC 3339, in UTC, within the time of the training rows. No value
    /// is ever missing. The same seed makes the same records, and more of them begin with these.
    Sample(Sample),
    /// Turn a file's records into the codes that a model gives them
    ///
    /// One line a row: its number, the mean of its code and the deviation, with the p-value and the
    /// score of `outlierd score`. What the way back costs is said on standard error.
    Encode(Encode),
    /// Turn codes back into records
    ///
    /// Of each code the record that the model expects: numbers as the decoder has them, rounded as
    /// in training, and the likeliest words and booleans. A time is the last one of its hour, or of
    /// its hour and weekday, within the time of the training rows.
    Decode(Decode),
    /// Look at the dead letters, and replay them
    Dlq(Dlq),
    /// Look at the models of a store, and choose the one that serves
    Models(Models),
    /// Compare the model with plain detectors on a labelled file
    Evaluate(Evaluate),
    /// Say what an outlier was, for the retrains to come
    Feedback(Feedback),
    /// Put a file's records into a topic, to try things
    Feed(Feed),
    /// Show what a model file says of itself
    Show(Show),
    /// Write a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Where the records come from: this host's sensors, generated card transactions, a pump
    /// whose readings drift, or a CSV or NDJSON file (also .gz)
    #[arg(
        long,
        default_value = "host",
        value_name = "host|transactions|drift|FILE"
    )]
    pub source: String,
    /// End by itself after this long, training included
    #[arg(long = "for", value_name = "DURATION", value_parser = config::time_span)]
    pub lasts: Option<Duration>,
    /// Print one JSON object with the counts as the last line of standard output
    #[arg(long)]
    pub json: bool,
    /// Provoke no disturbances
    #[arg(long)]
    pub no_disturb: bool,
    /// Where metrics, health and status are served
    #[arg(long, default_value = "127.0.0.1:0", value_name = "HOST:PORT")]
    pub http: std::net::SocketAddr,
    /// Seed of the generated transactions and of the training
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub struct Init {
    #[command(flatten)]
    pub cluster: Cluster,
    /// The topic to read
    #[arg(long)]
    pub topic: String,
    /// Infer from this CSV or NDJSON file (also .gz) instead of the topic
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
    /// Where the configuration goes; `-` is standard output
    #[arg(long, short, default_value = "outlierd.toml", value_name = "FILE")]
    pub output: PathBuf,
    /// Records to look at
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub sample: usize,
    /// Overwrite the configuration if it exists
    #[arg(long)]
    pub force: bool,
}

/// Which cluster, for commands without a configuration.
#[derive(Debug, Args)]
pub struct Cluster {
    /// The cluster, as host:port[,host:port...]
    #[arg(long, default_value = "localhost:9092")]
    pub brokers: String,
    /// A setting of librdkafka, as security.protocol=ssl; may be given several times
    #[arg(long = "property", short = 'X', value_name = "KEY=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,
}

/// Which configuration.
#[derive(Debug, Clone, Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(
        long = "config",
        short = 'c',
        default_value = "outlierd.toml",
        value_name = "FILE",
        global = true
    )]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Look at the configuration alone, not at the cluster and the model
    #[arg(long)]
    pub offline: bool,
}

/// A running instance that is asked, instead of the store.
#[derive(Debug, Clone, Default, Args)]
pub struct Asked {
    /// Have a running instance do it, at http://HOST:PORT; no configuration is read then
    #[arg(long, value_name = "URL", global = true, conflicts_with = "path")]
    pub url: Option<String>,
    /// A file with the token of its http.token [default: the variable OUTLIERD_TOKEN]
    #[arg(long, value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
}

/// What is learnt from.
#[derive(Debug, Default, Args)]
pub struct TrainingRecords {
    /// Train on records from this time on: RFC 3339, or back from now as in -7d
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        conflicts_with = "from_file"
    )]
    pub from: Option<String>,
    /// Train on records before this time
    #[arg(
        long,
        value_name = "TIME",
        allow_hyphen_values = true,
        conflicts_with = "from_file"
    )]
    pub to: Option<String>,
    /// Train on this CSV or NDJSON file (also .gz) instead of the topic
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Train {
    #[command(flatten)]
    pub config: ConfigFile,
    #[command(flatten)]
    pub records: TrainingRecords,
    /// Where the model goes; without it, model.path or model.store of the configuration
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub config: ConfigFile,
}

#[derive(Debug, Args)]
pub struct Score {
    /// The CSV or NDJSON file (also .gz) to score
    pub file: PathBuf,
    /// The model
    #[arg(long, short, value_name = "FILE")]
    pub model: PathBuf,
    /// The alert budget by which records are flagged: a share as 0.1%, or a number as 20/day, which is
    /// divided by the records a day that the model was trained on, not by those of the file
    #[arg(long, default_value = "0.1%")]
    pub budget: String,
    /// Print flagged and rejected records only
    #[arg(long)]
    pub outliers: bool,
}

/// Which network of a model.
#[derive(Debug, Args)]
pub struct Member {
    /// The model
    #[arg(long, short, value_name = "FILE")]
    pub model: PathBuf,
    /// The network of the ensemble to work with, counted from 1 in the order of train.floors;
    /// without it, the one with the least floor
    #[arg(long, value_name = "K")]
    pub member: Option<usize>,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// One JSON object a line
    Ndjson,
    /// A header, then one line a row
    Csv,
}

#[derive(Debug, Args)]
pub struct Sample {
    #[command(flatten)]
    pub member: Member,
    /// Records to make
    #[arg(short = 'n', value_name = "N")]
    pub count: u64,
    /// Another seed makes other records
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How records are written
    #[arg(long, value_enum, default_value_t = RowFormat::Ndjson)]
    pub format: RowFormat,
}

#[derive(Debug, Args)]
pub struct Encode {
    /// The CSV or NDJSON file (also .gz)
    pub file: PathBuf,
    #[command(flatten)]
    pub member: Member,
    /// How codes are written
    #[arg(long, value_enum, default_value_t = RowFormat::Ndjson)]
    pub format: RowFormat,
    /// Say at the end what the way back costs each field, in its own units
    #[arg(long)]
    pub errors: bool,
    /// Draw the codes on their two principal components, as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub map: Option<PathBuf>,
    /// The alert budget by which rows are flagged on the map: a share as 0.1%, or a number a day
    #[arg(long, default_value = "0.1%")]
    pub budget: String,
}

#[derive(Debug, Args)]
pub struct Decode {
    /// The codes, as `encode` prints them; `-` is standard input
    #[arg(default_value = "-")]
    pub file: PathBuf,
    #[command(flatten)]
    pub member: Member,
    /// How records are written
    #[arg(long, value_enum, default_value_t = RowFormat::Ndjson)]
    pub format: RowFormat,
}

#[derive(Debug, Args)]
pub struct Evaluate {
    /// The labelled CSV or NDJSON file (also .gz)
    pub file: PathBuf,
    /// The column that says which rows are anomalies: 1 or true
    #[arg(long, default_value = "label", value_name = "COLUMN")]
    pub label: String,
    /// forward: the first 70 % train, the rest is scored; one-class: the first half of the normal
    /// rows trains, all other rows are scored; contaminated: all rows train and are scored. Without
    /// it forward, or with --model all rows are scored
    #[arg(long, value_name = "forward|one-class|contaminated")]
    pub protocol: Option<String>,
    /// Score this file; FILE trains
    #[arg(long, value_name = "FILE")]
    pub test: Option<PathBuf>,
    /// The field that names what a record belongs to, for figures by key
    #[arg(long, value_name = "PATH")]
    pub key: Option<String>,
    /// The field that holds the record's time: rows train in its order; with --key for the card
    /// precision at 100 a day
    #[arg(long, value_name = "PATH")]
    pub time: Option<String>,
    /// How often to train, each time with another seed
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seeds: u64,
    /// Which detectors: outlierd, members, autoencoder, pca, mcd, iforest, knn, z2, random
    #[arg(long, value_name = "all|LIST")]
    pub detectors: Option<String>,
    /// The alert budget by which rows are flagged: a share as 1%, or a number a day
    #[arg(long, default_value = "1%")]
    pub budget: String,
    /// Judge this model instead of training one
    #[arg(long, short, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Take the fields and the training settings of this configuration; without it fields are inferred
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The training rows are known to hold no anomalies
    #[arg(long)]
    pub clean: bool,
    /// For programs: one JSON object
    #[arg(long)]
    pub json: bool,
    /// Write a report as HTML into this folder
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Feed {
    /// The CSV or NDJSON file (also .gz)
    pub file: PathBuf,
    #[command(flatten)]
    pub cluster: Cluster,
    /// The topic to write
    #[arg(long)]
    pub topic: String,
    /// The field whose value becomes the key
    #[arg(long, value_name = "PATH")]
    pub key: Option<String>,
    /// Records a second; as fast as it goes if not given
    #[arg(long, value_name = "N", conflicts_with = "speed")]
    pub rate: Option<f64>,
    /// Replay by the records' own time, this many times as fast
    #[arg(long, value_name = "FACTOR", requires = "time")]
    pub speed: Option<f64>,
    /// The field that holds the record's time
    #[arg(long, value_name = "PATH")]
    pub time: Option<String>,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The model file
    pub model: PathBuf,
    /// For programs: the manifest as JSON
    #[arg(long)]
    pub json: bool,
}

fn property(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .ok_or_else(|| "KEY=VALUE is wanted, as security.protocol=ssl".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
