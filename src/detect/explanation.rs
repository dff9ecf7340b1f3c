//! Why a record is odd: per field what was seen, what was expected, and its share of the score.

use std::cmp::Ordering;

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
    Likeliest {
        value: Box<Observed>,
        probability: f32,
    },
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

/// Reasons for one row, the largest share first. `contributions` has one entry a field,
/// `expected` and `variance` one a column (scaled units).
pub(super) fn explain(
    encoding: &Encoding,
    policy: &Policy,
    cells: &[f64],
    contributions: &[f32],
    expected: &[f32],
    variance: &[f32],
) -> Vec<Reason> {
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
            share: 0.0,
            contribution: contributions[index],
            counts: deviation.is_none_or(|d| policy.fields[index].admits(d)),
            observed,
            expected,
        });
    }
    share_out(&mut reasons);
    reasons.sort_by(|a, b| {
        (b.share, b.contribution)
            .partial_cmp(&(a.share, a.contribution))
            .unwrap_or(Ordering::Equal)
    });
    reasons
}

/// Shares of what speaks for an outlier; fields whose deviation does not count have none.
fn share_out(reasons: &mut [Reason]) {
    let speaks = |reason: &Reason| {
        if reason.counts {
            reason.contribution.max(0.0)
        } else {
            0.0
        }
    };
    let total: f32 = reasons.iter().map(speaks).sum();
    for reason in reasons {
        reason.share = speaks(reason) / total.max(f32::MIN_POSITIVE);
    }
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
        Part::Scaled {
            mean,
            deviation,
            low,
            high,
            ..
        } => {
            let center = f64::from(expected[0]) * deviation + mean;
            let reach = 2.0 * f64::from(variance[0]).sqrt() * deviation;
            // Nothing is expected that training has not seen, as a share below nought.
            Expected::Range {
                mean: center.clamp(*low, *high),
                low: (center - reach).clamp(*low, *high),
                high: (center + reach).clamp(*low, *high),
            }
        }
        Part::Flag => Expected::Likeliest {
            value: Box::new(Observed::Flag(expected[0] >= 0.5)),
            probability: expected[0].max(1.0 - expected[0]),
        },
        Part::OneHot { .. } => {
            let likeliest =
                (0..expected.len()).max_by(|&a, &b| expected[a].total_cmp(&expected[b]));
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
    let worth_saying = reasons.iter().filter(|reason| reason.share >= WORTH_SAYING);
    let said: Vec<String> = worth_saying.take(SAID_AT_MOST).map(phrase).collect();
    if said.is_empty() {
        return "no single field stands out, the combination does".into();
    }
    said.join("; ")
}

fn phrase(reason: &Reason) -> String {
    let field = &reason.field;
    match (&reason.observed, &reason.expected) {
        (Observed::Number(value), Expected::Range { low, high, .. }) => {
            let scale = Scale::of(&[*value, *low, *high]);
            let (value, low, high) = (scale.show(*value), scale.show(*low), scale.show(*high));
            if low == high {
                format!("{field} is {value}, expected {low}")
            } else {
                format!("{field} is {value}, expected {low} to {high}")
            }
        }
        (observed, Expected::Range { low, high, .. }) => {
            let scale = Scale::of(&[*low, *high]);
            format!(
                "{field} is {}, expected {} to {}",
                text(observed),
                scale.show(*low),
                scale.show(*high)
            )
        }
        (observed, Expected::Likeliest { value, probability }) => format!(
            "{field} is {}, expected {} ({:.0} %)",
            text(observed),
            text(value),
            probability * 100.0
        ),
        (_, Expected::OrdinaryTimes) => format!("{field} is at an unusual time"),
        (_, Expected::Withheld) => format!("{field} is unexpected (redacted)"),
    }
}

fn text(value: &Observed) -> String {
    match value {
        Observed::Missing => "missing".into(),
        Observed::Number(value) => Scale::of(&[*value]).show(*value),
        Observed::Flag(flag) => flag.to_string(),
        Observed::Word(word) => format!("{word:?}"),
    }
}

/// Numbers that are read beside each other get one unit and as many decimals as tell them apart.
struct Scale {
    unit: &'static str,
    factor: f64,
    decimals: usize,
}

impl Scale {
    fn of(numbers: &[f64]) -> Scale {
        let largest = numbers
            .iter()
            .fold(0.0_f64, |largest, number| largest.max(number.abs()));
        let (unit, factor) = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, " k")]
            .into_iter()
            .find(|(size, _)| largest >= *size)
            .map_or(("", 1.0), |(size, unit)| {
                (unit, if size == 1e4 { 1e3 } else { size })
            });
        let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Two digits of the spread, or three of the number itself where there is no spread.
        let spread = if high > low {
            (high - low) / 10.0
        } else {
            largest / 100.0
        } / factor;
        let decimals = if spread > 0.0 {
            (-spread.log10()).ceil().clamp(0.0, 9.0)
        } else {
            0.0
        };
        Scale {
            unit,
            factor,
            decimals: decimals as usize,
        }
    }

    fn show(&self, number: f64) -> String {
        let rounded = format!("{:.*}", self.decimals, number / self.factor);
        let rounded = if rounded.trim_start_matches(['-', '0', '.']).is_empty() {
            "0".into()
        } else {
            rounded
        };
        format!("{rounded}{}", self.unit)
    }
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
            reason(
                "cpu.mean",
                Observed::Number(0.98123),
                range(0.0212, 0.2),
                0.8,
            ),
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
            "cpu.mean is 0.98, expected 0.02 to 0.20; channel is \"online\", expected \"chip\" (90 %)"
        );
    }

    #[test]
    fn numbers_share_a_unit_and_the_decimals_that_tell_them_apart() {
        let shown = |numbers: &[f64]| {
            let scale = Scale::of(numbers);
            numbers
                .iter()
                .map(|&number| scale.show(number))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            shown(&[24.71e9, 24.72e9, 24.80e9]),
            ["24.710 G", "24.720 G", "24.800 G"]
        );
        assert_eq!(shown(&[0.4, -0.0001, 0.02]), ["0.40", "0", "0.02"]);
        assert_eq!(shown(&[0.0]), ["0"]);
        assert_eq!(
            shown(&[67_167_289.0, 0.0, 47_754.0]),
            ["67 M", "0 M", "0 M"]
        );
        assert_eq!(shown(&[123.0]), ["123"]);
    }
}
