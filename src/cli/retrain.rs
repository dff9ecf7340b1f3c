//! The command line of `outlierd retrain`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::ConfigFile;

#[derive(Debug, Args)]
pub struct Retrain {
    #[command(flatten)]
    pub config: ConfigFile,
    /// Train on records from this time on: RFC 3339, or back from now as in -7d; by default train.since
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
    /// The stream has changed, and rightly: learn odd records too, and do not compare with the model that serves
    #[arg(long)]
    pub accept: bool,
    /// For programs: one JSON object a line on standard output
    #[arg(long)]
    pub json: bool,
    /// For a slot of the schedule; nothing is done if it has been seen to
    #[arg(long, hide = true)]
    pub slot: Option<Timestamp>,
    /// With the least priority, and within retrain.memory
    #[arg(long, hide = true)]
    pub background: bool,
}
