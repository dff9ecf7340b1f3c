//! Ranges of axes and where their ticks stand.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

use super::text::{grouped, number, percent, trimmed};

/// Ticks that an axis has about.
const TICKS: f64 = 6.0;

/// One axis: what it shows, and its words. A logarithmic one is in decimal logarithms.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Lower and upper end; finite, the upper one is larger.
    pub low: f64,
    pub high: f64,
    /// Places with a number beside them.
    pub ticks: Vec<(f64, String)>,
    /// Places with a thin line only.
    pub light: Vec<f64>,
    pub words: String,
}

impl Axis {
    /// From 0 to 1, as per cent.
    pub(super) fn share(words: &str) -> Axis {
        let ticks = (0..=5).map(|fifth| {
            let share = f64::from(fifth) / 5.0;
            (share, percent(share))
        });
        Axis {
            low: 0.0,
            high: 1.0,
            ticks: ticks.collect(),
            light: Vec::new(),
            words: words.to_owned(),
        }
    }

    /// From `low` to `high`, both finite. If they are equal, there is some room on both sides.
    pub(super) fn linear(low: f64, high: f64, words: &str) -> Axis {
        let (low, high) = widened(low.min(high), low.max(high));
        let step = round_step((high - low) / TICKS);
        let first = (low / step).ceil();
        let count = ((high / step).floor() - first).clamp(0.0, 4.0 * TICKS) as usize;
        let ticks = (0..=count).map(|place| {
            let tick = (first + place as f64) * step;
            (tick, tick_words(tick, step))
        });
        Axis {
            low,
            high,
            ticks: ticks.collect(),
            light: Vec::new(),
            words: words.to_owned(),
        }
    }

    /// Counts from 1 to `most`, with room above and below.
    pub(super) fn counts(most: usize, words: &str) -> Axis {
        // A bar of one row has to be seen: the axis begins at 0.6.
        let low = 0.6_f64.log10();
        let high = (most.max(2) as f64 * 1.3).log10();
        Axis::powers(low, high, words, |value| grouped(value.round() as usize))
    }

    /// Shares from `low`, above 0, to 1.
    pub(super) fn rates(low: f64, words: &str) -> Axis {
        Axis::powers(low.clamp(1e-9, 0.5).log10(), 0.0, words, percent)
    }

    /// From `low` to `high`, in decimal logarithms.
    fn powers(low: f64, high: f64, words: &str, write: impl Fn(f64) -> String) -> Axis {
        let (mut ticks, mut light) = (Vec::new(), Vec::new());
        let few = high - low < 2.5;
        for decade in low.floor() as i32..=high.ceil() as i32 {
            for digit in 1..10 {
                let value = f64::from(digit) * 10_f64.powi(decade);
                let place = value.log10();
                if place < low - 1e-9 || place > high + 1e-9 {
                    continue;
                }
                if digit == 1 || (few && matches!(digit, 2 | 5)) {
                    ticks.push((place, write(value)));
                } else {
                    light.push(place);
                }
            }
        }
        Axis {
            low,
            high,
            ticks,
            light,
            words: words.to_owned(),
        }
    }

    /// `value`, or the end of the axis that it lies beyond.
    pub(super) fn clamped(&self, value: f64) -> f64 {
        value.max(self.low).min(self.high)
    }

    /// The words beside the tick at `place`.
    pub(super) fn words_at(&self, place: f64) -> String {
        let found = self.ticks.iter().find(|(tick, _)| *tick == place);
        found.map(|(_, words)| words.clone()).unwrap_or_default()
    }
}

/// What plotters wants of an axis. Its own ranges choose ticks that are not always round.
impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (start, end): (i32, i32)) -> i32 {
        let part = (self.clamped(*value) - self.low) / (self.high - self.low);
        start + (part * f64::from(end - start)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            self.light.clone()
        } else {
            self.ticks.iter().map(|(place, _)| *place).collect()
        }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

/// A range with a width that its ticks can be told apart in.
fn widened(low: f64, high: f64) -> (f64, f64) {
    let least = 1e-6 * low.abs().max(high.abs());
    if high - low > least && high - low > 1e-12 {
        return (low, high);
    }
    let room = (0.05 * high.abs()).max(0.5);
    (low - room, high + room)
}

/// The smallest of 1, 2, 5, 10 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let digits = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|digit| digit * power >= step);
    digits.unwrap_or(10.0) * power
}

fn tick_words(tick: f64, step: f64) -> String {
    if tick.abs() < step / 2.0 {
        return "0".to_owned();
    }
    if tick.abs() >= 1e5 || step < 1e-4 {
        return number(tick);
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    trimmed(format!("{tick:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let axis = Axis::linear(-0.3, 6.2, "");
        let words: Vec<&str> = axis.ticks.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(words, ["0", "2", "4", "6"]);
        let axis = Axis::linear(0.0, 0.6, "");
        assert_eq!(axis.ticks[1].1, "0.1");
    }

    #[test]
    fn a_logarithmic_axis_names_its_decades() {
        let axis = Axis::rates(1e-4, "");
        let words: Vec<&str> = axis.ticks.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(words, ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"]);
        let axis = Axis::counts(12, "");
        let words: Vec<&str> = axis.ticks.iter().map(|(_, words)| words.as_str()).collect();
        assert_eq!(words, ["1", "2", "5", "10"]);
    }

    proptest! {
        #[test]
        fn any_range_has_a_width_and_a_few_ticks(low in -3e38_f64..3e38, width in 0.0..3e38) {
            for axis in [Axis::linear(low, low + width, ""), Axis::linear(low, low, "")] {
                prop_assert!(axis.low < axis.high);
                prop_assert!(axis.ticks.len() <= 25);
                for (tick, _) in &axis.ticks {
                    prop_assert!(tick.is_finite());
                }
            }
        }

        #[test]
        fn small_ranges_have_ticks_inside(low in -1e3_f64..1e3, width in 1e-3..1e4) {
            let axis = Axis::linear(low, low + width, "");
            prop_assert!((2..=13).contains(&axis.ticks.len()), "{axis:?}");
            let slack = 1e-9 * (axis.high - axis.low);
            for (tick, words) in &axis.ticks {
                prop_assert!(axis.low - slack <= *tick && *tick <= axis.high + slack);
                prop_assert!(!words.is_empty());
            }
        }
    }
}
