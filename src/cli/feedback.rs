//! The command line of `outlierd feedback`.

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use super::ConfigFile;
use crate::feedback::Label;

#[derive(Debug, Args)]
pub struct Feedback {
    #[command(flatten)]
    pub config: ConfigFile,
    /// The `id` of the outlier's message
    pub id: String,
    /// Whether something was wrong
    #[arg(value_enum)]
    pub label: Label,
    /// For people
    #[arg(long)]
    pub note: Option<String>,
}

impl ValueEnum for Label {
    fn value_variants<'a>() -> &'a [Label] {
        Label::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}
