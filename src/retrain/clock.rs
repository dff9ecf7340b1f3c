//! Times of a time zone, as the cron library walks along them.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::time::{CivilDateTime, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

/// A moment in a time zone, and what a clock shows there.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    moment: ZonedDateTime,
    shown: CivilDateTime,
}

impl Clock {
    pub(super) fn at(moment: Timestamp, zone: &TimeZone) -> Option<Clock> {
        Clock::of(moment.to_zoned_datetime(zone.clone()))
    }

    fn of(moment: ZonedDateTime) -> Option<Clock> {
        let shown = moment.datetime();
        let part = |part: i8| u32::try_from(part).ok();
        let shown = CivilDateTime::from_ymd_hms_opt(
            i32::from(shown.year()),
            part(shown.month())?,
            part(shown.day())?,
            part(shown.hour())?,
            part(shown.minute())?,
            part(shown.second())?,
        )?;
        Some(Clock { moment, shown })
    }

    pub(super) fn moment(&self) -> Timestamp {
        self.moment.timestamp()
    }
}

impl CronDateTime for Clock {
    fn to_civil(&self) -> CivilDateTime {
        self.shown
    }

    fn civil_weekday(&self) -> Weekday {
        let from_sunday = self.moment.datetime().weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::try_from(from_sunday).unwrap_or(0))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |part: u32| i8::try_from(part).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(civil.year()).map_err(|_| CronError::InvalidDate)?;
        let shown = DateTime::new(
            year,
            part(civil.month())?,
            part(civil.day())?,
            part(civil.hour())?,
            part(civil.minute())?,
            part(civil.second())?,
            0,
        );
        let shown = shown.map_err(|_| CronError::InvalidDate)?;
        let found = self.moment.time_zone().to_ambiguous_zoned_datetime(shown);
        let moment = |found: Result<ZonedDateTime, jiff::Error>| {
            let found = found.ok().and_then(Clock::of);
            found.ok_or(CronError::InvalidTime)
        };
        Ok(match found.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(moment(found.unambiguous())?),
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(moment(found.clone().earlier())?, moment(found.later())?)
            }
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let moment = self.moment.checked_add(SignedDuration::from_secs(seconds));
        Clock::of(moment.ok()?)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.moment().cmp(&other.moment())
    }
}
