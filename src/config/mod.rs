//! The configuration: plain data, parsed whole and validated whole before anything is bound.
//!
//! The file is TOML; the environment goes over it (`OUTLIERD__LINE__BATCH_ROWS` is
//! `line.batch_rows`). Every section has a file here with its types and its reader. A reader asks
//! for its keys one by one; whatever is wrong is collected, so that a user sees all of it at once.

mod budget;
mod compute;
mod delivery;
mod error;
mod field;
mod filter;
mod input;
mod kafka;
mod line;
mod model;
mod name;
mod output;
mod properties;
mod quantity;
mod reading;
mod report;
mod retrain;
mod secret;
mod section;
mod service;
mod source;
mod suggestion;
mod value;

#[cfg(test)]
mod documents;
#[cfg(test)]
mod tests;

pub use budget::Budget;
pub use compute::{Compute, Device};
pub use delivery::Delivery;
pub use error::{Error, Errors};
pub use field::{Direction, Field, Kind};
pub use filter::{Condition, Filter};
pub use input::{Input, OnDataLoss, Policy, Start};
pub use kafka::Kafka;
pub use line::{Detect, Line};
pub use model::{Model, StoreAddress, Train, TrainingData};
pub use output::{Audit, Copied, DeadLetter, Feedback, Output};
pub use quantity::{duration_text, time_span};
pub use reading::load;
pub use report::Key;
pub use retrain::{Gate, Retrain, When};
pub use secret::Secret;
pub use service::{Format, Http, Level, Log};

/// Everything that a user can set.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub kafka: Kafka,
    pub input: Input,
    pub fields: Vec<Field>,
    pub output: Output,
    pub dead_letter: DeadLetter,
    pub audit: Audit,
    pub feedback: Feedback,
    pub delivery: Delivery,
    pub model: Model,
    pub train: Train,
    pub retrain: Retrain,
    pub detect: Detect,
    pub line: Line,
    pub compute: Compute,
    pub http: Http,
    pub log: Log,
}
