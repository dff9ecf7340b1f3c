//! Curves of several detectors in one picture: ROC, and precision against recall.

use plotters::series::LineSeries;
use plotters::style::RGBColor;

use super::axis::Axis;
use super::error::PlotError;
use super::frame::{Frame, line};
use super::legend::{Entry, Mark};
use super::palette::{EMPHASIS, FAINT, series};
use super::text::{left_out, percent};

/// Points of a curve at most: a screen shows no more.
const POINTS: usize = 500;

/// One detector's curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve<'a> {
    pub name: &'a str,
    /// Points in their order, in the unit square; what lies outside is drawn at its edge.
    pub points: &'a [(f64, f64)],
    /// The number for the legend: AUROC or AP, 0 to 1.
    pub area: Option<f64>,
    /// Whether this is the curve to look at first.
    pub emphasised: bool,
}

/// ROC curves: x the false-alarm rate, y the recall. A diagonal shows what chance does.
///
/// # Errors
/// Only by a defect in drawing.
pub fn roc(title: &str, curves: &[Curve<'_>]) -> Result<String, PlotError> {
    let x = Axis::share("false-alarm rate (share of normal rows flagged)");
    let y = Axis::share("recall (share of anomalies found)");
    let chance = Reference {
        ends: [(0.0, 0.0), (1.0, 1.0)],
        entry: Entry::new(Mark::Line(FAINT, 2), "by chance"),
    };
    draw(title, curves, "AUROC", (&x, &y), Some(chance))
}

/// Precision-recall curves: x the recall, y the precision. `prevalence`, the share of anomalies
/// among the rows, is the precision of chance and drawn as a line.
///
/// # Errors
/// Only by a defect in drawing.
pub fn precision_recall(
    title: &str,
    curves: &[Curve<'_>],
    prevalence: Option<f64>,
) -> Result<String, PlotError> {
    let x = Axis::share("recall (share of anomalies found)");
    let y = Axis::share("precision (share of alarms that are right)");
    let known = prevalence.filter(|share| share.is_finite());
    let chance = known.map(|share| Reference {
        ends: [(0.0, share), (1.0, share)],
        entry: Entry {
            value: percent(share),
            ..Entry::new(Mark::Line(FAINT, 2), "prevalence (by chance)")
        },
    });
    draw(title, curves, "AP", (&x, &y), chance)
}

/// The line of what chance does.
struct Reference {
    ends: [(f64, f64); 2],
    entry: Entry,
}

fn draw(
    title: &str,
    curves: &[Curve<'_>],
    measure: &str,
    (x, y): (&Axis, &Axis),
    reference: Option<Reference>,
) -> Result<String, PlotError> {
    let styles = styles(curves);
    let finite = |(x, y): &(f64, f64)| x.is_finite() && y.is_finite();
    let all: usize = curves.iter().map(|curve| curve.points.len()).sum();
    let shown = curves.iter().flat_map(|curve| curve.points);
    let frame = Frame {
        title,
        width: 790,
        height: 460,
        legend_width: 280,
        legend: legend(curves, &styles, measure, reference.as_ref()),
        notes: left_out(all - shown.filter(|point| finite(point)).count())
            .into_iter()
            .collect(),
    };
    frame.draw(x, y, |chart| {
        if let Some(reference) = reference {
            let ends = reference.ends.map(|(a, b)| (x.clamped(a), y.clamped(b)));
            chart.draw_series(LineSeries::new(ends, line(FAINT, 2)))?;
        }
        // The emphasised ones last, so that nothing crosses them.
        let mut order: Vec<usize> = (0..curves.len()).collect();
        order.sort_by_key(|&number| curves[number].emphasised);
        for number in order {
            let kept = curves[number].points.iter().filter(|point| finite(point));
            let kept: Vec<(f64, f64)> = kept.map(|&(a, b)| (x.clamped(a), y.clamped(b))).collect();
            let (colour, thickness) = styles[number];
            chart.draw_series(LineSeries::new(thinned(&kept), line(colour, thickness)))?;
        }
        Ok(())
    })
}

/// Colour and thickness of each curve: the first emphasised one has a colour of its own.
fn styles(curves: &[Curve<'_>]) -> Vec<(RGBColor, u32)> {
    let mut others = 0..;
    let mut first = true;
    let style = curves.iter().map(|curve| {
        if curve.emphasised && std::mem::take(&mut first) {
            return (EMPHASIS, 6);
        }
        let colour = series(others.next().unwrap_or_default());
        (colour, if curve.emphasised { 6 } else { 3 })
    });
    style.collect()
}

/// The best curve first, those without a number last.
fn legend(
    curves: &[Curve<'_>],
    styles: &[(RGBColor, u32)],
    measure: &str,
    reference: Option<&Reference>,
) -> Vec<Entry> {
    let worth = |curve: &Curve<'_>| curve.area.filter(|area| area.is_finite());
    let mut order: Vec<usize> = (0..curves.len()).collect();
    order.sort_by(|&a, &b| {
        let of = |number: usize| worth(&curves[number]).unwrap_or(f64::NEG_INFINITY);
        of(b).total_cmp(&of(a))
    });
    let heading = Entry {
        value: measure.to_owned(),
        ..Entry::new(Mark::None, "")
    };
    let mut entries = vec![heading];
    entries.extend(order.into_iter().map(|number| {
        let curve = &curves[number];
        let (colour, thickness) = styles[number];
        Entry {
            mark: Mark::Line(colour, thickness),
            text: curve.name.to_owned(),
            value: worth(curve).map_or_else(|| "–".to_owned(), |area| format!("{area:.3}")),
            bold: curve.emphasised,
        }
    }));
    entries.extend(reference.map(|reference| reference.entry.clone()));
    entries
}

/// At most [`POINTS`] of `points`, evenly, the first and the last among them.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let last = points.len() - 1;
    let kept = (0..POINTS).map(|place| points[place * last / (POINTS - 1)]);
    kept.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::well_formed::{any_number, any_text, check};
    use super::*;

    fn curve<'a>(name: &'a str, points: &'a [(f64, f64)]) -> Curve<'a> {
        Curve {
            name,
            points,
            area: Some(0.5),
            emphasised: false,
        }
    }

    #[test]
    fn a_curve_of_many_points_is_thinned_and_keeps_its_ends() {
        let many: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i) / 9_999.0, 0.5)).collect();
        let few = thinned(&many);
        assert_eq!(few.len(), POINTS);
        assert_eq!(few[0], many[0]);
        assert_eq!(few[POINTS - 1], many[9_999]);
    }

    #[test]
    fn the_legend_has_the_best_first_and_ours_in_bold() {
        let points = [(0.0, 0.0), (1.0, 1.0)];
        let mut curves = [curve("worse", &points), curve("better", &points)];
        curves[1].area = Some(0.912_34);
        curves[1].emphasised = true;
        let picture = roc("ROC", &curves).unwrap();
        let (better, worse) = (picture.find("better"), picture.find("worse"));
        assert!(better.unwrap() < worse.unwrap());
        assert!(picture.contains("0.912"));
        assert!(picture.contains("font-weight=\"bold\""));
        assert!(picture.contains("by chance"));
    }

    #[test]
    fn points_that_are_not_finite_are_counted() {
        let points = [
            (0.0, 0.0),
            (f64::NAN, 0.5),
            (0.5, f64::INFINITY),
            (1.0, 1.0),
        ];
        let picture = roc("ROC", &[curve("a", &points)]).unwrap();
        assert!(picture.contains("2 values are not finite numbers"));
    }

    #[test]
    fn twelve_curves_have_twelve_colours() {
        let curves: Vec<Curve<'_>> = (0..12)
            .map(|number| Curve {
                emphasised: number == 3,
                ..curve("a", &[(0.0, 0.0)])
            })
            .collect();
        let mut colours: Vec<_> = styles(&curves)
            .into_iter()
            .map(|(colour, _)| (colour.0, colour.1, colour.2))
            .collect();
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), 12);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_numbers_and_names_give_a_picture(
            title in any_text(),
            curves in prop::collection::vec(
                (any_text(), prop::collection::vec((any_number(), any_number()), 0..20)), 0..25),
            area in prop::option::of(any_number()),
        ) {
            let curves: Vec<Curve<'_>> = curves
                .iter()
                .map(|(name, points)| Curve { name, points, area, emphasised: name.len() > 5 })
                .collect();
            check(&roc(&title, &curves).unwrap())?;
            check(&precision_recall(&title, &curves, area).unwrap())?;
        }
    }
}
