//! What a retrain says while it runs, and how it ends.

use std::process::ExitStatus;

use serde::Deserialize;

use crate::metrics::RetrainOutcome;

/// A line that `outlierd retrain --json` prints.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event {
    Progress {
        phase: String,
        #[serde(default)]
        step: u64,
        #[serde(default)]
        steps: u64,
    },
    Done {
        outcome: String,
        version: Option<String>,
        #[serde(default)]
        refusals: usize,
        /// What its gate said.
        #[serde(default)]
        gate: serde_json::Value,
    },
}

/// How a retrain ended.
pub(super) struct Ended {
    pub(super) outcome: RetrainOutcome,
    pub(super) version: Option<String>,
    pub(super) refusals: usize,
    pub(super) why: Option<String>,
}

impl Ended {
    pub(super) fn failed(why: String) -> Ended {
        Ended {
            outcome: RetrainOutcome::Failed,
            version: None,
            refusals: 0,
            why: Some(why),
        }
    }

    pub(super) fn of((outcome, version, refusals): (String, Option<String>, usize)) -> Ended {
        let known = RetrainOutcome::ALL.iter();
        let mut known = known.filter(|known| known.as_str() == outcome);
        match known.next() {
            Some(&outcome) => Ended {
                outcome,
                version,
                refusals,
                why: None,
            },
            None => Ended::failed(format!("it says {outcome:?}")),
        }
    }
}

pub(super) fn unfinished(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match status.signal() {
        // How a program ends that gets no memory.
        Some(6) => "it ended by signal 6: most likely it reached retrain.memory".to_owned(),
        Some(9) => "it was killed".to_owned(),
        _ => format!("it ended with {status}; its own words stand above"),
    }
}
