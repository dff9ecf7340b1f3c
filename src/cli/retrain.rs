//! The command line of `outlierd retrain`.

use clap::Args;
use jiff::Timestamp;

use super::{Asked, ConfigFile, TrainingRecords};

#[derive(Debug, Args)]
pub struct Retrain {
    #[command(flatten)]
    pub config: ConfigFile,
    #[command(flatten)]
    pub asked: Asked,
    #[command(flatten)]
    pub records: TrainingRecords,
    /// The stream has changed, and rightly: learn odd records too, and do not compare with the model that serves
    #[arg(long)]
    pub accept: bool,
    /// For programs: one JSON object a line on standard output
    #[arg(long)]
    pub json: bool,
    /// For a slot of the schedule; nothing is done if it has been seen to
    #[arg(long, hide = true)]
    pub slot: Option<Timestamp>,
    /// Not to train: to judge this candidate beside what serves, on what has come since it was made
    #[arg(long, hide = true, value_name = "VERSION")]
    pub trial: Option<String>,
    /// With the least priority, and within retrain.memory
    #[arg(long, hide = true)]
    pub background: bool,
}
