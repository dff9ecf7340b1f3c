//! What is counted of one path.

use std::collections::{HashMap, HashSet};

use serde_json::{Number, Value};

use super::card::is_card_number;
use crate::record::instant;

/// Values that are told apart, and numbers that a median is taken of.
const MAX_DISTINCT: usize = 20_000;
const MAX_NUMBERS: usize = 20_000;

/// Counts over the values of one path.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub booleans: usize,
    pub numbers: usize,
    pub texts: usize,
    pub arrays: usize,
    /// Lengths of the shortest and the longest array.
    pub lengths: Option<(usize, usize)>,
    /// Numbers without a fraction.
    pub integers: usize,
    pub range: Option<(f64, f64)>,
    /// Texts that name an instant, and the first and last instant.
    pub instants: usize,
    pub period: Option<(f64, f64)>,
    /// Texts or integers that look like card numbers.
    pub cards: usize,
    /// Characters and spaces of all texts.
    pub characters: usize,
    pub spaces: usize,
    /// How the values that have an order follow each other.
    pub rises: usize,
    pub falls: usize,
    pub repeats: usize,
    /// Texts, and booleans as text, with their counts.
    pub words: HashMap<String, usize>,
    distinct_numbers: HashSet<u64>,
    /// How many values were looked at before no more were told apart.
    looked_at: usize,
    last: Option<f64>,
    sample: Vec<f64>,
    /// Every so many numbers are kept.
    stride: usize,
}

impl Column {
    pub fn add(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => {
                self.booleans += 1;
                self.word(if *value { "true" } else { "false" });
            }
            Value::Number(number) => self.number(number),
            Value::String(text) => self.text(text),
            Value::Array(values) => {
                self.arrays += 1;
                let length = values.len();
                let (low, high) = self.lengths.unwrap_or((length, length));
                self.lengths = Some((low.min(length), high.max(length)));
            }
            Value::Null | Value::Object(_) => {}
        }
    }

    /// Values that are neither null nor arrays.
    pub fn scalars(&self) -> usize {
        self.booleans + self.numbers + self.texts
    }

    /// Distinct values, as far as they are told apart.
    pub fn distinct(&self) -> usize {
        self.words.len() + self.distinct_numbers.len()
    }

    /// Whether there may be more distinct values than are told apart.
    pub fn is_capped(&self) -> bool {
        self.distinct() >= MAX_DISTINCT
    }

    /// Distinct values as a share of the values that were looked at.
    pub fn distinct_share(&self) -> f64 {
        share(self.distinct(), self.looked_at)
    }

    /// The share of steps from one value to the next that do not go down.
    pub fn not_falling(&self) -> f64 {
        share(self.rises + self.repeats, self.steps())
    }

    /// The share of steps from one value to the next that go up.
    pub fn rising(&self) -> f64 {
        share(self.rises, self.steps())
    }

    pub fn steps(&self) -> usize {
        self.rises + self.falls + self.repeats
    }

    /// The middle one of the numbers.
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.sample.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// The mean of the numbers, where all are 0 or 1.
    pub fn mean_of_bits(&self) -> f64 {
        let ones = self.sample.iter().filter(|&&value| value == 1.0).count();
        share(ones, self.sample.len())
    }

    fn number(&mut self, number: &Number) {
        let Some(value) = number.as_f64() else { return };
        self.numbers += 1;
        self.integers += usize::from(value.fract() == 0.0);
        self.cards += usize::from(number.is_u64() && is_card_number(&number.to_string()));
        self.range = Some(widened(self.range, value));
        self.step(value);
        if !self.is_capped() {
            self.looked_at += 1;
            // Integers beyond 2^53 fall together as floats.
            let bits = number
                .as_i64()
                .map_or(value.to_bits(), |integer| integer as u64);
            self.distinct_numbers.insert(bits);
        }
        if self.sample.len() >= MAX_NUMBERS {
            let mut index = 0;
            self.sample.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride = 2 * self.stride.max(1);
        }
        if self.stride < 2 || self.numbers.is_multiple_of(self.stride) {
            self.sample.push(value);
        }
    }

    fn text(&mut self, text: &str) {
        self.texts += 1;
        self.characters += text.chars().count();
        self.spaces += text.trim().matches(char::is_whitespace).count();
        self.cards += usize::from(is_card_number(text));
        if let Some(seconds) = instant::of_text(text) {
            self.instants += 1;
            self.period = Some(widened(self.period, seconds));
            self.step(seconds);
        }
        self.word(text);
    }

    fn word(&mut self, word: &str) {
        if let Some(count) = self.words.get_mut(word) {
            *count += 1;
        } else if !self.is_capped() {
            self.words.insert(word.to_owned(), 1);
        } else {
            return;
        }
        self.looked_at += 1;
    }

    fn step(&mut self, value: f64) {
        match self.last.replace(value) {
            Some(last) if value > last => self.rises += 1,
            Some(last) if value < last => self.falls += 1,
            Some(_) => self.repeats += 1,
            None => {}
        }
    }
}

fn widened(range: Option<(f64, f64)>, value: f64) -> (f64, f64) {
    range.map_or((value, value), |(low, high)| {
        (low.min(value), high.max(value))
    })
}

pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_a_range_and_a_median_however_many() {
        let mut column = Column::default();
        for i in 0..100_000 {
            column.add(&json!(i));
        }
        assert_eq!(column.range, Some((0.0, 99_999.0)));
        assert!((column.median().unwrap() - 50_000.0).abs() < 2_000.0);
        assert!(column.is_capped() && column.distinct() == MAX_DISTINCT);
        assert_eq!((column.rising(), column.distinct_share()), (1.0, 1.0));
    }

    #[test]
    fn words_are_counted() {
        let mut column = Column::default();
        for word in ["a", "b", "a"] {
            column.add(&json!(word));
        }
        assert_eq!(column.words["a"], 2);
        assert_eq!((column.texts, column.distinct()), (3, 2));
    }
}
