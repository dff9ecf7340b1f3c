//! The command line of `outlierd dlq`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ConfigFile;
use crate::metrics::DeadLetterClass;

#[derive(Debug, Args)]
pub struct Dlq {
    #[command(subcommand)]
    pub command: DlqCommand,
}

#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Count the dead letters by class, and show the newest
    ///
    /// Reads the whole topic as it is now, without a group, and commits nothing.
    List(DlqList),
    /// Show one dead letter with its record
    Show(DlqShow),
    /// Write the records of dead letters to the input topic again, each to its partition
    ///
    /// Each leaves a marker on the dead-letter topic, so that it is not replayed twice, and so that a record that fails
    /// again is known for one that was replayed.
    Replay(DlqReplay),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub struct Chosen {
    /// Only this class, as json_syntax; may be given several times
    #[arg(long = "class", value_name = "CLASS", value_parser = classes())]
    pub classes: Vec<String>,
    /// Only records of this partition of the input
    #[arg(long, value_name = "N")]
    pub partition: Option<i32>,
    /// Only records from this time on, as 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<jiff::Timestamp>,
    /// Only records before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<jiff::Timestamp>,
}

#[derive(Debug, Args)]
pub struct DlqList {
    #[command(flatten)]
    pub config: ConfigFile,
    #[command(flatten)]
    pub chosen: Chosen,
    /// How many of the newest to show
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
    /// For programs: one JSON object a dead letter, all of them
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DlqShow {
    /// The id of the dead letter, or PARTITION:OFFSET of its record
    #[arg(value_name = "ID|PARTITION:OFFSET")]
    pub letter: String,
    #[command(flatten)]
    pub config: ConfigFile,
    /// Write the bytes of the record and nothing else
    #[arg(long)]
    pub raw: bool,
}

#[derive(Debug, Args)]
pub struct DlqReplay {
    /// Only these ids
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    #[command(flatten)]
    pub config: ConfigFile,
    #[command(flatten)]
    pub chosen: Chosen,
    /// Say how many it would be, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Leave out records that have failed after so many replays
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub max_replays: u32,
    /// Also those that were replayed already
    #[arg(long)]
    pub again: bool,
    /// Write nothing: judge the records as this configuration would, and print what comes of each
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub through: Option<PathBuf>,
}

/// The classes that a dead letter can have.
fn classes() -> clap::builder::PossibleValuesParser {
    DeadLetterClass::ALL
        .iter()
        .map(|class| class.as_str())
        .into()
}
