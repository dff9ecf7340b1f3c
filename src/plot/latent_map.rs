//! Codes as points on a map.

use plotters::element::Circle;
use plotters::style::Color;

use super::axis::Axis;
use super::error::PlotError;
use super::frame::Frame;
use super::legend::{Entry, Mark};
use super::palette::Role;
use super::text::{grouped, left_out, percent};

/// Points of the common groups together: more make a blot and a large file.
const COMMON_POINTS: usize = 3_000;

/// Points of the rare groups together. All of them are drawn but where there are very many.
const RARE_POINTS: usize = 2_000;

/// The map ends at this many times the span of the middle 98 % of all points beyond them.
const REACH: f64 = 1.0;

/// Points on a plane, in groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LatentMap<'a> {
    pub title: &'a str,
    pub groups: &'a [MapGroup<'a>],
    /// Shares of the variance along both axes ([`super::Projection::shares`]), if the axes are
    /// principal components; else they are the code's own two numbers.
    pub shares: Option<[f64; 2]>,
}

/// Points that look alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MapGroup<'a> {
    pub name: &'a str,
    pub role: Role,
    pub points: &'a [(f32, f32)],
}

/// Draws the map. Where there are more than 3,000 points they are thinned evenly, those of anomalies
/// and flagged rows only beyond 2,000; the picture says so. Points that lie far out are drawn at the
/// edge and counted.
///
/// # Errors
/// Only by a defect in drawing.
pub fn latent_map(map: &LatentMap<'_>) -> Result<String, PlotError> {
    let finite: Vec<Vec<(f64, f64)>> = map.groups.iter().map(finite).collect();
    let words = |axis: usize, rank: &str| match map.shares {
        Some(shares) => format!(
            "{rank} component ({} of the variance)",
            percent(shares[axis])
        ),
        None => format!("{rank} number of the code"),
    };
    let (low, high) = span(finite.iter().flatten().map(|point| point.0));
    let x = Axis::linear(low, high, &words(0, "first"));
    let (low, high) = span(finite.iter().flatten().map(|point| point.1));
    let y = Axis::linear(low, high, &words(1, "second"));
    let shown = thinned(map.groups, &finite);
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by_key(|&group| front(map.groups[group].role));
    let frame = Frame {
        title: map.title,
        width: 760,
        height: 500,
        legend_width: 190,
        legend: legend(map.groups, &finite),
        notes: notes(map.groups, &finite, &shown, (&x, &y)),
    };
    frame.draw(&x, &y, |chart| {
        for group in order {
            let role = map.groups[group].role;
            let colour = role.colour(group);
            let (radius, opacity) = if role.is_rare() { (7, 0.85) } else { (5, 0.45) };
            chart.draw_series(shown[group].iter().map(|(a, b)| {
                let place = (x.clamped(*a), y.clamped(*b));
                Circle::new(place, radius, colour.mix(opacity).filled())
            }))?;
        }
        Ok(())
    })
}

/// What is drawn later stands in front.
fn front(role: Role) -> u8 {
    match role {
        Role::Normal | Role::Unlabelled => 0,
        Role::Category => 1,
        Role::Flagged => 2,
        Role::Anomaly => 3,
    }
}

fn finite(group: &MapGroup<'_>) -> Vec<(f64, f64)> {
    let kept = group
        .points
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite());
    kept.map(|(x, y)| (f64::from(*x), f64::from(*y))).collect()
}

/// The ends of an axis that a few far points do not stretch.
fn span(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (values.first(), values.last()) else {
        return (-1.0, 1.0);
    };
    let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    let (lower, upper) = (at(0.01), at(0.99));
    let room = REACH * (upper - lower);
    // Where all but a few are equal, there is no span to measure by.
    let (low, high) = if room > 0.0 {
        (least.max(lower - room), most.min(upper + room))
    } else {
        (least, most)
    };
    let margin = 0.03 * (high - low);
    (low - margin, high + margin)
}

