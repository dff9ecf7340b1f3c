//! What a survey found.

use std::collections::BTreeMap;

use super::column::Column;
use super::field::{FieldReport, Reason, Suggestion};
use super::flatten::leaves;
use super::roles::{self, Long};
use super::shapes::{Shape, Shapes};
use super::{Survey, draft};
use crate::config::Kind;

/// What the records of a sample look like.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Records in the sample, and among them those that the fields are about: the most frequent
    /// shape.
    pub rows: usize,
    pub surveyed: usize,
    /// Records that are no JSON objects.
    pub unreadable: usize,
    /// The paths of the most frequent shape.
    pub fields: Vec<FieldReport>,
    /// Path of the likely key.
    pub key: Option<String>,
    /// Path of the likely event time.
    pub time: Option<String>,
    /// The shapes that have one record in a hundred or more, the most frequent one first.
    pub shapes: Vec<Shape>,
    /// The `where` that picks the most frequent shape, if there are several.
    pub filter: Option<String>,
    /// Whether the records carry one metric each.
    pub long: Option<Long>,
}

impl Report {
    pub(super) fn of(survey: &Survey) -> Self {
        let shapes = Shapes::of(survey);
        let listed = shapes.listed(survey);
        let filter = if listed.len() > 1 {
            shapes.filter(survey)
        } else {
            None
        };
        let (mut fields, surveyed) = fields(survey, &shapes);
        let key = roles::key(&fields);
        for field in &mut fields {
            if field.kind == Some(Kind::Numeric) && Some(&field.path) == key.as_ref() {
                field.suggestion = Suggestion::LeaveOut(Reason::Key);
            }
        }
        Self {
            rows: survey.rows.len(),
            surveyed,
            unreadable: survey.unreadable,
            time: roles::time(&fields),
            long: roles::long(&fields),
            key,
            fields,
            shapes: listed,
            filter,
        }
    }

    /// The fields that a model should see.
    pub fn included(&self) -> impl Iterator<Item = &FieldReport> {
        let include = |field: &&FieldReport| field.suggestion == Suggestion::Include;
        self.fields.iter().filter(include)
    }

    /// A configuration that works as it stands and says with each field what was seen of it.
    pub fn to_toml(&self, brokers: &str, topic: &str) -> String {
        draft::configuration(self, brokers, topic)
    }
}

/// The fields of the most frequent shape, and the number of its records.
fn fields(survey: &Survey, shapes: &Shapes) -> (Vec<FieldReport>, usize) {
    let mut columns: BTreeMap<String, Column> = BTreeMap::new();
    let mut rows = 0;
    for (row, shape) in survey.rows.iter().zip(&shapes.of_row) {
        if *shape != Some(0) {
            continue;
        }
        rows += 1;
        for (path, value) in leaves(&row.value()) {
            if survey.path_ids.contains_key(&path) {
                columns.entry(path).or_default().add(value);
            }
        }
    }
    let reports = columns
        .iter()
        .map(|(path, column)| FieldReport::of(path, column, rows));
    (without_clashes(reports.collect()), rows)
}

/// A path that is a value in some records and an object in others stays as the one that is more
/// frequent: a configuration cannot name both.
fn without_clashes(fields: Vec<FieldReport>) -> Vec<FieldReport> {
    let below = |path: &str, field: &FieldReport| {
        field
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let clashes = |field: &FieldReport, other: &FieldReport| {
        let nested = below(&field.path, other) || below(&other.path, field);
        nested && (other.missing, &other.path) < (field.missing, &field.path)
    };
    let stays = |field: &&FieldReport| !fields.iter().any(|other| clashes(field, other));
    fields.iter().filter(stays).cloned().collect()
}
