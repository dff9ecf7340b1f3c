//! A labelled file as records.

use std::path::Path;

use serde_json::Value;

use super::EvaluationError;
use crate::config::{Field, Input};
use crate::files::{self, FileError};
use crate::record::{Decoder, Vocabularies, split_path};

/// Columns that an error lists at most.
const LISTED: usize = 20;

/// What columns are for, by their paths.
#[derive(Debug, Clone, Default)]
pub struct Roles {
    pub label: String,
    /// What a record belongs to, as a card or a machine.
    pub key: Option<String>,
    pub time: Option<String>,
}

/// Whether a file must have labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    Needed,
    /// A row without one is taken for normal.
    Optional,
}

/// The usable records of one file, in its order.
#[derive(Debug, Default)]
pub struct Material {
    /// Name of the file without its folder.
    pub name: String,
    pub records: Vec<Record>,
    pub left_out: LeftOut,
}

/// One labelled record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// JSON, with the label in it.
    pub bytes: Box<[u8]>,
    pub anomalous: bool,
    pub key: Option<Box<str>>,
    /// Seconds since 1970.
    pub time: Option<f64>,
}

/// Rows that are not used.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Unreadable, without a label that can be understood, or dead letters in service.
    pub unusable: usize,
    /// What was wrong with the first of them.
    pub first: Option<String>,
    /// Left out by the condition `where`.
    pub filtered: usize,
}

impl Material {
    /// Reads the records and their labels: 1 or true is an anomaly, 0 or false is none.
    ///
    /// # Errors
    /// The file cannot be read, or no row has the column of the labels.
    pub fn read(path: &Path, roles: &Roles, labels: Labels) -> Result<Material, EvaluationError> {
        let mut material = Material {
            name: file_name(path),
            ..Material::default()
        };
        let mut rows = files::open(path)?;
        let mut bytes = Vec::new();
        let (mut columns, mut labelled) = (None, false);
        loop {
            match rows.next(&mut bytes) {
                Ok(true) => {}
                Ok(false) => break,
                // The rows behind it can still be read.
                Err(error @ FileError::Row { .. }) => {
                    material.left_out.add(|| error.to_string());
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let Ok(record @ Value::Object(_)) = serde_json::from_slice(&bytes) else {
                let line = rows.line();
                material
                    .left_out
                    .add(|| format!("line {line} is no JSON object"));
                continue;
            };
            columns.get_or_insert_with(|| names(&record));
            let value = at(&record, &roles.label);
            labelled |= value.is_some();
            match (value.and_then(label), labels) {
                (Some(anomalous), _) => material.push(&bytes, anomalous),
                (None, Labels::Optional) => material.push(&bytes, false),
                (None, Labels::Needed) => {
                    let (line, label) = (rows.line(), &roles.label);
                    material.left_out.add(|| {
                        format!("line {line} has no `{label}` that is 0 or 1, false or true")
                    });
                }
            }
        }
        let file = material.name.clone();
        match columns {
            Some(columns) if !labelled && labels == Labels::Needed => {
                let label = roles.label.clone();
                Err(EvaluationError::NoLabel {
                    file,
                    label,
                    columns,
                })
            }
            _ => material.unless_empty(),
        }
    }

    /// Leaves out what would not be scored in service, and takes down keys and times.
    ///
    /// # Errors
    /// The paths contradict each other, or no record is left, or none has a key or a time though one
    /// is named.
    pub fn keep_usable(
        mut self,
        fields: &[Field],
        input: &Input,
        roles: &Roles,
    ) -> Result<Material, EvaluationError> {
        let input = Input {
            key: roles.key.clone(),
            time: roles.time.clone(),
            ..input.clone()
        };
        let mut decoder = Decoder::new(fields, &input)?;
        let mut vocabularies = Vocabularies::frozen(vec![]);
        let mut cells = vec![f64::NAN; fields.len()];
        let (mut keys, mut times) = (false, false);
        let left_out = &mut self.left_out;
        self.records.retain_mut(|record| {
            match decoder.decode(&record.bytes, &mut vocabularies, &mut cells) {
                Ok(decoded) if decoded.filtered => left_out.filtered += 1,
                Ok(decoded) => {
                    let key = decoded.key.and_then(|range| record.bytes.get(range));
                    record.key = key.map(|key| String::from_utf8_lossy(key).into());
                    record.time = decoded.time;
                    keys |= record.key.is_some();
                    times |= record.time.is_some();
                    if roles.time.is_none() || record.time.is_some() {
                        return true;
                    }
                    left_out.add(|| "a record has no time".to_owned());
                }
                Err(rejection) => left_out.add(|| rejection.to_string()),
            }
            false
        });
        let decoded = self.records.len() + self.left_out.unusable > 0;
        for (option, name, found) in [("--key", &roles.key, keys), ("--time", &roles.time, times)] {
            if let Some(name) = name.as_ref().filter(|_| decoded && !found) {
                let (file, name) = (self.name, name.clone());
                return Err(EvaluationError::NoSuchField { file, option, name });
            }
        }
        self.unless_empty()
    }

    fn push(&mut self, bytes: &[u8], anomalous: bool) {
        self.records.push(Record {
            bytes: bytes.into(),
            anomalous,
            key: None,
            time: None,
        });
    }

    fn unless_empty(self) -> Result<Material, EvaluationError> {
        if !self.records.is_empty() {
            return Ok(self);
        }
        let LeftOut {
            unusable, first, ..
        } = self.left_out;
        let first = first.map(|first| format!(" ({unusable} are not, the first: {first})"));
        Err(EvaluationError::NoRows {
            file: self.name,
            first: first.unwrap_or_default(),
        })
    }
}

impl LeftOut {
    fn add(&mut self, why: impl FnOnce() -> String) {
        self.unusable += 1;
        self.first.get_or_insert_with(why);
    }
}

/// The value at `path`, which is a key of the record or leads through objects.
fn at<'v>(record: &'v Value, path: &str) -> Option<&'v Value> {
    let nested = || {
        let parts = split_path(path);
        parts.iter().try_fold(record, |value, part| value.get(part))
    };
    record.get(path).or_else(nested)
}

