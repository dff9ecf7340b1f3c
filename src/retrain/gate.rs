//! Whether a candidate may serve: measured beside the model that does, on rows that neither has learnt.

use std::mem::discriminant;
use std::sync::Arc;

use super::scoring::{Rows, ScoringError};
use crate::config::Gate;
use crate::detect::{Detector, Model};
use crate::features::{Encoding, Part};
use crate::registry::{Check, Report};

/// Of the rows, so many at either end do not count in a mean: a few absurd ones would decide it.
const TRIMMED: f64 = 0.05;

/// The flag rate may lie outside its bounds by so many deviations of a count: on few rows chance alone does.
const CHANCE: f64 = 3.0;

/// Severities above this are alike: they are extrapolated, so that those of one odd row under two good models differ by
/// many, and a few such rows would decide the mean.
const ATTESTED: f64 = 5.0;

/// Fewer rows than this say too little.
const LEAST_ROWS: usize = 50;

/// What a model says of the gate's rows.
struct Opinion {
    /// The evidence lower bound of each row on the common fields, in nats, of the values as they came.
    elbo: Vec<f64>,
    severity: Vec<f64>,
    p: Vec<f64>,
    /// Rows whose score is no number.
    broken: usize,
}

/// Measures `candidate`, whose threshold on p is `threshold`, and beside it what serves, which reads the same fields.
/// With `waive` what compares the two does not count: the stream has changed, and somebody knows.
///
/// # Errors
/// A model cannot score at all.
pub fn gate(
    candidate: &Arc<Model>,
    serving: Option<(&str, &Arc<Model>)>,
    rows: &Rows<'_>,
    threshold: f64,
    limits: &Gate,
    waive: bool,
) -> Result<Report, ScoringError> {
    let common = match serving {
        Some((_, model)) => common_fields(&candidate.encoding, &model.encoding),
        None => vec![true; candidate.encoding.fields.len()],
    };
    let new = Opinion::of(candidate, rows, &common)?;
    let mut checks = vec![
        enough(rows.table.rows()),
        finite(&new),
        flag_rate(&new, threshold, limits.flag_rate_factor),
    ];
    if let Some((_, model)) = serving {
        let old = Opinion::of(model, rows, &common)?;
        let compared = [
            likelihood(&new, &old, limits.elbo_tolerance),
            shift(&new, &old, limits.severity_shift),
        ];
        checks.extend(compared.map(|check| Check {
            waived: waive,
            ..check
        }));
    }
    Ok(Report {
        against: serving.map(|(version, _)| version.to_owned()),
        rows: rows.table.rows(),
        checks,
    })
}

fn check(name: &str, value: f64, limit: String, passed: bool) -> Check {
    Check {
        name: name.to_owned(),
        value: Some(value),
        limit,
        passed,
        waived: false,
    }
}

fn enough(rows: usize) -> Check {
    let limit = format!("at least {LEAST_ROWS} are needed to judge by");
    check("rows of the gate", rows as f64, limit, rows >= LEAST_ROWS)
}

fn finite(new: &Opinion) -> Check {
    let broken = new.broken as f64;
    let limit = "no score may be anything but a number".to_owned();
    check("scores that are no number", broken, limit, new.broken == 0)
}

/// The share of rows that would be flagged, within a factor of the threshold, and chance.
fn flag_rate(new: &Opinion, threshold: f64, factor: f64) -> Check {
    let rows = new.p.len() as f64;
    let flagged = new.p.iter().filter(|p| **p <= threshold).count() as f64;
    let bound = |share: f64, side: f64| {
        let expected = rows * share.min(1.0);
        (expected + side * CHANCE * expected.max(1.0).sqrt()).max(0.0)
    };
    let (least, most) = (
        bound(threshold / factor, -1.0),
        bound(threshold * factor, 1.0),
    );
    let rate = |count: f64| count / rows.max(1.0);
    let limit = format!(
        "{:.5} to {:.5} for a threshold of {threshold:.5}",
        rate(least),
        rate(most)
    );
    let passed = (least..=most).contains(&flagged);
    check("flag rate", rate(flagged), limit, passed)
}

/// How much better the rows are explained, in nats a row.
fn likelihood(new: &Opinion, old: &Opinion, tolerance: f64) -> Check {
    let gain = trimmed_mean(&new.elbo) - trimmed_mean(&old.elbo);
    let limit = format!("at least -{tolerance} nats a row beside what serves");
    check("gain in ELBO", gain, limit, gain >= -tolerance)
}

/// How far apart the severities of a row are, in the mean.
fn shift(new: &Opinion, old: &Opinion, most: f64) -> Check {
    let apart = new.severity.iter().zip(&old.severity);
    let total: f64 = apart
        .map(|(new, old)| (new.min(ATTESTED) - old.min(ATTESTED)).abs())
        .sum();
    let mean = total / new.severity.len().max(1) as f64;
    let limit = format!("at most {most} beside what serves");
    check("shift of severities", mean, limit, mean <= most)
}

/// Fields that both models see in the same way: only those can be compared.
fn common_fields(one: &Encoding, other: &Encoding) -> Vec<bool> {
    let pairs = one.fields.iter().zip(&other.fields);
    pairs
        .map(|(one, other)| {
            let kinds = |parts: &[Part]| parts.iter().map(discriminant).collect::<Vec<_>>();
            kinds(&one.parts) == kinds(&other.parts) && one.vocabulary == other.vocabulary
        })
        .collect()
}

