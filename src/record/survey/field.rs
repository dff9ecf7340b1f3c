//! What one field holds, and whether a model should see it.

use super::column::{Column, share};
use super::names;
use crate::config::Kind;
use crate::record::instant;

/// 2000 and 2100, in seconds since 1970.
const CENTURY: std::ops::Range<f64> = 946_684_800.0..4_102_444_800.0;
/// Below so many values, none is told to be an identifier or a counter.
const FEW: usize = 20;
/// The words that are reported.
const SHOWN_WORDS: usize = 64;
/// One random number in ten has a valid check digit.
const MOSTLY_CARDS: f64 = 0.9;
const DAY: f64 = 86_400.0;

/// What is known of one path.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldReport {
    /// Dotted path.
    pub path: String,
    /// `None` where no field can be: arrays, and paths that are always null.
    pub kind: Option<Kind>,
    /// Share of the records that lack it or have it null, 0 to 1.
    pub missing: f64,
    /// Share of the values that are of another type than `kind`, 0 to 1.
    pub odd: f64,
    pub values: Values,
    /// Distinct values; a lower bound where `capped`.
    pub distinct: usize,
    pub capped: bool,
    pub suggestion: Suggestion,
    /// Whether it repeats, and how far it does not go back: what a key and a time need.
    pub(super) repeats: bool,
    pub(super) not_falling: f64,
}

/// What the values of a field are.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Numbers {
        min: f64,
        median: f64,
        max: f64,
    },
    /// The most frequent words with their counts, the most frequent one first.
    Words(Vec<(String, usize)>),
    /// The share of true ones, 0 to 1.
    Booleans(f64),
    /// Seconds since 1970.
    Instants {
        first: f64,
        last: f64,
    },
    /// Lengths.
    Arrays {
        shortest: usize,
        longest: usize,
    },
    /// Always null.
    Nothing,
}

/// Whether a model should see a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suggestion {
    Include,
    LeaveOut(Reason),
}

/// Why a field is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    AlwaysNull,
    Array,
    Constant,
    CardNumber,
    FreeText,
    Identifier,
    Counter,
    ManyWords,
    /// The key of the stream, as a number whose size means nothing.
    Key,
    /// Timestamps of less than two days: a model would find every other hour odd.
    ShortPeriod,
}

impl Reason {
    /// One clause that says why.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AlwaysNull => "it is always null",
            Self::Array => "it is an array; name elements by their place, such as `path.0`",
            Self::Constant => "it never changes",
            Self::CardNumber => "it looks like a payment card number",
            Self::FreeText => "it is free text",
            Self::Identifier => "it is an identifier, different in nearly every record",
            Self::Counter => "it only counts up",
            Self::ManyWords => "it has too many different words",
            Self::Key => "it is the key, and its size as a number means nothing",
            Self::ShortPeriod => {
                "the sample covers less than two days, so every other hour would look odd"
            }
        }
    }
}

impl FieldReport {
    /// `rows` is the number of records, with the path or without.
    pub(super) fn of(path: &str, column: &Column, rows: usize) -> Self {
        let kind = kind(path, column);
        let values = values(kind, column);
        let suggestion = match reason(path, kind, column, &values) {
            Some(reason) => Suggestion::LeaveOut(reason),
            None => Suggestion::Include,
        };
        let present = column.scalars() + column.arrays;
        Self {
            path: path.to_owned(),
            kind,
            missing: share(rows.saturating_sub(present), rows),
            odd: share(present.saturating_sub(of_kind(kind, column)), present),
            values,
            distinct: column.distinct(),
            capped: column.is_capped(),
            suggestion,
            repeats: column.distinct() >= 2 && column.distinct_share() <= 0.5,
            not_falling: column.not_falling(),
        }
    }
}

fn kind(path: &str, column: &Column) -> Option<Kind> {
    let scalars = column.scalars();
    if scalars == 0 || column.arrays > scalars {
        return None;
    }
    let bits = column.range == Some((0.0, 1.0)) && column.integers == column.numbers;
    Some(if 2 * column.texts > scalars {
        match share(column.instants, column.texts) >= 0.95 {
            true => Kind::Timestamp,
            false => Kind::Categorical,
        }
    } else if 2 * column.booleans > scalars || bits {
        Kind::Boolean
    } else if is_epoch(path, column) {
        Kind::Timestamp
    } else {
        Kind::Numeric
    })
}

