//! Histogram of scores, normal rows and anomalies beside each other.

use plotters::element::{PathElement, Rectangle};
use plotters::style::Color;

use super::axis::Axis;
use super::error::PlotError;
use super::frame::{Frame, line};
use super::legend::{Entry, Mark};
use super::palette::{INK, Role};
use super::text::{grouped, left_out, number};

/// Bars over the width of the picture.
const BARS: usize = 60;

/// The axis ends where one in a hundred of a group lies beyond.
const TAIL: f64 = 0.01;

/// It also ends at this many times the way from the median to the tail of the first group: where
/// anomalies score thousands, the normal rows would otherwise share one bar.
const REACH: f64 = 6.0;

/// Scores, and how they are to be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Histogram<'a> {
    pub title: &'a str,
    /// Groups of rows; the first sets the scale, so that it should be the normal ones.
    pub groups: &'a [ScoreGroup<'a>],
    /// The score from which rows are flagged.
    pub threshold: Option<f32>,
}

/// The scores of some rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreGroup<'a> {
    pub name: &'a str,
    pub role: Role,
    pub scores: &'a [f32],
}

/// Draws the scores on a logarithmic axis of counts, because anomalies are few. What lies beyond the
/// axis is in the outermost bar, and the picture says how many these are.
///
/// # Errors
/// Only by a defect in drawing.
pub fn histogram(histogram: &Histogram<'_>) -> Result<String, PlotError> {
    let groups: Vec<Vec<f64>> = histogram.groups.iter().map(sorted).collect();
    let threshold = histogram.threshold.map(f64::from).filter(|t| t.is_finite());
    let (low, high) = span(&groups, threshold);
    let x = Axis::linear(low, high, "score (higher is odder)");
    let counts: Vec<Vec<usize>> = groups.iter().map(|scores| counts(scores, &x)).collect();
    let most = counts.iter().flatten().copied().max().unwrap_or_default();
    let y = Axis::counts(most, "rows (logarithmic)");
    let frame = Frame {
        title: histogram.title,
        width: 760,
        height: 360,
        legend_width: 190,
        legend: legend(histogram, &groups, threshold),
        notes: notes(histogram, &groups, &x),
    };
    frame.draw(&x, &y, |chart| {
        let width = (x.high - x.low) / BARS as f64;
        for (place, group) in counts.iter().enumerate() {
            let colour = histogram.groups[place].role.colour(place);
            let full = group.iter().enumerate().filter(|(_, count)| **count > 0);
            chart.draw_series(full.map(|(bar, &count)| {
                let left = x.low + width * bar as f64;
                let corners = [(left, y.low), (left + width, (count as f64).log10())];
                Rectangle::new(corners, colour.mix(0.6).filled())
            }))?;
        }
        if let Some(threshold) = threshold {
            let ends = [(threshold, y.low), (threshold, y.high)];
            chart.draw_series([PathElement::new(ends, line(INK, 3))])?;
        }
        Ok(())
    })
}

fn sorted(group: &ScoreGroup<'_>) -> Vec<f64> {
    let finite = group.scores.iter().filter(|score| score.is_finite());
    let mut scores: Vec<f64> = finite.map(|&score| f64::from(score)).collect();
    scores.sort_unstable_by(f64::total_cmp);
    scores
}

/// The ends of the axis. The threshold is always within.
fn span(groups: &[Vec<f64>], threshold: Option<f64>) -> (f64, f64) {
    let filled: Vec<&Vec<f64>> = groups.iter().filter(|scores| !scores.is_empty()).collect();
    let Some(first) = filled.first() else {
        let middle = threshold.unwrap_or(0.5);
        return (middle - 1.0, middle + 1.0);
    };
    let median = quantile(first, 0.5);
    let (lower, upper) = (quantile(first, TAIL), quantile(first, 1.0 - TAIL));
    let tails = filled.iter().map(|scores| quantile(scores, 1.0 - TAIL));
    let far = median + REACH * (upper - median);
    // A group without any spread reaches nowhere: then the others decide alone.
    let far = if far > median { far } else { f64::INFINITY };
    let high = tails.fold(f64::NEG_INFINITY, f64::max).min(far).max(upper);
    let least = filled
        .iter()
        .map(|scores| scores[0])
        .fold(f64::INFINITY, f64::min);
    let near = median - REACH * (median - lower);
    let low = if near < median {
        least.max(near)
    } else {
        least
    };
    let Some(threshold) = threshold else {
        return (low, high);
    };
    let room = 0.04 * (high.max(threshold) - low.min(threshold));
    (low.min(threshold - room), high.max(threshold + room))
}

/// The value with the share `at` of the sorted `scores` below it.
fn quantile(scores: &[f64], at: f64) -> f64 {
    let place = (at * (scores.len() - 1) as f64).round() as usize;
    scores[place.min(scores.len() - 1)]
}