/// The points of each group that are drawn.
fn thinned(groups: &[MapGroup<'_>], points: &[Vec<(f64, f64)>]) -> Vec<Vec<(f64, f64)>> {
    let total = |rare: bool| {
        let of = groups
            .iter()
            .zip(points)
            .filter(|(group, _)| group.role.is_rare() == rare);
        of.map(|(_, points)| points.len()).sum::<usize>()
    };
    let (common, rare) = (total(false), total(true));
    let thin = |(group, points): (&MapGroup<'_>, &Vec<(f64, f64)>)| {
        let (all, room) = if group.role.is_rare() {
            (rare, RARE_POINTS)
        } else {
            (common, COMMON_POINTS)
        };
        if all <= room {
            return points.clone();
        }
        // Every group keeps its share, and one point at least.
        let kept = (points.len() * room / all).max(1).min(points.len());
        (0..kept)
            .map(|place| points[place * points.len() / kept])
            .collect()
    };
    groups.iter().zip(points).map(thin).collect()
}

fn legend(groups: &[MapGroup<'_>], points: &[Vec<(f64, f64)>]) -> Vec<Entry> {
    let entries = groups.iter().zip(points).enumerate();
    entries
        .map(|(place, (group, points))| Entry {
            value: grouped(points.len()),
            ..Entry::new(Mark::Patch(group.role.colour(place), 0.8), group.name)
        })
        .collect()
}

fn notes(
    groups: &[MapGroup<'_>],
    finite: &[Vec<(f64, f64)>],
    shown: &[Vec<(f64, f64)>],
    (x, y): (&Axis, &Axis),
) -> Vec<String> {
    let count = |points: &[Vec<(f64, f64)>]| points.iter().map(Vec::len).sum::<usize>();
    let mut notes = Vec::new();
    if count(shown) < count(finite) {
        notes.push(format!(
            "{} of {} points are drawn, thinned evenly within each group",
            grouped(count(shown)),
            grouped(count(finite))
        ));
    }
    let out = |(a, b): &&(f64, f64)| x.clamped(*a) != *a || y.clamped(*b) != *b;
    let far = shown.iter().flatten().filter(out).count();
    if far > 0 {
        notes.push(format!("far points, drawn at the edge: {}", grouped(far)));
    }
    let all: usize = groups.iter().map(|group| group.points.len()).sum();
    notes.extend(left_out(all - count(finite)));
    notes
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::well_formed::{any_number, any_single, any_text, check};
    use super::*;

    fn grid(count: u16) -> Vec<(f32, f32)> {
        let place = |i: u16| (f32::from(i % 100), f32::from(i / 100));
        (0..count).map(place).collect()
    }

    #[test]
    fn normal_points_are_thinned_and_anomalies_are_kept() {
        let (many, few) = (grid(20_000), grid(137));
        let group = |role, points| MapGroup {
            name: "group",
            role,
            points,
        };
        let map = LatentMap {
            title: "map",
            groups: &[group(Role::Normal, &many), group(Role::Anomaly, &few)],
            shares: Some([0.5, 0.25]),
        };
        let picture = latent_map(&map).unwrap();
        assert_eq!(picture.matches("<circle").count(), COMMON_POINTS + 137);
        assert!(picture.contains("3,137 of 20,137 points are drawn"));
        assert!(picture.contains("50 % of the variance"));
        assert!(picture.len() < 400_000, "{}", picture.len());
    }

    #[test]
    fn thinning_takes_points_from_the_beginning_to_the_end() {
        let points = grid(9_000);
        let group = MapGroup {
            name: "",
            role: Role::Unlabelled,
            points: &points,
        };
        let shown = thinned(&[group], &[finite(&group)]);
        assert_eq!(shown[0][0], (0.0, 0.0));
        assert_eq!(shown[0][1], (3.0, 0.0));
        assert_eq!(shown[0][COMMON_POINTS - 1], (97.0, 89.0));
    }

    #[test]
    fn points_that_are_not_finite_are_counted_and_far_ones_too() {
        let mut points = grid(1_000);
        points.extend([(f32::NAN, 0.0), (0.0, f32::INFINITY), (1e9, 0.0)]);
        let group = MapGroup {
            name: "rows",
            role: Role::Normal,
            points: &points,
        };
        let map = LatentMap {
            title: "map",
            groups: &[group],
            shares: None,
        };
        let picture = latent_map(&map).unwrap();
        assert!(picture.contains("2 values are not finite numbers"));
        assert!(picture.contains("drawn at the edge: 1"));
    }

    #[test]
    fn a_far_point_does_not_shrink_the_others() {
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        values.push(1e9);
        let (low, high) = span(values.into_iter());
        assert!(low < 0.0 && high < 3_000.0, "{low} {high}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_points_give_a_map(
            title in any_text(),
            groups in prop::collection::vec(
                (any_text(), prop::collection::vec((any_single(), any_single()), 0..40)), 0..5),
            shares in prop::option::of([any_number(), any_number()]),
        ) {
            let roles = [
                Role::Normal, Role::Anomaly, Role::Flagged, Role::Category, Role::Unlabelled,
            ];
            let groups: Vec<MapGroup<'_>> = groups
                .iter()
                .zip(roles)
                .map(|((name, points), role)| MapGroup { name, role, points })
                .collect();
            check(&latent_map(&LatentMap { title: &title, groups: &groups, shares }).unwrap())?;
        }
    }
}
