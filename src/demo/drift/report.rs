//! What was shown of a stream that moves.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

/// What came of each act.
#[derive(Debug, Clone)]
pub struct Report {
    pub(super) records: u64,
    pub(super) first: String,
    pub(super) second: String,
    /// Serves after the rollback.
    pub(super) back: String,
    /// As learnt, while it drifts, and as learnt again.
    pub(super) flag_rate: [f64; 3],
    pub(super) said_after: Duration,
    pub(super) rolled_back_after: Duration,
    /// Those that the broken one has not passed.
    pub(super) checks: Vec<String>,
}

impl Report {
    /// One object for programs.
    pub fn to_json(&self) -> Value {
        let [before, drifted, after] = self.flag_rate;
        json!({
            "records": self.records,
            "flag_rate": {"before": before, "drifted": drifted, "after": after},
            "drift_said_after_seconds": self.said_after.as_secs_f64(),
            "models": {"first": self.first, "second": self.second, "rolled_back_to": self.back},
            "broken": {"refused": true, "faults": self.checks},
            "rolled_back_after_seconds": self.rolled_back_after.as_secs_f64(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, drifted, after] = self.flag_rate.map(|rate| rate * 100.0);
        writeln!(f, "\n{} records were judged", self.records)?;
        writeln!(
            f,
            "flagged: {before:.1} % as learnt, {drifted:.1} % while the stream drifted, {after:.1} % by the new model"
        )?;
        write!(
            f,
            "a broken model was refused, and the one before was back within {:.1} s",
            self.rolled_back_after.as_secs_f64()
        )
    }
}
