//! Why a record is odd: per field what was seen, what was expected, and its share of the score.

use serde::Serialize;

use super::Policy;
use crate::config::Kind;
use crate::features::{EncodedField, Encoding, Part};

/// Fields with less than this share of the oddness are left out of a sentence.
const WORTH_SAYING: f32 = 0.1;

/// Fields named in a sentence at most.
const SAID_AT_MOST: usize = 3;

/// One field's part in a record's oddness.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// Dotted path.
    pub field: String,
    pub observed: Observed,
    pub expected: Expected,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Part of the positive contributions, 0 to 1.
    pub share: f32,
    /// The field's NLL over that of an ordinary record, in units of the score.
    #[serde(skip)]
    pub contribution: f32,
    /// Whether the user's policy for the field admits the deviation.
    #[serde(skip)]
    pub counts: bool,
}

/// A field's value as the record has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Observed {
    Missing,
    Number(f64),
    Flag(bool),
    Word(String),
}

/// What the network expected in its place, given the rest of the record.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Expected {
    /// Mean, and mean -+ two deviations.
    Range { mean: f64, low: f64, high: f64 },
    /// The likeliest value, and its probability.
    Likeliest { value: Box<Observed>, probability: f32 },
    /// Times of day or week have no range in their own units.
    OrdinaryTimes,
    /// Not to be shown, because the field is redacted.
    Withheld,
}

/// On which side of the expectation a number lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Above,
    Below,
}

/// Reasons for one row, the largest contribution first. `contributions` has one entry a field,
/// `expected` and `variance` one a column (scaled units).
pub(super) fn explain(
    encoding: &Encoding,
    policy: &Policy,
    cells: &[f64],
    contributions: &[f32],
    expected: &[f32],
    variance: &[f32],
) -> Vec<Reason> {
    let total: f32 = contributions.iter().map(|part| part.max(0.0)).sum();
    let mut column = 0;
    let mut reasons = Vec::new();
    for (index, field) in encoding.fields.iter().enumerate() {
        let width = field.width();
        let columns = column..column + width;
        column += width;
        if width == 0 {
            continue;
        }
        let expected = expect(field, &expected[columns.clone()], &variance[columns]);
        let observed = observe(field, cells[index]);
        let deviation = match (&observed, &expected) {
            (Observed::Number(seen), Expected::Range { mean, .. }) => Some(seen - mean),
            _ => None,
        };
        reasons.push(Reason {
            field: field.path.clone(),
            side: deviation.map(|d| if d < 0.0 { Side::Below } else { Side::Above }),
            share: contributions[index].max(0.0) / total.max(f32::MIN_POSITIVE),
            contribution: contributions[index],
            counts: deviation.is_none_or(|d| policy.fields[index].admits(d)),
            observed,
            expected,
        });
    }
    reasons.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
    reasons
}

impl EncodedField {
    /// Number of columns.
    fn width(&self) -> usize {
        let width = |part: &Part| match part {
            Part::OneHot { classes } => *classes,
            _ => 1,
        };
        self.parts.iter().map(width).sum()
    }

    fn word(&self, class: usize) -> Observed {
        let word = class.checked_sub(1).and_then(|at| self.vocabulary.get(at));
        Observed::Word(word.cloned().unwrap_or_else(|| "(another value)".into()))
    }
}

fn observe(field: &EncodedField, cell: f64) -> Observed {
    match field.kind {
        _ if cell.is_nan() => Observed::Missing,
        Kind::Boolean => Observed::Flag(cell != 0.0),
        Kind::Categorical => field.word(cell as usize),
        Kind::Numeric | Kind::Timestamp => Observed::Number(cell),
    }
}

fn expect(field: &EncodedField, expected: &[f32], variance: &[f32]) -> Expected {
    match &field.parts[0] {
        Part::Scaled { mean, deviation } => {
            let center = f64::from(expected[0]) * deviation + mean;
            let reach = 2.0 * f64::from(variance[0]).sqrt() * deviation;
            Expected::Range {
                mean: center,
                low: center - reach,
                high: center + reach,
            }
        }
        Part::Flag => Expected::Likeliest {
            value: Box::new(Observed::Flag(expected[0] >= 0.5)),
            probability: expected[0].max(1.0 - expected[0]),
        },
        Part::OneHot { .. } => {
            let likeliest = (0..expected.len()).max_by(|&a, &b| expected[a].total_cmp(&expected[b]));
            let class = likeliest.unwrap_or(0);
            Expected::Likeliest {
                value: Box::new(field.word(class)),
                probability: expected[class],
            }
        }
        Part::Cycle { .. } => Expected::OrdinaryTimes,
    }
}

/// One plain sentence: `cpu.mean is 0.98, expected 0.02 to 0.21; load.one is 3.1, expected …`.
pub fn sentence(reasons: &[Reason]) -> String {
    let said: Vec<String> = reasons
        .iter()
        .enumerate()
        .filter(|(rank, reason)| *rank == 0 || reason.share >= WORTH_SAYING)
        .take(SAID_AT_MOST)
        .map(|(_, reason)| phrase(reason))
        .collect();
    said.join("; ")
}

fn phrase(reason: &Reason) -> String {
    let observed = text(&reason.observed);
    let field = &reason.field;
    match &reason.expected {
        Expected::Range { low, high, .. } => {
            format!("{field} is {observed}, expected {} to {}", number(*low), number(*high))
        }
        Expected::Likeliest { value, probability } => format!(
            "{field} is {observed}, expected {} ({:.0} %)",
            text(value),
            probability * 100.0
        ),
        Expected::OrdinaryTimes => format!("{field} is at an unusual time"),
        Expected::Withheld => format!("{field} is unexpected (redacted)"),
    }
}

fn text(value: &Observed) -> String {
    match value {
        Observed::Missing => "missing".into(),
        Observed::Number(value) => number(*value),
        Observed::Flag(flag) => flag.to_string(),
        Observed::Word(word) => format!("{word:?}"),
    }
}

/// Three significant digits; large and tiny numbers in scientific notation.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e9).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = if size == 0.0 {
        0
    } else {
        (2.0 - size.log10().floor()).clamp(0.0, 5.0) as usize
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(field: &str, observed: Observed, expected: Expected, share: f32) -> Reason {
        Reason {
            field: field.into(),
            observed,
            expected,
            side: None,
            share,
            contribution: share,
            counts: true,
        }
    }

    fn range(low: f64, high: f64) -> Expected {
        let mean = f64::midpoint(low, high);
        Expected::Range { mean, low, high }
    }

    #[test]
    fn the_sentence_names_the_fields_that_matter_with_observed_against_expected() {
        let reasons = [
            reason("cpu.mean", Observed::Number(0.98123), range(0.0212, 0.2), 0.8),
            reason(
                "channel",
                Observed::Word("online".into()),
                Expected::Likeliest {
                    value: Box::new(Observed::Word("chip".into())),
                    probability: 0.9,
                },
                0.15,
            ),
            reason("load", Observed::Number(1.0), range(0.9, 1.2), 0.05),
        ];
        assert_eq!(
            sentence(&reasons),
            "cpu.mean is 0.981, expected 0.0212 to 0.200; channel is \"online\", expected \"chip\" (90 %)"
        );
    }

    #[test]
    fn numbers_keep_three_digits_at_any_size() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(123_456.7), "123457");
        assert_eq!(number(0.012_345), "0.0123");
        assert_eq!(number(1.5e12), "1.50e12");
        assert_eq!(number(-3.0), "-3.00");
    }
}
