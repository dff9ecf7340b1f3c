//! The dates of times of which only their place in a day or a week is known.

use crate::detect::Provenance;
use crate::record::parse_time;

const WEEK: f64 = 7.0 * 86_400.0;

/// The time that the training rows cover, epoch seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    /// None if the rows had no time.
    from: Option<f64>,
    to: f64,
}

impl Stretch {
    /// The rows' own time. Nothing is known of rows without one: theirs is the first week of 1970.
    pub fn of(provenance: &Provenance) -> Stretch {
        let time = |text: &Option<String>| parse_time(text.as_deref()?);
        match (time(&provenance.from), time(&provenance.to)) {
            (Some(from), Some(to)) => Stretch {
                from: Some(from),
                to,
            },
            _ => Stretch {
                from: None,
                to: WEEK,
            },
        }
    }

    /// The last moment within the stretch that lies `place` seconds in its `period`, both counted
    /// from the epoch.
    pub fn last(&self, place: f64, period: f64) -> f64 {
        place + ((self.to - place) / period).floor() * period
    }

    /// One of all such moments: that at `share` of them, which is 0 or more and below 1. The last
    /// one if there is none or if the start is not known.
    pub fn any(&self, place: f64, period: f64, share: f64) -> f64 {
        let last = self.last(place, period);
        let Some(from) = self.from else {
            return last;
        };
        let first = place + ((from - place) / period).ceil() * period;
        let moments = ((last - first) / period).round() + 1.0;
        (first + (share * moments).floor() * period).min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: f64 = 86_400.0;

    #[test]
    fn every_moment_of_the_stretch_has_its_share() {
        let stretch = Stretch {
            from: Some(100.0 * DAY + 10.0),
            to: 103.0 * DAY,
        };
        let days = |place: f64| {
            let at = |share| (stretch.any(place, DAY, share) - place) / DAY;
            [0.0, 0.3, 0.34, 0.6, 0.7, 0.99].map(at)
        };
        assert_eq!(days(20.0), [100.0, 100.0, 101.0, 101.0, 102.0, 102.0]);
        // Before the first second the first day is not within it, and midnight ends it.
        assert_eq!(days(5.0)[..2], [101.0, 101.0]);
        assert_eq!(days(0.0)[5], 103.0);
        assert_eq!(stretch.last(20.0, DAY), 102.0 * DAY + 20.0);
    }

    proptest! {
        #[test]
        fn moments_keep_their_place_and_lie_within_the_stretch(
            from in -1e9..2e9_f64, days in 7.0..400.0_f64, share in 0.0..1.0_f64,
            place in 0.0..1.0_f64, weekly: bool,
        ) {
            let period = if weekly { 7.0 * DAY } else { DAY };
            let place = (place * period).floor();
            let (from, to) = (from.floor(), (from + days * DAY).floor());
            let known = Stretch { from: Some(from), to };
            for moment in [known.any(place, period, share), known.last(place, period)] {
                prop_assert!((from..=to).contains(&moment));
                prop_assert_eq!(moment.rem_euclid(period), place);
            }
            let unknown = Stretch { from: None, to };
            prop_assert_eq!(unknown.any(place, period, share), known.last(place, period));
        }
    }
}
