//! When a model is trained anew: slots, the same for every instance.

use croner::Cron;
use jiff::{Timestamp, tz::TimeZone};

use super::clock::Clock;
use crate::config::When;

/// The moments at which a retrain is due.
#[derive(Debug, Clone)]
pub struct Schedule(Vec<Slots>);

#[derive(Debug, Clone)]
enum Slots {
    /// By a cron expression in a time zone.
    Cron(Box<Cron>, TimeZone),
    /// So many seconds apart, counted from the Unix epoch, so that all instances mean the same moments.
    Every(i64),
}

impl Schedule {
    /// The schedule that a configuration means, which has checked it; none if it has none.
    pub fn of(when: &[When]) -> Option<Schedule> {
        let slots: Vec<Slots> = when.iter().filter_map(Slots::of).collect();
        (!slots.is_empty()).then_some(Schedule(slots))
    }

    /// The newest slot at or before `now`; none if there was none yet.
    pub fn latest(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|slots| slots.latest(now)).max()
    }

    /// The slot that is due at `now` when `done` was the last: the newest one, however many were missed.
    pub fn due(&self, now: Timestamp, done: Timestamp) -> Option<Timestamp> {
        self.latest(now).filter(|slot| *slot > done)
    }

    /// The first slot after `now`.
    pub fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.0.iter().filter_map(|slots| slots.next(now)).min()
    }
}

impl Slots {
    fn of(when: &When) -> Option<Slots> {
        Some(match when {
            When::Every(every) => Slots::Every(i64::try_from(every.as_secs().max(1)).ok()?),
            When::Cron { expression, zone } => Slots::Cron(
                Box::new(expression.parse().ok()?),
                TimeZone::get(zone).ok()?,
            ),
        })
    }

    fn latest(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Slots::Every(every) => {
                Timestamp::from_second(now.as_second().div_euclid(*every) * every).ok()
            }
            Slots::Cron(cron, zone) => {
                let slot = cron.find_previous_occurrence(&Clock::at(now, zone)?, true);
                slot.ok().map(|slot| slot.moment())
            }
        }
    }

    fn next(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Slots::Every(every) => {
                let slot = (now.as_second().div_euclid(*every) + 1) * every;
                Timestamp::from_second(slot).ok()
            }
            Slots::Cron(cron, zone) => {
                let slot = cron.find_next_occurrence(&Clock::at(now, zone)?, false);
                slot.ok().map(|slot| slot.moment())
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn every(seconds: u64) -> Schedule {
        Schedule::of(&[When::Every(Duration::from_secs(seconds))]).unwrap()
    }

    #[test]
    fn of_two_rhythms_each_has_its_slots() {
        let nightly = When::Cron {
            expression: "0 3 * * *".into(),
            zone: "UTC".into(),
        };
        let both = Schedule::of(&[When::Every(Duration::from_secs(6 * 3600)), nightly]).unwrap();
        for (now, latest, next) in [
            (
                "2026-03-05T02:00:00Z",
                "2026-03-05T00:00:00Z",
                "2026-03-05T03:00:00Z",
            ),
            (
                "2026-03-05T04:00:00Z",
                "2026-03-05T03:00:00Z",
                "2026-03-05T06:00:00Z",
            ),
        ] {
            assert_eq!(both.latest(time(now)), Some(time(latest)));
            assert_eq!(both.next(time(now)), Some(time(next)));
        }
        assert!(Schedule::of(&[]).is_none());
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn slots_are_those_of_the_time_zone_over_a_change_of_the_clock() {
        let daily = Schedule::of(&[When::Cron {
            expression: "0 3 * * *".into(),
            zone: "Europe/Berlin".into(),
        }]);
        let daily = daily.unwrap();
        // The clocks go forward on 2026-03-29 at 02:00.
        for (now, latest, next) in [
            (
                "2026-03-28T12:00:00Z",
                "2026-03-28T02:00:00Z",
                "2026-03-29T01:00:00Z",
            ),
            (
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T01:00:00Z",
            ),
            (
                "2026-03-30T00:59:59Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T01:00:00Z",
            ),
        ] {
            assert_eq!(daily.latest(time(now)), Some(time(latest)), "{now}");
            assert_eq!(daily.next(time(now)), Some(time(next)), "{now}");
        }
    }

    #[test]
    fn missed_slots_are_one() {
        let hourly = every(3600);
        let (now, done) = (time("2026-03-05T10:20:00Z"), time("2026-03-01T00:00:00Z"));
        let slot = hourly.due(now, done).unwrap();
        assert_eq!(slot, time("2026-03-05T10:00:00Z"));
        assert_eq!(hourly.due(now, slot), None);
        // A clock that was set back calls for nothing again.
        assert_eq!(hourly.due(time("2026-03-05T09:30:00Z"), slot), None);
    }

    proptest! {
        #[test]
        fn a_slot_is_due_once(every in 1u64..100_000, now in 0i64..4_000_000_000) {
            let schedule = super::tests::every(every);
            let now = Timestamp::from_second(now).unwrap();
            let slot = schedule.latest(now).unwrap();
            prop_assert!(slot <= now && schedule.next(now).unwrap() > now);
            prop_assert_eq!(schedule.latest(slot), Some(slot));
            prop_assert_eq!(schedule.due(now, slot), None);
        }
    }
}
