//! What a trained model is: everything that turns a record's cells into a calibrated score.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Calibration, Linear, Profile};
use crate::config::TrainingData;
use crate::features::Encoding;
use crate::vae::{Member, Mixture, Shape};

/// A trained model, in memory. `registry` reads and writes it as one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub encoding: Encoding,
    pub shape: Shape,
    pub members: Vec<Fitted>,
    /// Of the rows that the networks were fitted on; for explanations alone.
    pub linear: Linear,
    pub calibration: Calibration,
    pub held_out: HeldOut,
    /// Of all rows that were learnt from.
    pub profile: Profile,
    pub provenance: Provenance,
    pub golden: Vec<Golden>,
}

/// A network of the ensemble with what its terms are on held-out rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    pub member: Member,
    /// Its aggregated posterior.
    pub mixture: Mixture,
    /// Of the row's NLL.
    pub nll: Standard,
    /// Of the NLL of the row's code.
    pub code_nll: Standard,
}

/// A scale on which the median of held-out rows is 0 and their 0.9 quantile is 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Standard {
    /// The median.
    pub center: f32,
    /// The 0.9 quantile less the median; above 0.
    pub spread: f32,
}

impl Standard {
    pub fn of(&self, value: f32) -> f32 {
        (value - self.center) / self.spread
    }

    /// As [`Self::of`], but what lies beyond [`FAR`] spreads counts by its logarithm.
    fn tempered(&self, value: f32) -> f32 {
        let plain = self.of(value);
        if plain > FAR {
            FAR * (1.0 + (plain / FAR).ln())
        } else {
            plain
        }
    }

    /// Whether a value can be put on this scale.
    pub fn is_sound(&self) -> bool {
        self.center.is_finite() && self.spread.is_finite() && self.spread > 0.0
    }
}

/// From so many spreads on a row's NLL counts by its logarithm. It grows with the square of an error, above all in
/// networks of small floors: one field with a heavy tail would else outweigh the codes and the other networks, which
/// rank such rows better (figures: `docs/detection.md`).
const FAR: f32 = 15.0;

impl Fitted {
    /// How odd a row with these terms is to this network: the mean of both on their scales. No row ranks lower for
    /// a higher term.
    pub fn score(&self, nll: f32, code_nll: f32) -> f32 {
        0.5 * (self.nll.tempered(nll) + self.code_nll.of(code_nll))
    }
}

/// What an ensemble makes of the scores of its members.
pub fn mean_score(scores: impl ExactSizeIterator<Item = f32>) -> f32 {
    let share = 1.0 / scores.len() as f32;
    scores.map(|score| score * share).sum()
}

/// Means over the held-out rows, nats a record, at the posterior mean.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    pub rows: usize,
    pub elbo: f64,
    pub reconstruction_log_likelihood: f64,
    pub kl: f64,
    pub reconstruction_error: f64,
}

/// Where a model comes from. No wall clock, host or path is in it: the same data, settings and seed
/// give the same file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// `topic NAME`, or `file` with the hash of its rows.
    pub source: String,
    /// Of a topic: partition, first offset, next offset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offsets: Vec<(i32, i64, i64)>,
    /// Rows that were learnt from, those that calibrate included.
    pub rows: usize,
    /// Rows of the source that could be used; `rows` of them are an even sample.
    pub usable: usize,
    /// Rows that could not be used, as dead letters would be.
    pub rejected: usize,
    /// Earliest and latest time of the usable rows, RFC 3339, where they have one.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Usable records a day over the whole source, where the rows have a time.
    pub records_per_day: Option<f64>,
    pub data: TrainingData,
    pub seed: u64,
    pub parent: Option<String>,
}

/// A row with the score that it must have: checked whenever the model is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// One a field; `null` is missing.
    pub cells: Vec<Option<f64>>,
    pub score: f32,
}

impl Golden {
    pub fn new(cells: &[f64], score: f32) -> Golden {
        Golden {
            cells: cells
                .iter()
                .map(|&cell| (!cell.is_nan()).then_some(cell))
                .collect(),
            score,
        }
    }

    pub fn row(&self) -> Vec<f64> {
        let cell = |cell: &Option<f64>| cell.unwrap_or(f64::NAN);
        self.cells.iter().map(cell).collect()
    }
}

impl Model {
    /// A short hash of the fields and their kinds: two models with the same one read the same
    /// records.
    pub fn schema_fingerprint(&self) -> String {
        let digest = Sha256::digest(self.encoding.fingerprint_text().as_bytes());
        hex(&digest[..8])
    }

    /// Paths of the configured fields that the network does not see, because they were constant
    /// or absent in training.
    pub fn unused_fields(&self) -> impl Iterator<Item = &str> {
        self.encoding
            .fields
            .iter()
            .filter(|field| field.parts.is_empty())
            .map(|field| field.path.as_str())
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCALE: Standard = Standard {
        center: 2.0,
        spread: 4.0,
    };

    #[test]
    fn within_far_a_term_counts_as_it_is_and_beyond_it_by_its_logarithm() {
        let at = |spreads: f32| SCALE.tempered(SCALE.center + spreads * SCALE.spread);
        assert_eq!((at(-20.0), at(0.0), at(FAR)), (-20.0, 0.0, FAR));
        let e = std::f32::consts::E;
        assert!((at(FAR * e) - 2.0 * FAR).abs() < 1e-4);
        assert!((at(FAR * e * e) - 3.0 * FAR).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn no_row_ranks_lower_for_a_higher_term(low in -1e6f32..1e6, more in 0f32..1e6) {
            let (below, above) = (SCALE.tempered(low), SCALE.tempered(low + more));
            prop_assert!(below <= above);
            prop_assert!(above - below <= (SCALE.of(low + more) - SCALE.of(low)) * 1.001 + 1e-3);
        }
    }
}
