//! The way back: from the network's columns to cells.

use std::f64::consts::TAU;

use super::{EncodedField, Encoding, Part};

/// Digits of a number, in units of its deviation, that the network's `f32` can tell apart.
const DIGITS: f64 = 6.0;

impl Encoding {
    /// Turns `values` (one a column) and `present` (one a head) back into `cells` (one a field):
    /// the inverse of [`Encoding::encode`], but for what columns do not hold. Numbers come back as
    /// far as `f32` and the clipping let them, and of a time its place in the field's
    /// [period](EncodedField::period), in seconds. A field without columns is missing.
    ///
    /// Columns may also be what a network expects: a flag is then the likelier of its two values,
    /// and a word the likeliest one (0 is any that is not in the vocabulary).
    pub fn decode(&self, values: &[f32], present: &[f32], cells: &mut [f64]) {
        let (mut column, mut head) = (0, 0);
        for (field, cell) in self.fields.iter().zip(cells) {
            let width: usize = field.parts.iter().map(|part| part.head().width()).sum();
            let there = present[head..head + field.parts.len()].iter();
            *cell = if there.copied().any(|mark| mark != 0.0) {
                field.cell(&values[column..column + width])
            } else {
                f64::NAN
            };
            (column, head) = (column + width, head + field.parts.len());
        }
    }
}

impl EncodedField {
    /// The longest period in which columns place a time, seconds: a day, or a week that begins as
    /// the epoch did, on a Thursday at 00:00 UTC. None for what is no time or has no column.
    pub fn period(&self) -> Option<f64> {
        self.periods().reduce(f64::max)
    }

    /// A number as training wrote it: with as many digits after the point as there were, or else
    /// with those that the network can tell apart. Other cells are as they were.
    pub fn rounded(&self, cell: f64) -> f64 {
        match self.parts[..] {
            [
                Part::Scaled {
                    deviation,
                    decimals,
                    ..
                },
            ] => {
                let told_apart = (DIGITS - deviation.log10().floor()).max(0.0);
                round(cell, decimals.map_or(told_apart as i32, i32::from))
            }
            _ => cell,
        }
    }

    /// A number that training may have seen: rounded, and no further out than all but a
    /// thousandth were on either side. Other cells are as they were.
    pub fn plausible(&self, cell: f64) -> f64 {
        match self.parts[..] {
            [Part::Scaled { low, high, .. }] if !cell.is_nan() => {
                self.rounded(cell).max(low).min(high)
            }
            _ => cell,
        }
    }

    fn cell(&self, values: &[f32]) -> f64 {
        match self.parts[..] {
            [] => f64::NAN,
            [
                Part::Scaled {
                    mean, deviation, ..
                },
            ] => f64::from(values[0]) * deviation + mean,
            [Part::Flag] => f64::from(u8::from(values[0] >= 0.5)),
            [Part::OneHot { .. }] => {
                let classes = 0..values.len();
                let likeliest = classes.max_by(|&a, &b| values[a].total_cmp(&values[b]));
                likeliest.unwrap_or(0) as f64
            }
            _ => self.moment(values),
        }
    }

    /// The place of a time in the longest period. A shorter period tells it finer: of its moments
    /// the one nearest to where the longer one is.
    fn moment(&self, values: &[f32]) -> f64 {
        let mut periods: Vec<f64> = self.periods().collect();
        periods.sort_by(|a, b| b.total_cmp(a));
        let Some((&longest, shorter)) = periods.split_first() else {
            return f64::NAN;
        };
        let mut moment = self.place(longest, values);
        for &period in shorter {
            let place = self.place(period, values);
            moment = place + ((moment - place) / period).round() * period;
        }
        // Just below 0 rounds to the period itself.
        let moment = moment.rem_euclid(longest);
        if moment < longest { moment } else { 0.0 }
    }

    /// Seconds into the period that is `period` long.
    fn place(&self, period: f64, values: &[f32]) -> f64 {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (part, &value) in self.parts.iter().zip(values) {
            match part {
                Part::Cycle { seconds, cosine: c } if *seconds == period => {
                    *(if *c { &mut cosine } else { &mut sine }) = f64::from(value);
                }
                _ => {}
            }
        }
        f64::atan2(sine, cosine).rem_euclid(TAU) / TAU * period
    }

    fn periods(&self) -> impl Iterator<Item = f64> {
        self.parts.iter().filter_map(|part| match part {
            Part::Cycle {
                seconds,
                cosine: false,
            } => Some(*seconds),
            _ => None,
        })
    }
}

/// `value` with `digits` digits after the point; as it is where that is beyond `f64`.
pub(super) fn round(value: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    let rounded = (value * unit).round() / unit;
    if rounded.is_finite() { rounded } else { value }
}

#[cfg(test)]
mod tests {
    use super::super::encoding::CLIP;
    use super::*;
    use crate::config::Kind;
    use proptest::prelude::*;

    const DAY: f64 = 86_400.0;

    fn field(kind: Kind, parts: Vec<Part>) -> EncodedField {
        EncodedField {
            path: "f".into(),
            kind,
            vocabulary: vec![],
            parts,
        }
    }