fn label(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(label) => Some(*label),
        Value::Number(number) => match number.as_f64() {
            Some(1.0) => Some(true),
            Some(0.0) => Some(false),
            _ => None,
        },
        Value::String(text) => match text.trim() {
            "1" => Some(true),
            "0" => Some(false),
            word if word.eq_ignore_ascii_case("true") => Some(true),
            word if word.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn names(record: &Value) -> String {
    let Some(object) = record.as_object() else {
        return String::new();
    };
    let mut names: Vec<&str> = object.keys().take(LISTED).map(String::as_str).collect();
    if object.len() > LISTED {
        names.push("and more");
    }
    names.join(", ")
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::fields::tests::number;

    fn read(text: &str, label: &str, labels: Labels) -> Result<Material, EvaluationError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.ndjson");
        std::fs::write(&path, text).unwrap();
        let label = label.to_owned();
        let roles = Roles {
            label,
            ..Roles::default()
        };
        Material::read(&path, &roles, labels)
    }

    #[test]
    fn labels_are_read_as_people_write_them_and_what_cannot_be_used_is_counted() {
        let text = r#"{"is":{"odd":1}}
            {"is":{"odd":false}}
            {"is":{"odd":"TRUE"}}
            {"is":{"odd":"0"}}
            {"is":{"odd":2}}
            {"x":1}
            [1]
            {"#;
        let material = read(text, "is.odd", Labels::Needed).unwrap();
        let labels: Vec<bool> = material.records.iter().map(|r| r.anomalous).collect();
        assert_eq!(labels, [true, false, true, false]);
        assert_eq!(material.left_out.unusable, 4);
        let first = material.left_out.first.unwrap();
        assert!(first.contains("line 5 has no `is.odd`"), "{first}");
    }

    #[test]
    fn a_file_without_labels_is_refused_where_they_are_needed() {
        let refused = read(r#"{"a":1,"b":2}"#, "label", Labels::Needed).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("--label (there are a, b)"), "{said}");
        assert!(refused.is_usage());
        let taken = read(r#"{"a":1}"#, "label", Labels::Optional).unwrap();
        assert_eq!(taken.records.len(), 1);
        for text in ["", "[]\n"] {
            let refused = read(text, "label", Labels::Optional).unwrap_err();
            assert!(matches!(refused, EvaluationError::NoRows { .. }));
        }
    }

    #[test]
    fn records_that_would_be_dead_letters_are_left_out_and_keys_and_times_taken_down() {
        let text = r#"{"x":1,"card":7,"at":"2026-01-01T00:00:01Z","label":0}
            {"x":"high","card":8,"at":2,"label":0}
            {"x":3,"card":"c","label":1}"#;
        let material = || read(text, "label", Labels::Needed).unwrap();
        let mut roles = Roles {
            label: "label".into(),
            key: Some("card".into()),
            time: Some("at".into()),
        };
        let kept = material()
            .keep_usable(&[number("x")], &Input::of_records(), &roles)
            .unwrap();
        assert_eq!(kept.records.len(), 1);
        assert_eq!(kept.records[0].key.as_deref(), Some("7"));
        assert_eq!(kept.records[0].time, Some(1_767_225_601.0));
        assert_eq!(kept.left_out.unusable, 2);
        roles.time = None;
        let kept = material()
            .keep_usable(&[number("x")], &Input::of_records(), &roles)
            .unwrap();
        assert_eq!(kept.records[1].key.as_deref(), Some("c"));
        roles.key = Some("account".into());
        let refused = material().keep_usable(&[number("x")], &Input::of_records(), &roles);
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("`account`: check --key"), "{said}");
    }
}