/// Rows in each bar.
fn counts(scores: &[f64], x: &Axis) -> Vec<usize> {
    let mut counts = vec![0; BARS];
    for score in scores {
        let part = (x.clamped(*score) - x.low) / (x.high - x.low);
        counts[((part * BARS as f64) as usize).min(BARS - 1)] += 1;
    }
    counts
}

fn legend(histogram: &Histogram<'_>, groups: &[Vec<f64>], threshold: Option<f64>) -> Vec<Entry> {
    let named = histogram.groups.iter().zip(groups).enumerate();
    let mut entries: Vec<Entry> = named
        .map(|(place, (group, scores))| Entry {
            value: grouped(scores.len()),
            ..Entry::new(Mark::Patch(group.role.colour(place), 0.6), group.name)
        })
        .collect();
    entries.extend(threshold.map(|threshold| Entry {
        value: number(threshold),
        ..Entry::new(Mark::Line(INK, 3), "threshold")
    }));
    entries
}

/// What the picture does not show.
fn notes(histogram: &Histogram<'_>, groups: &[Vec<f64>], x: &Axis) -> Vec<String> {
    let beyond = |is_beyond: &dyn Fn(f64) -> bool| {
        let parts = histogram
            .groups
            .iter()
            .zip(groups)
            .filter_map(|(group, scores)| {
                let count = scores.iter().filter(|score| is_beyond(**score)).count();
                let name = super::text::shortened(group.name, 20);
                (count > 0).then(|| format!("{} ({name})", grouped(count)))
            });
        parts.collect::<Vec<_>>().join(", ")
    };
    let mut notes = Vec::new();
    let (above, below) = (
        beyond(&|score| score > x.high),
        beyond(&|score| score < x.low),
    );
    if !above.is_empty() {
        let end = number(x.high);
        notes.push(format!("scores above {end} stand in the last bar: {above}"));
    }
    if !below.is_empty() {
        let end = number(x.low);
        notes.push(format!(
            "scores below {end} stand in the first bar: {below}"
        ));
    }
    let all: usize = histogram
        .groups
        .iter()
        .map(|group| group.scores.len())
        .sum();
    let shown: usize = groups.iter().map(Vec::len).sum();
    notes.extend(left_out(all - shown));
    notes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::well_formed::{any_single, any_text, check};
    use super::*;

    fn normal(scores: &[f32]) -> ScoreGroup<'_> {
        ScoreGroup {
            name: "normal",
            role: Role::Normal,
            scores,
        }
    }

    #[test]
    fn one_absurd_score_does_not_squeeze_the_others_into_one_bar() {
        let mut scores: Vec<f32> = (0..1000_u16).map(|i| f32::from(i) / 1000.0).collect();
        scores.push(1e30);
        let groups = [normal(&scores)];
        let sorted = [sorted(&groups[0])];
        let (low, high) = span(&sorted, Some(0.99));
        assert!(low >= -0.1 && high < 7.0, "{low} to {high}");
        let picture = histogram(&Histogram {
            title: "scores",
            groups: &groups,
            threshold: Some(0.99),
        })
        .unwrap();
        assert!(picture.contains("stand in the last bar: "));
        assert!(picture.contains("threshold"));
    }

    #[test]
    fn anomalies_that_score_thousands_do_not_squeeze_the_normal_rows() {
        let normal: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        let anomalies = vec![5e3; 100];
        let (_, high) = span(&[normal, anomalies], None);
        assert!(high < 5.0, "{high}");
    }

    #[test]
    fn every_finite_row_is_in_a_bar() {
        let x = Axis::linear(0.0, 1.0, "");
        let counts = counts(&[-5.0, 0.0, 0.5, 1.0, 7.0], &x);
        assert_eq!(counts.iter().sum::<usize>(), 5);
        assert_eq!((counts[0], counts[BARS - 1]), (2, 2));
    }

    #[test]
    fn no_score_and_one_constant_score_have_a_picture() {
        for scores in [vec![], vec![3.0; 50], vec![f32::NAN]] {
            let groups = [normal(&scores)];
            for threshold in [None, Some(3.0)] {
                let picture = histogram(&Histogram {
                    title: "scores",
                    groups: &groups,
                    threshold,
                });
                check(&picture.unwrap()).unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_scores_give_a_picture(
            title in any_text(),
            groups in prop::collection::vec(
                (any_text(), prop::collection::vec(any_single(), 0..60)), 0..4),
            threshold in prop::option::of(any_single()),
        ) {
            let roles = [Role::Normal, Role::Anomaly, Role::Category, Role::Flagged];
            let groups: Vec<ScoreGroup<'_>> = groups
                .iter()
                .zip(roles)
                .map(|((name, scores), role)| ScoreGroup { name, role, scores })
                .collect();
            check(&histogram(&Histogram { title: &title, groups: &groups, threshold }).unwrap())?;
        }
    }
}
