//! How many records a partition has in a day, told by the records themselves.
//!
//! A [`Pace`] is a pure function of the scored records of one partition, in the order of their
//! offsets: neither the wall clock, nor batches, nor threads, nor other partitions have a part in
//! it. Whoever keeps it beside an offset and goes on from there comes to the same hours.
//!
//! Its clock is the hour of record time, and no single record moves it. It goes forward when
//! records of later hours outnumber the others by [`AHEAD`], to the earliest of those hours; it goes
//! back when [`BEHIND`] records in a row lie two hours or more behind it, and forgets the open hour
//! then. Records that come late, or too early, or without a time, count in the hour that is open.

use serde::{Deserialize, Serialize};

/// Closed hours that are remembered: a day, so that day and night weigh as they do.
pub const HOURS: usize = 24;

const HOUR_MS: i64 = 3_600_000;

/// By so much must records of later hours outnumber the others. If a share q of the records has a
/// clock that runs ahead, they win with a probability of about (q / (1 - q))^8: one in fifty
/// million for a tenth of the records, certainty for half of them.
const AHEAD: u8 = 8;

/// So many records in a row must lie behind. Sources of two clocks that take turns never get
/// there, a topic that is filled again from its past does within a moment.
const BEHIND: u8 = 64;

/// The record time and the counts of one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Pace {
    /// The open hour, since 1970; `None` until records agree on one.
    hour: Option<i64>,
    /// Scored records since it was opened.
    count: u32,
    /// Whether the open hour was seen from its beginning.
    whole: bool,
    /// By how many records later hours lead, and the earliest of those hours.
    ahead: u8,
    later: i64,
    /// How many records in a row lie behind.
    behind: u8,
    /// Scored records of the last closed hours, newest last, at most [`HOURS`].
    closed: Vec<u32>,
    /// The offset from which on these closed hours hold.
    since: i64,
}

impl Pace {
    /// Takes in the scored record at `offset`; `time_ms` is its event time, epoch milliseconds, and
    /// none if it is not above 0. True if an hour was closed, so that from the next offset on
    /// [`Pace::relative`] may be another one.
    pub fn observe(&mut self, time_ms: i64, offset: i64) -> bool {
        self.count = self.count.saturating_add(1);
        if time_ms <= 0 {
            return false;
        }
        let hour = time_ms / HOUR_MS;
        match self.hour {
            Some(open) if hour <= open => {
                self.ahead = self.ahead.saturating_sub(1);
                self.behind = if hour < open - 1 { self.behind + 1 } else { 0 };
                if self.behind >= BEHIND {
                    self.go_back(hour);
                }
                false
            }
            _ => {
                self.behind = 0;
                self.later = match self.ahead {
                    0 => hour,
                    _ => self.later.min(hour),
                };
                self.ahead += 1;
                self.ahead >= AHEAD && self.go_on(offset)
            }
        }
    }

    /// Closes the open hour and opens the one that later records agree on.
    fn go_on(&mut self, offset: i64) -> bool {
        let left = self.hour.replace(self.later);
        let empty = left.map_or(i64::MAX, |left| self.later - left - 1);
        let count = std::mem::take(&mut self.count);
        let learnt = self.closed.clone();
        if self.whole {
            self.closed.push(count);
        }
        // A pause of a day or more (a weekend, an outage, a leap of a clock) says nothing of the
        // day that comes, nor when the hour after it began for this partition.
        self.whole = empty < HOURS as i64;
        if self.whole {
            self.closed.extend((0..empty).map(|_| 0));
        }
        self.closed.drain(..self.closed.len().saturating_sub(HOURS));
        self.ahead = 0;
        let changed = self.closed != learnt;
        if changed {
            self.since = offset.saturating_add(1);
        }
        changed
    }

    /// The clock was wrong, or time begins anew: nobody knows what was counted.
    fn go_back(&mut self, hour: i64) {
        self.hour = Some(hour);
        self.count = 0;
        self.whole = false;
        self.ahead = 0;
        self.behind = 0;
    }

    /// The rate of the last day as a multiple of `records_a_day`, which is above 0. Hours of the
    /// day that are not known count as `records_a_day` has them.
    pub fn relative(&self, records_a_day: f64) -> f64 {
        let known: f64 = self.closed.iter().copied().map(f64::from).sum();
        let unknown = HOURS.saturating_sub(self.closed.len());
        known / records_a_day + unknown as f64 / HOURS as f64
    }

    /// How many hours of the last day are known.
    pub fn hours(&self) -> usize {
        self.closed.len()
    }

