//! Points in time, as records spell them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// Seconds since 1970 of a number of seconds, milliseconds, microseconds or nanoseconds.
///
/// The unit is told by the magnitude: each covers 1973 to 5138, which no other does.
pub(super) fn of_number(value: f64) -> Option<f64> {
    match value.abs() {
        size if size < 1e11 => Some(value),
        size if size < 1e14 => Some(value / 1e3),
        size if size < 1e17 => Some(value / 1e6),
        size if size < 1e20 => Some(value / 1e9),
        _ => None,
    }
}

/// Seconds since 1970 of an RFC 3339 time, or of a date or date and time in UTC without an offset.
pub fn of_text(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    if bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let clock = bytes.get(10..).unwrap_or(&[]);
    let has_offset = clock
        .iter()
        .any(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'));
    let timestamp: Timestamp = if has_offset {
        text.parse().ok()?
    } else {
        Offset::UTC
            .to_timestamp(text.parse::<DateTime>().ok()?)
            .ok()?
    };
    let fraction = f64::from(timestamp.subsec_nanosecond()) / 1e9;
    Some(timestamp.as_second() as f64 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_spellings_name_the_same_instant() {
        for text in [
            "2024-01-02T03:04:05.5Z",
            "2024-01-02t03:04:05.5z",
            "2024-01-02T04:04:05.5+01:00",
            "2024-01-01T22:04:05.5-05:00",
            "2024-01-02 03:04:05.5",
            "2024-01-02T03:04:05.500",
        ] {
            assert_eq!(of_text(text), Some(1_704_164_645.5), "{text}");
        }
        assert_eq!(of_text("2024-01-02"), Some(1_704_153_600.0));
    }

    #[test]
    fn other_text_is_no_instant() {
        for text in [
            "",
            "now",
            "2024",
            "20240102",
            "2024-13-02T03:04:05Z",
            "2024-01-02T25:04:05Z",
            "02-01-2024",
            "1704164645",
            "2024-01-02T03:04:05 o'clock",
        ] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }

    #[test]
    fn the_unit_of_a_number_is_told_by_its_magnitude() {
        for value in [
            1.704164645e9,
            1.704164645e12,
            1.704164645e15,
            1.704164645e18,
        ] {
            assert_eq!(of_number(value), Some(1_704_164_645.0));
        }
        assert_eq!(of_number(-1.0), Some(-1.0));
        assert_eq!(of_number(1e20), None);
    }
}