impl Opinion {
    fn of(model: &Arc<Model>, rows: &Rows<'_>, common: &[bool]) -> Result<Opinion, ScoringError> {
        let fields = model.encoding.fields.len();
        let mut found = Opinion {
            elbo: Vec::new(),
            severity: Vec::new(),
            p: Vec::new(),
            broken: 0,
        };
        rows.score(model, |detector, _, cells| {
            for scored in detector.scored() {
                found.broken += usize::from(!scored.score.is_finite());
                found.severity.push(scored.severity());
                found.p.push(scored.p);
            }
            for (row, cells) in cells.chunks_exact(fields).enumerate() {
                found.elbo.push(elbo(detector, row, cells, common));
            }
        })?;
        Ok(found)
    }
}

/// The bound of a row that was scored, over its `common` fields and in the units that they came in: a density of scaled
/// numbers is one of the numbers themselves times their deviation.
fn elbo(detector: &Detector, row: usize, cells: &[f64], common: &[bool]) -> f64 {
    let encoding = &detector.model().encoding;
    let members = detector.model().members.len();
    let heads = encoding.heads().len();
    let mut total = 0.0;
    for member in 0..members {
        let Some(output) = detector.output(member) else {
            continue;
        };
        let mut terms = output.head_nll[row * heads..][..heads].iter();
        let mut surprise = f64::from(output.kl[row]);
        for ((field, cell), common) in encoding.fields.iter().zip(cells).zip(common) {
            for (part, term) in field.parts.iter().zip(terms.by_ref()) {
                if !common || cell.is_nan() {
                    continue;
                }
                surprise += f64::from(*term);
                if let Part::Scaled { deviation, .. } = part {
                    surprise += deviation.ln();
                }
            }
        }
        total -= surprise;
    }
    total / members as f64
}

fn trimmed_mean(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let cut = (sorted.len() as f64 * TRIMMED) as usize;
    let kept = &sorted[cut..sorted.len() - cut];
    kept.iter().sum::<f64>() / kept.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opinion(elbo: f64, severities: impl Iterator<Item = f64>) -> Opinion {
        let severity: Vec<f64> = severities.collect();
        Opinion {
            elbo: vec![elbo; severity.len()],
            p: severity
                .iter()
                .map(|severity| 10f64.powf(-severity))
                .collect(),
            severity,
            broken: 0,
        }
    }

    /// `flagged` of `rows` rows at a severity of 3, the others at 0.5.
    fn flagging(flagged: usize, rows: usize) -> Opinion {
        opinion(
            0.0,
            (0..rows).map(|row| if row < flagged { 3.0 } else { 0.5 }),
        )
    }

    #[test]
    fn the_flag_rate_lies_within_its_factor_and_chance() {
        for (flagged, rows, passes) in [
            (10, 1000, true),
            (40, 1000, true),
            (60, 1000, false),
            // Chance may well flag none of a thousand where three are the least, but not of ten thousand.
            (0, 1000, true),
            (0, 10_000, false),
            (30, 10_000, true),
        ] {
            let found = flag_rate(&flagging(flagged, rows), 0.01, 3.0);
            assert_eq!(found.passed, passes, "{flagged} of {rows}: {}", found.limit);
        }
    }

    #[test]
    fn a_candidate_may_explain_a_little_less_and_rank_a_little_differently() {
        let severities = || (0..100).map(|row| f64::from(row) / 20.0);
        let old = opinion(-10.0, severities());
        for (elbo, passes) in [(-10.9, true), (-11.1, false), (5.0, true)] {
            let new = opinion(elbo, severities());
            assert_eq!(likelihood(&new, &old, 1.0).passed, passes, "{elbo}");
        }
        for (moved, passes) in [(0.4, true), (0.6, false)] {
            let new = opinion(-10.0, severities().map(|it| it - moved));
            assert_eq!(shift(&new, &old, 0.5).passed, passes, "{moved}");
        }
    }

    #[test]
    fn odd_rows_that_both_find_odd_shift_nothing() {
        let odd = |severity: f64| (0..100).map(move |row| if row < 2 { severity } else { 0.5 });
        let (new, old) = (opinion(0.0, odd(90.0)), opinion(0.0, odd(30.0)));
        assert!(shift(&new, &old, 0.01).passed);
        assert!(!shift(&new, &opinion(0.0, odd(0.5)), 0.05).passed);
    }

    #[test]
    fn a_few_absurd_rows_decide_no_mean() {
        let mut values = vec![1.0; 95];
        values.extend([-1e12; 5]);
        assert_eq!(trimmed_mean(&values), 1.0);
        assert_eq!(trimmed_mean(&[]), 0.0);
    }

    #[test]
    fn too_few_rows_and_broken_scores_are_refused() {
        assert!(!enough(LEAST_ROWS - 1).passed && enough(LEAST_ROWS).passed);
        let broken = Opinion {
            broken: 1,
            ..flagging(0, 100)
        };
        assert!(!finite(&broken).passed && finite(&flagging(0, 100)).passed);
    }
}
