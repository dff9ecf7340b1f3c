//! Scalars as text: words, numbers, durations, sizes.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::error::Wrong;
use super::suggestion::nearest;

const MILLISECOND: u64 = 1;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Largest first, in milliseconds.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", DAY),
    ("h", HOUR),
    ("m", MINUTE),
    ("s", SECOND),
    ("ms", MILLISECOND),
];

/// The binary ones first, because sizes are shown in them.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
];

/// A whole number in `range`.
pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, Wrong>
where
    T: FromStr + PartialOrd + Display,
{
    move |text| {
        let remedy = || {
            let (least, most) = (range.start(), range.end());
            format!("write a whole number from {least} to {most}")
        };
        let wrong = || match text.parse::<i128>() {
            Ok(_) => Wrong::new("is out of range", remedy()),
            Err(_) => Wrong::new("is not a whole number", remedy()),
        };
        let number = text.parse::<T>().map_err(|_| wrong())?;
        range.contains(&number).then_some(number).ok_or_else(wrong)
    }
}

/// A number that `accepts` likes; `bounds` says in words which those are.
pub(super) fn number(
    accepts: fn(f64) -> bool,
    bounds: &str,
) -> impl Fn(&str) -> Result<f64, Wrong> {
    move |text| {
        let remedy = format!("write a number {bounds}");
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() && accepts(number) => Ok(number),
            Ok(_) => Err(Wrong::new("is out of range", remedy)),
            Err(_) => Err(Wrong::new("is not a number", remedy)),
        }
    }
}

/// `true` or `false`.
pub(super) fn boolean(text: &str) -> Result<bool, Wrong> {
    one_of(&[("true", true), ("false", false)])(text)
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(words: &[(&str, T)]) -> impl Fn(&str) -> Result<T, Wrong> {
    move |text| {
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*value);
        }
        let names = || words.iter().map(|(word, _)| *word);
        let all = names().map(|word| format!("{word:?}")).collect::<Vec<_>>();
        let mut remedy = format!("write {}", all.join(" or "));
        if let Some(word) = nearest(text, names()) {
            remedy = format!("did you mean {word:?}? {remedy}");
        }
        Err(Wrong::new("is not a word that is known here", remedy))
    }
}

/// A duration in `range`: a whole number and a unit, `"200ms"`, `"7d"`.
pub(super) fn duration(
    range: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, Wrong> {
    move |text| {
        let bounds = || {
            let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
            format!("write \"{least}\" to \"{most}\", in ms, s, m, h or d")
        };
        let wrong = |problem: &str| Wrong::new(problem, bounds());
        let milliseconds = match amount(text, &DURATION_UNITS).map_err(wrong)? {
            (0, None) => 0,
            (_, None) => return Err(wrong("has no unit")),
            (count, Some(unit)) => count
                .checked_mul(unit)
                .ok_or_else(|| wrong("is out of range"))?,
        };
        let duration = Duration::from_millis(milliseconds);
        let inside = range.contains(&duration).then_some(duration);
        inside.ok_or_else(|| wrong("is out of range"))
    }
}

/// Longer than anybody waits, and short enough to be added to any time.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// What people write on a command line or in a request: `75s`, `10m`, `1h30m`; at most a year.
///
/// # Errors
/// In words, when it is none.
pub fn time_span(text: &str) -> Result<Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .filter(|span| *span <= LONGEST)
        .ok_or_else(|| "a duration such as 75s, 10m or 2h is wanted, of at most a year".into())
}