    fn number(mean: f64, deviation: f64, decimals: Option<u8>) -> EncodedField {
        let (low, high) = (mean - 2.0 * deviation, mean + 3.0 * deviation);
        let scaled = Part::Scaled {
            mean,
            deviation,
            low,
            high,
            decimals,
        };
        field(Kind::Numeric, vec![scaled])
    }

    /// One field of every kind, a constant one among them.
    fn encoding(mean: f64, deviation: f64) -> Encoding {
        Encoding {
            fields: vec![
                number(mean, deviation, None),
                field(Kind::Timestamp, Part::cycles(20.0 * DAY)),
                field(Kind::Numeric, vec![]),
                field(Kind::Categorical, vec![Part::OneHot { classes: 5 }]),
                field(Kind::Boolean, vec![Part::Flag]),
                field(Kind::Timestamp, Part::cycles(3.0 * DAY)),
            ],
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(
            mean in -1e6..1e6_f64, deviation in 1e-3..1e6_f64, off in -CLIP..CLIP,
            time in -2e9..4e9_f64, class in 0_u8..5, flag: bool, missing in 0_usize..12,
        ) {
            let encoding = encoding(mean, deviation);
            let flag = f64::from(u8::from(flag));
            let mut cells = [mean + off * deviation, time, 7.0, class.into(), flag, time];
            if let Some(cell) = cells.get_mut(missing) {
                *cell = f64::NAN;
            }
            let (mut values, mut present) = (vec![9.0; encoding.width()], vec![9.0; 9]);
            encoding.encode(&cells, &mut values, &mut present);
            let mut back = [9.0; 6];
            encoding.decode(&values, &present, &mut back);

            // Half of the last bit of an f32, and that of the mean beside it.
            let exact = |scale: f64| 6e-8 * scale + 1e-15 * mean.abs();
            // A sine and a cosine to the last bit tell a time of the day to some milliseconds; the
            // times themselves have a resolution of half a microsecond.
            let allowed = [exact(off.abs() * deviation), 0.01, 0.0, 0.0, 0.0, 0.01];
            let periods = [0.0, 7.0 * DAY, 0.0, 0.0, 0.0, DAY];
            prop_assert!(back[2].is_nan());
            for (index, ((cell, found), allowed)) in cells.iter().zip(back).zip(allowed).enumerate() {
                if index == 2 || cell.is_nan() {
                    prop_assert!(found.is_nan());
                    continue;
                }
                let mut error = (found - cell).abs();
                if periods[index] > 0.0 {
                    prop_assert!((0.0..periods[index]).contains(&found));
                    let beyond = error.rem_euclid(periods[index]);
                    error = beyond.min(periods[index] - beyond);
                }
                prop_assert!(error <= allowed, "field {}: {} came back as {}", index, cell, found);
            }
        }
    }

    #[test]
    fn a_time_of_the_week_is_as_fine_as_the_time_of_the_day() {
        let field = field(Kind::Timestamp, Part::cycles(20.0 * DAY));
        assert_eq!(field.period(), Some(7.0 * DAY));
        let at = |seconds: f64, period: f64| {
            let angle = seconds / period * TAU;
            [angle.sin() as f32, angle.cos() as f32]
        };
        // Sunday 23:00 by a blurred week that says Monday 03:00, and Monday 01:00 by one that
        // says Sunday 22:00. The epoch began on a Thursday.
        for (hour, week, day) in [(23.0, 4.125, 3.0), (1.0, 3.917, 4.0)] {
            let values = [at(hour * 3600.0, DAY), at(week * DAY, 7.0 * DAY)].concat();
            let off = field.moment(&values) - (day * DAY + hour * 3600.0);
            assert!(off.abs() < 0.1, "{hour} h: off by {off} s");
        }
    }

    #[test]
    fn numbers_are_written_as_training_wrote_them_and_stay_in_its_range() {
        let whole = number(10.0, 4.0, Some(0));
        assert_eq!(whole.rounded(12.6), 13.0);
        assert_eq!(whole.plausible(-40.0), 2.0);
        assert_eq!(whole.plausible(40.0), 22.0);
        assert!(whole.plausible(f64::NAN).is_nan());
        assert_eq!(number(0.0, 5.0, Some(2)).rounded(7.123_456_7), 7.12);
        assert_eq!(number(0.0, 5.0, None).rounded(7.123_456_7), 7.123_457);
        assert_eq!(number(0.0, 1e-310, None).rounded(1e-310), 1e-310);
        assert_eq!(
            number(1e9, 3e8, None).rounded(1.234_567_8e9 + 0.4),
            1_234_567_800.0
        );
    }

    #[test]
    fn of_what_a_network_expects_the_likeliest_comes_back() {
        let encoding = Encoding {
            fields: vec![
                field(Kind::Boolean, vec![Part::Flag]),
                field(Kind::Categorical, vec![Part::OneHot { classes: 3 }]),
            ],
        };
        let mut cells = [0.0; 2];
        encoding.decode(&[0.7, 0.2, 0.3, 0.5], &[1.0; 2], &mut cells);
        assert_eq!(cells, [1.0, 2.0]);
    }
}