    /// The offset from which on the known hours hold.
    pub fn since(&self) -> i64 {
        self.since
    }
}

/// What a note holds, before it is believed.
#[derive(Deserialize)]
struct Stored {
    hour: Option<i64>,
    count: u32,
    whole: bool,
    ahead: u8,
    later: i64,
    behind: u8,
    closed: Vec<u32>,
    since: i64,
}

impl TryFrom<Stored> for Pace {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Pace, String> {
        let possible = 0..=i64::MAX / HOUR_MS;
        let hours = [stored.hour.unwrap_or(0), stored.later];
        if stored.closed.len() > HOURS {
            return Err(format!("{} closed hours in a day", stored.closed.len()));
        }
        if let Some(hour) = hours.iter().find(|hour| !possible.contains(hour)) {
            return Err(format!("{hour} is no hour"));
        }
        if stored.ahead >= AHEAD || stored.behind >= BEHIND {
            return Err("more records than move the clock".into());
        }
        Ok(Pace {
            hour: stored.hour,
            count: stored.count,
            whole: stored.whole,
            ahead: stored.ahead,
            later: stored.later,
            behind: stored.behind,
            closed: stored.closed,
            since: stored.since,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-01-01, a round hour.
    const BEGIN_MS: i64 = 1_767_225_600_000;

    /// Steady records, so many an hour for so many hours.
    fn steady(an_hour: i64, hours: i64) -> impl Iterator<Item = i64> + Clone {
        (0..an_hour * hours).map(move |record| BEGIN_MS + record * HOUR_MS / an_hour)
    }

    /// The pace after records of these times, and the offsets at which an hour was closed.
    fn paced(mut pace: Pace, times: &[i64]) -> (Pace, Vec<i64>) {
        let mut closings = Vec::new();
        for (offset, &time) in (0..).zip(times) {
            if pace.observe(time, offset) {
                closings.push(offset);
            }
        }
        (pace, closings)
    }

    fn observed(times: impl IntoIterator<Item = i64>) -> Pace {
        paced(Pace::default(), &times.into_iter().collect::<Vec<_>>()).0
    }

    #[test]
    fn a_day_of_records_is_counted_hour_by_hour() {
        let pace = observed(steady(100, 30));
        assert_eq!(pace.closed, [100; HOURS]);
        assert_eq!(pace.relative(2400.0), 1.0);
        assert_eq!(pace.relative(1200.0), 2.0);
    }

    #[test]
    fn hours_that_are_not_known_count_as_in_training() {
        // The first hour is begun in its midst for all anyone knows, the last one is open.
        let pace = observed(steady(100, 14));
        assert_eq!(pace.hours(), 12);
        assert_eq!(pace.relative(4800.0), 0.5 * 0.5 + 0.5);
    }

    #[test]
    fn a_night_without_records_counts_and_a_weekend_does_not() {
        let day = 24 * HOUR_MS;
        let eight_hours = |after: i64| steady(100, 8).map(move |time| time + after);
        let working = (0..5).flat_map(|days| eight_hours(days * day));
        let friday = observed(working.clone());
        assert_eq!(friday.hours(), HOURS);
        assert!((friday.relative(800.0) - 1.0).abs() < 0.02);
        let monday_morning = working.clone().chain(eight_hours(7 * day).take(200));
        let monday = observed(monday_morning);
        assert!((monday.relative(800.0) - 1.0).abs() < 0.15, "{monday:?}");
        let tuesday = (7..9).flat_map(|days| eight_hours(days * day));
        let tuesday = observed(working.chain(tuesday));
        assert!((tuesday.relative(800.0) - 1.0).abs() < 0.02, "{tuesday:?}");
    }

    #[test]
    fn a_partition_of_a_few_records_a_day_keeps_the_rate_of_training() {
        let pace = observed(steady(1, 24 * 60).step_by(12));
        assert_eq!(
            pace,
            Pace {
                closed: vec![],
                ..pace.clone()
            }
        );
        // A little more is enough, and then the rate is right.
        let pace = observed(steady(1, 24 * 60).step_by(2));
        assert!((pace.relative(12.0) - 1.0).abs() < 0.4, "{pace:?}");
    }

    #[test]
    fn records_without_a_time_count_and_leave_the_clock_alone() {
        let with_none = steady(100, 30).flat_map(|time| [time, -1, 0]);
        assert_eq!(observed(with_none).closed, [300; HOURS]);
        assert_eq!(observed([-1; 1000]).hour, None);
    }

    #[test]
    fn a_clock_that_was_wrong_is_put_right_and_its_hour_forgotten() {
        let wrong = steady(100, 1).map(|time| time + 100 * 365 * 24 * HOUR_MS);
        let before = observed(steady(100, 12));
        let (pace, _) = paced(before.clone(), &wrong.collect::<Vec<_>>());
        let after: Vec<i64> = steady(100, 40).skip(1200).collect();
        let (pace, _) = paced(pace, &after);
        assert_eq!(pace.closed, [100; HOURS]);
        // Within a day of the leap at most the hour that it cut off is another one.
        let (pace, _) = paced(before, &after);
        assert_eq!(pace.closed, [100; HOURS]);
    }

    #[test]
    fn sources_whose_clocks_differ_by_hours_are_counted_together() {
        let mixed = steady(100, 60).flat_map(|time| [time, time + 3 * HOUR_MS, time]);
        let pace = observed(mixed);
        assert!((pace.relative(7200.0) - 1.0).abs() < 0.02, "{pace:?}");
    }

    #[test]
    fn a_note_of_the_longest_pace_stays_short() {
        let pace = Pace {
            hour: Some(i64::MAX / HOUR_MS),
            count: u32::MAX,
            whole: false,
            ahead: AHEAD - 1,
            later: i64::MAX / HOUR_MS,
            behind: BEHIND - 1,
            closed: vec![u32::MAX; HOURS],
            since: i64::MAX,
        };
        assert!(serde_json::to_string(&pace).unwrap().len() < 600);
    }

    /// Times as a stream has them: a rate that changes, disorder, some without a time.
    fn stream() -> impl Strategy<Value = Vec<i64>> {
        let record = (1_i64..400_000, -600_000_i64..600_000, 0_u8..50);
        proptest::collection::vec(record, 1..800).prop_map(|records| {
            let mut now = BEGIN_MS;
            let time = |(pause, disorder, kind)| {
                now += pause;
                if kind == 0 { -1 } else { now + disorder }
            };
            records.into_iter().map(time).collect()
        })
    }

    proptest! {
        #[test]
        fn going_on_from_the_note_at_any_offset_comes_to_the_same(
            times in stream(), at in any::<prop::sample::Index>(),
        ) {
            let at = at.index(times.len());
            let (whole, closings) = paced(Pace::default(), &times);
            let (first, mut found) = paced(Pace::default(), &times[..at]);
            let note = serde_json::to_string(&first).unwrap();
            let mut pace: Pace = serde_json::from_str(&note).unwrap();
            for (offset, &time) in (at as i64..).zip(&times[at..]) {
                if pace.observe(time, offset) {
                    found.push(offset);
                }
            }
            prop_assert_eq!(pace, whole);
            prop_assert_eq!(found, closings);
        }

        #[test]
        fn no_hour_is_closed_twice_while_time_goes_on(times in stream()) {
            let mut pace = Pace::default();
            let mut hours = Vec::new();
            for (offset, &time) in (0..).zip(&times) {
                let open = pace.hour;
                if pace.observe(time, offset) {
                    hours.push(open);
                    prop_assert_eq!(pace.since(), offset + 1);
                    prop_assert!(pace.hour > open);
                }
            }
            prop_assert!(hours.is_sorted_by(|a, b| a < b));
        }

        #[test]
        fn one_absurd_time_changes_no_hour_by_more_than_the_lead_of_the_next(
            an_hour in 20_i64..60, at in any::<prop::sample::Index>(), absurd in any::<i64>(),
        ) {
            let mut times: Vec<i64> = steady(an_hour, 40).collect();
            let calm = observed(times.iter().copied());
            times.insert(at.index(times.len()), absurd);
            let disturbed = observed(times);
            prop_assert_eq!(disturbed.hour, calm.hour);
            prop_assert_eq!(disturbed.hours(), HOURS);
            for (a, b) in disturbed.closed.iter().zip(&calm.closed) {
                prop_assert!(a.abs_diff(*b) <= 2, "{} against {}", a, b);
            }
        }

        #[test]
        fn no_times_break_it(times in proptest::collection::vec(any::<i64>(), 0..500)) {
            let pace = observed(times);
            let rate = pace.relative(100.0);
            prop_assert!(rate.is_finite() && rate >= 0.0);
            let note = serde_json::to_string(&pace).unwrap();
            prop_assert_eq!(serde_json::from_str::<Pace>(&note).unwrap(), pace);
        }
    }
}