/// A number of bytes in `range`: a whole number, with a unit or without, `"1MiB"`, `1048576`.
pub(super) fn bytes(range: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, Wrong> {
    move |text| {
        let bounds = || {
            let (least, most) = (bytes_text(*range.start()), bytes_text(*range.end()));
            format!("write \"{least}\" to \"{most}\", in B, KiB, MiB or GiB")
        };
        let wrong = |problem: &str| Wrong::new(problem, bounds());
        let (count, unit) = amount(text, &SIZE_UNITS).map_err(wrong)?;
        let size = count.checked_mul(unit.unwrap_or(1));
        let size = size.and_then(|size| usize::try_from(size).ok());
        size.filter(|size| range.contains(size))
            .ok_or_else(|| wrong("is out of range"))
    }
}

/// The duration as the configuration writes it, in the largest unit that is exact. Parts of a
/// millisecond are left out.
pub fn duration_text(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    in_units(milliseconds, &DURATION_UNITS)
}

fn bytes_text(bytes: usize) -> String {
    in_units(u64::try_from(bytes).unwrap_or(u64::MAX), &SIZE_UNITS)
}

fn in_units(amount: u64, units: &[(&str, u64)]) -> String {
    let exact = units
        .iter()
        .find(|(_, size)| amount >= *size && amount.is_multiple_of(*size));
    match exact {
        Some((unit, size)) => format!("{}{unit}", amount / size),
        None => amount.to_string(),
    }
}

/// A whole number and the size of the unit behind it.
fn amount(text: &str, units: &[(&str, u64)]) -> Result<(u64, Option<u64>), &'static str> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (digits, unit) = text.split_at(digits);
    if digits.is_empty() {
        return Err("does not start with a whole number");
    }
    let count = digits.parse().map_err(|_| "is out of range")?;
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Ok((count, None));
    }
    let size = units.iter().find(|(name, _)| *name == unit);
    size.map(|(_, size)| (count, Some(*size)))
        .ok_or("has a unit that is not known")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_duration(text: &str) -> Result<Duration, Wrong> {
        duration(Duration::ZERO..=Duration::MAX)(text)
    }

    #[test]
    fn time_spans_are_read_as_people_write_them() {
        assert_eq!(time_span("75s"), Ok(Duration::from_secs(75)));
        assert_eq!(time_span("10m"), Ok(Duration::from_secs(600)));
        assert!(time_span("soon").is_err() && time_span("-5s").is_err());
        assert!(time_span("9223372036854775807s").is_err());
    }

    #[test]
    fn durations_have_units() {
        for (text, seconds) in [
            ("200ms", 0.2),
            ("60s", 60.0),
            ("5m", 300.0),
            ("1 h", 3600.0),
        ] {
            assert_eq!(any_duration(text), Ok(Duration::from_secs_f64(seconds)));
        }
        assert_eq!(any_duration("7d"), Ok(Duration::from_secs(7 * 86400)));
        assert_eq!(any_duration("0"), Ok(Duration::ZERO));
        assert_eq!(any_duration("20").unwrap_err().problem, "has no unit");
        assert_eq!(
            any_duration("-1s").unwrap_err().problem,
            "does not start with a whole number"
        );
        assert_eq!(
            any_duration("1y").unwrap_err().problem,
            "has a unit that is not known"
        );
        assert_eq!(
            any_duration("99999999999999999d").unwrap_err().problem,
            "is out of range"
        );
    }

    #[test]
    fn sizes_may_have_units() {
        let size = bytes(0..=usize::MAX);
        for (text, bytes) in [
            ("1MiB", 1 << 20),
            ("1048576", 1 << 20),
            ("2 kB", 2000),
            ("7B", 7),
        ] {
            assert_eq!(size(text), Ok(bytes));
        }
        assert!(size("1.5MiB").is_err());
        assert!(size("99999999999GiB").is_err());
    }

    #[test]
    fn bounds_are_said_in_the_notation_of_the_file() {
        let wrong =
            duration(Duration::from_millis(1)..=Duration::from_secs(600))("1h").unwrap_err();
        assert_eq!(
            wrong.remedy,
            "write \"1ms\" to \"10m\", in ms, s, m, h or d"
        );
        let wrong = bytes(1024..=1 << 28)("1").unwrap_err();
        assert_eq!(
            wrong.remedy,
            "write \"1KiB\" to \"256MiB\", in B, KiB, MiB or GiB"
        );
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        let positive = number(|n| n > 0.0, "above 0");
        for text in ["NaN", "inf", "-inf", "0", "-1", "1e999"] {
            assert_eq!(
                positive(text).unwrap_err().problem,
                "is out of range",
                "{text}"
            );
        }
        assert_eq!(positive("0.2"), Ok(0.2));
    }

    #[test]
    fn a_misspelt_word_is_recognised() {
        let words = one_of(&[("mask", 1), ("dead_letter", 2)]);
        let wrong = words("dead_leter").unwrap_err();
        assert_eq!(
            wrong.remedy,
            "did you mean \"dead_letter\"? write \"mask\" or \"dead_letter\""
        );
        assert_eq!(
            words("zzz").unwrap_err().remedy,
            "write \"mask\" or \"dead_letter\""
        );
    }

    proptest! {
        #[test]
        fn a_duration_survives_its_text(milliseconds in 0..u64::MAX) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(any_duration(&duration_text(duration)), Ok(duration));
        }

        #[test]
        fn a_size_survives_its_text(size in any::<usize>()) {
            prop_assert_eq!(bytes(0..=usize::MAX)(&bytes_text(size)), Ok(size));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,20}", count in any::<u128>()) {
            drop((any_duration(&text), bytes(0..=9)(&text), whole(0..=9u8)(&text)));
            drop(any_duration(&format!("{count}{text}")));
        }
    }
}
