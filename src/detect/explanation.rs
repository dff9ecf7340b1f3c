//! Why a record is odd: per field what was seen, what was expected, and its share of the score.

use std::cmp::Ordering;

use serde::Serialize;

use super::Policy;
use super::attribution::Conditional;
use super::distribution::Expectation;
use crate::config::Kind;
use crate::features::{EncodedField, Encoding, Part};

/// Fields with less than this share of the oddness are left out of a sentence.
const WORTH_SAYING: f32 = 0.1;

/// Fields named in a sentence at most.
const SAID_AT_MOST: usize = 3;

/// Why a record is odd. The shares and `latent` sum to 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explanation {
    /// One for each field that the network sees, the largest share first.
    pub reasons: Vec<Reason>,
    /// The part of the oddness that no single field explains, 0 to 1.
    pub latent: f32,
}

/// One field's part in a record's oddness.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// Dotted path.
    pub field: String,
    pub observed: Observed,
    pub expected: Expected,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// Part of the oddness, 0 to 1.
    pub share: f32,
    /// What the row's energy loses when the field is as the others lead one to expect, nats.
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

/// What the network expects in its place, given all other fields.
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

/// Reasons for the row with these `cells`, from what is expected of each field given all others. `energy` is the row's,
/// `excess` what it has above an ordinary record's, nats.
pub(super) fn explain(
    encoding: &Encoding,
    policy: &Policy,
    cells: &[f64],
    conditionals: &[Conditional],
    energy: f32,
    excess: f32,
) -> Explanation {
    let mut reasons: Vec<Reason> = conditionals
        .iter()
        .map(|conditional| {
            let index = conditional.field;
            let field = &encoding.fields[index];
            let expected = expect(field, conditional.expectation);
            let observed = observe(field, cells[index]);
            let deviation = match (&observed, &expected) {
                (Observed::Number(seen), Expected::Range { mean, .. }) => Some(seen - mean),
                _ => None,
            };
            Reason {
                field: field.path.clone(),
                side: deviation.map(|d| if d < 0.0 { Side::Below } else { Side::Above }),
                share: 0.0,
                contribution: energy - conditional.energy,
                counts: deviation.is_none_or(|d| policy.fields[index].admits(d)),
                observed,
                expected,
            }
        })
        .collect();
    let latent = share_out(&mut reasons, excess);
    reasons.sort_by(|a, b| {
        (b.share, b.contribution)
            .partial_cmp(&(a.share, a.contribution))
            .unwrap_or(Ordering::Equal)
    });
    Explanation { reasons, latent }
}

/// Gives the shares, and returns what no single field explains. Fields that are odd by themselves lose, between them,
/// what the row has too much. Where fields contradict each other, each alone can put the row right: together they lose
/// more, and share it. Where they are off in accord, no single one puts it right: they lose less, and the rest
/// is latent. Fields whose deviation does not count have no share.
fn share_out(reasons: &mut [Reason], excess: f32) -> f32 {
    let lost = |reason: &Reason| reason.contribution.max(0.0);
    let explained: f32 = reasons.iter().map(lost).sum();
    let unexplained = (excess - explained).max(0.0);
    let counted = reasons.iter().filter(|reason| reason.counts);
    let total = counted.map(lost).sum::<f32>() + unexplained;
    if total <= 0.0 {
        reasons.iter_mut().for_each(|reason| reason.share = 0.0);
        return 1.0;
    }
    for reason in reasons {
        reason.share = if reason.counts {
            lost(reason) / total
        } else {
            0.0
        };
    }
    unexplained / total
}

impl EncodedField {
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

fn expect(field: &EncodedField, expectation: Expectation) -> Expected {
    match (expectation, &field.parts[0]) {
        (Expectation::Number { mean, deviation }, Part::Scaled { low, high, .. }) => {
            let reach = 2.0 * deviation;
            // Nothing is expected that training has not seen, as a share below nought.
            Expected::Range {
                mean: mean.clamp(*low, *high),
                low: (mean - reach).clamp(*low, *high),
                high: (mean + reach).clamp(*low, *high),
            }
        }
        (Expectation::Class { cell, probability }, _) => Expected::Likeliest {
            value: Box::new(observe(field, cell)),
            probability,
        },
        (Expectation::Time | Expectation::Number { .. }, _) => Expected::OrdinaryTimes,
    }
}

/// One plain sentence: `cpu.mean is 0.98, expected 0.02 to 0.21; load.one is 3.1, expected …`. `latent` is the
/// part that no single field explains.
pub fn sentence(reasons: &[Reason], latent: f32) -> String {
    let worth_saying = reasons.iter().filter(|reason| reason.share >= WORTH_SAYING);
    let mut said: Vec<String> = worth_saying.take(SAID_AT_MOST).map(phrase).collect();
    if said.is_empty() {
        return "no single field stands out, the combination does".into();
    }
    if latent > 0.5 {
        said.push("most of it is in the combination, not in one field".into());
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
            share: share.max(0.0),
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
            sentence(&reasons, 0.05),
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

    #[test]
    fn a_missing_field_is_said_to_be_missing() {
        let missing = [reason("load", Observed::Missing, range(0.9, 1.2), 0.6)];
        assert_eq!(
            sentence(&missing, 0.4),
            "load is missing, expected 0.90 to 1.20"
        );
        let little = [reason("load", Observed::Missing, range(0.9, 1.2), 0.2)];
        assert!(sentence(&little, 0.8).ends_with("in the combination, not in one field"));
        assert!(sentence(&[], 1.0).starts_with("no single field"));
    }

    proptest::proptest! {
        #[test]
        fn shares_and_what_is_latent_make_one(
            lost in proptest::collection::vec((-2.0_f32..9.0, proptest::bool::ANY), 1..9), excess in -1.0_f32..20.0,
        ) {
            let mut reasons: Vec<Reason> = lost
                .iter()
                .map(|&(lost, counts)| Reason { counts, ..reason("f", Observed::Missing, range(0.0, 1.0), lost) })
                .collect();
            let latent = share_out(&mut reasons, excess);
            let shares: f32 = reasons.iter().map(|reason| reason.share).sum();
            let none = reasons.iter().filter(|reason| !reason.counts).all(|reason| reason.share == 0.0);
            proptest::prop_assert!(none && (shares + latent - 1.0).abs() < 1e-4 && latent >= 0.0);
        }
    }
}
