//! Which fields are the key, the time, or the two halves of the long format.

use super::field::{FieldReport, Values};
use super::names;
use crate::config::Kind;

/// Words that a metric's name may have in the long format.
const MOST_METRICS: usize = 512;
/// Fields that a record of the long format may have.
const MOST_FIELDS: usize = 8;

/// Records that carry one metric each, by name and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Long {
    /// Path of the metric's name.
    pub name: String,
    /// Path of its value.
    pub value: String,
    /// The most frequent metric.
    pub example: String,
}

/// The path that tells what a record belongs to: a field that repeats and is named so.
pub(super) fn key(fields: &[FieldReport]) -> Option<String> {
    let candidates = fields.iter().filter(|field| {
        let words = field.kind == Some(Kind::Categorical);
        let integers = field.kind == Some(Kind::Numeric) && names::is_identifier(&field.path);
        (words || integers) && field.repeats && field.missing < 0.01
    });
    candidates
        .filter_map(|field| Some((names::key_rank(&field.path)?, field)))
        .min_by_key(|(rank, field)| (*rank, depth(&field.path)))
        .map(|(_, field)| field.path.clone())
}

/// The path of the time of the event: a timestamp that mostly does not go back.
pub(super) fn time(fields: &[FieldReport]) -> Option<String> {
    let candidates = fields.iter().filter(|field| {
        let times = field.kind == Some(Kind::Timestamp) && field.odd < 0.01;
        times && field.not_falling >= 0.7 && field.missing < 0.01 && field.distinct > 1
    });
    candidates
        .min_by_key(|field| (!names::is_time(&field.path), depth(&field.path)))
        .map(|field| field.path.clone())
}

/// One name of few words and one value, and little else.
pub(super) fn long(fields: &[FieldReport]) -> Option<Long> {
    if fields.len() > MOST_FIELDS {
        return None;
    }
    let mut numbers = fields
        .iter()
        .filter(|field| field.kind == Some(Kind::Numeric));
    let value = numbers.find(|field| names::is_value(&field.path))?;
    let others = fields.iter().filter(|field| {
        let number = field.kind == Some(Kind::Numeric) && field.path != value.path;
        number && !names::is_identifier(&field.path)
    });
    if others.count() > 0 {
        return None;
    }
    let name = fields.iter().find(|field| {
        let few = (2..=MOST_METRICS).contains(&field.distinct) && field.repeats;
        field.kind == Some(Kind::Categorical) && few && names::is_metric(&field.path)
    })?;
    let Values::Words(words) = &name.values else {
        return None;
    };
    Some(Long {
        name: name.path.clone(),
        value: value.path.clone(),
        example: words.first()?.0.clone(),
    })
}

fn depth(path: &str) -> usize {
    path.matches('.').count()
}
