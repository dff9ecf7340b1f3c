//! What a gate said of a model.

use serde::{Deserialize, Serialize};

/// The checks of one candidate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The version that it was compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
    /// Rows that neither was fitted or calibrated on.
    pub rows: usize,
    pub checks: Vec<Check>,
}

/// One check: what was measured, and what it must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub name: String,
    /// None where it could not be measured.
    pub value: Option<f64>,
    /// In words, with its number.
    pub limit: String,
    pub passed: bool,
    /// Whether it was not to count.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waived: bool,
}

impl Report {
    /// Whether every check that counts was passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed || check.waived)
    }

    /// The checks that were not passed, in words.
    pub fn faults(&self) -> Vec<String> {
        let failed = self.checks.iter().filter(|it| !it.passed && !it.waived);
        failed
            .map(|check| match check.value {
                Some(value) => format!("{} is {value:.4}, {}", check.name, check.limit),
                None => format!("{}: {}", check.name, check.limit),
            })
            .collect()
    }
}