/// Whether numbers are seconds (or a thousandth, millionth, billionth) since 1970, by their range
/// and by their name or order.
fn is_epoch(path: &str, column: &Column) -> bool {
    let Some((low, high)) = column.range else {
        return false;
    };
    let within = [1.0, 1e3, 1e6, 1e9]
        .iter()
        .any(|unit| CENTURY.contains(&(low / unit)) && CENTURY.contains(&(high / unit)));
    let ordered = column.steps() >= FEW && column.not_falling() >= 0.9 && low < high;
    let cards = share(column.cards, column.numbers) >= MOSTLY_CARDS;
    within && !cards && (names::is_time(path) || (ordered && !names::is_identifier(path)))
}

fn of_kind(kind: Option<Kind>, column: &Column) -> usize {
    match kind {
        None => column.arrays,
        Some(Kind::Numeric) => column.numbers,
        Some(Kind::Boolean)
            if column
                .range
                .is_none_or(|(low, high)| low == 0.0 && high <= 1.0) =>
        {
            column.booleans + column.numbers
        }
        Some(Kind::Boolean) => column.booleans,
        Some(Kind::Categorical) => column.scalars(),
        Some(Kind::Timestamp) if column.instants > 0 => column.instants,
        Some(Kind::Timestamp) => column.numbers,
    }
}

fn values(kind: Option<Kind>, column: &Column) -> Values {
    let (min, max) = column.range.unwrap_or_default();
    match kind {
        None => match column.lengths {
            Some((shortest, longest)) => Values::Arrays { shortest, longest },
            None => Values::Nothing,
        },
        Some(Kind::Numeric) => {
            let median = column.median().unwrap_or_default();
            Values::Numbers { min, median, max }
        }
        Some(Kind::Boolean) => {
            let trues = column.words.get("true").copied().unwrap_or(0);
            let ones = column.mean_of_bits() * column.numbers as f64;
            Values::Booleans((trues as f64 + ones) / column.scalars() as f64)
        }
        Some(Kind::Categorical) => Values::Words(most_frequent(column)),
        Some(Kind::Timestamp) => {
            let seconds = |value| instant::of_number(value).unwrap_or(value);
            let (first, last) = column.period.unwrap_or((seconds(min), seconds(max)));
            Values::Instants { first, last }
        }
    }
}

fn most_frequent(column: &Column) -> Vec<(String, usize)> {
    let mut words: Vec<_> = column.words.clone().into_iter().collect();
    words.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
    words.truncate(SHOWN_WORDS);
    words
}

fn reason(path: &str, kind: Option<Kind>, column: &Column, values: &Values) -> Option<Reason> {
    let scalars = column.scalars();
    let Some(kind) = kind else {
        return Some(match column.arrays {
            0 => Reason::AlwaysNull,
            _ => Reason::Array,
        });
    };
    if column.distinct() == 1 {
        return Some(Reason::Constant);
    }
    if share(column.cards, scalars) >= MOSTLY_CARDS {
        return Some(Reason::CardNumber);
    }
    match kind {
        Kind::Boolean => None,
        Kind::Categorical => words_reason(column),
        Kind::Numeric if is_numeric_identifier(path, column) => Some(Reason::Identifier),
        Kind::Numeric => is_counter(column).then_some(Reason::Counter),
        Kind::Timestamp => match *values {
            Values::Instants { first, last } if last - first < 2.0 * DAY => {
                Some(Reason::ShortPeriod)
            }
            _ => None,
        },
    }
}

fn words_reason(column: &Column) -> Option<Reason> {
    let many = column.distinct() > 64 && column.distinct_share() > 0.05;
    let spaces = share(column.spaces, column.texts);
    let length = share(column.characters, column.texts);
    if (many || column.distinct_share() > 0.5)
        && (spaces >= 3.0 || (length > 64.0 && spaces >= 1.0))
    {
        return Some(Reason::FreeText);
    }
    if column.scalars() >= FEW && column.distinct_share() >= 0.99 {
        return Some(Reason::Identifier);
    }
    many.then_some(Reason::ManyWords)
}

/// Integers that hardly ever repeat, and are named so, or are too large for a measurement, or fill
/// their range as only a running number does.
fn is_numeric_identifier(path: &str, column: &Column) -> bool {
    let (low, high) = column.range.unwrap_or_default();
    let unique = column.scalars() >= FEW
        && column.integers == column.numbers
        && column.distinct_share() >= 0.99;
    let dense = high - low < 2.0 * column.distinct() as f64;
    unique && (names::is_identifier(path) || low.abs() >= 1e9 || (dense && !is_counter(column)))
}

fn is_counter(column: &Column) -> bool {
    column.steps() >= FEW && column.not_falling() >= 0.99 && column.rising() >= 0.5
}
