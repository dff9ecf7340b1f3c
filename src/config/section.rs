//! Reads a section key by key, keeps every error, and knows at the end which keys it never asked for.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use ::config::{Value, ValueKind};

use super::error::{Error, Wrong};
use super::report::{Key, Report, join, without_indices};
use super::source;
use super::value::{scalar, shown, split};

/// A table of the configuration while it is read. A key that cannot be used is reported and reads
/// as `None`; the section's own reader then gives up after it has asked for all of its keys.
pub(super) struct Section<'a> {
    path: String,
    values: HashMap<String, Value>,
    report: &'a mut Report,
}

/// What holds if a key is left out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Presence<'a> {
    Required,
    Optional,
    Default(&'a str),
}

impl<'a> Section<'a> {
    pub fn new(path: String, value: Option<Value>, report: &'a mut Report) -> Self {
        let mut section = Self {
            path,
            values: HashMap::new(),
            report,
        };
        match value.map(|value| value.kind) {
            None => {}
            Some(ValueKind::Table(values)) => section.values = values,
            Some(_) => section.not_a_table(),
        }
        section
    }

    fn not_a_table(&mut self) {
        self.report.errors.push(Error {
            path: self.path.clone(),
            value: None,
            problem: "is not a section".to_owned(),
            remedy: format!("write its keys below a line [{}]", self.path),
        });
    }

    /// The section `[path.name]`; without such a section, an empty one.
    pub fn section(&mut self, name: &str) -> Section<'_> {
        let value = self.values.remove(name);
        Section::new(join(&self.path, name), value, self.report)
    }

    /// A key without which nothing works.
    pub fn required<T>(
        &mut self,
        name: &str,
        remedy: &str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.know(name, Presence::Required);
        if self.given(name) {
            return self.take(name, parse);
        }
        self.refuse(name, None, Wrong::new("is missing", remedy));
        None
    }

    /// A key that may be left out.
    pub fn optional<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        self.know(name, Presence::Optional);
        if self.given(name) {
            self.take(name, parse).map(Some)
        } else {
            Some(None)
        }
    }

    /// A key with a default, which is written as a user would write it, less quotation marks.
    pub fn or<T>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.know(name, Presence::Default(default));
        if self.given(name) {
            return self.take(name, parse);
        }
        self.parse(name, default, None, parse)
    }

    /// A list with a default; text is taken as its elements with commas between them.
    pub fn list<T>(
        &mut self,
        name: &str,
        default: &str,
        lengths: RangeInclusive<usize>,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        self.know(name, Presence::Default(default));
        let value = self.values.remove(name).unwrap_or_else(|| default.into());
        let elements = match value.kind {
            ValueKind::Array(elements) => elements,
            _ => split(&self.text(name, &value)?),
        };
        if !lengths.contains(&elements.len()) {
            let (least, most) = lengths.into_inner();
            let problem = format!("has {} elements", elements.len());
            let wrong = Wrong::new(problem, format!("write {least} to {most} of them"));
            self.refuse(name, None, wrong);
            return None;
        }
        // Every element is read before the first that failed counts.
        let parsed: Vec<Option<T>> = elements
            .iter()
            .enumerate()
            .map(|(index, element)| {
                let name = format!("{name}[{index}]");
                let text = self.text(&name, element)?;
                self.parse(&name, &text, Some(element), &parse)
            })
            .collect();
        parsed.into_iter().collect()
    }

    /// A value that is no scalar, as it stands.
    pub fn raw(&mut self, name: &str, presence: Presence<'_>) -> Option<Value> {
        self.know(name, presence);
        self.values.remove(name)
    }

    /// Whether the key is there and has not been read yet.
    pub fn given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Reports an error at `name`, in this section.
    pub fn refuse(&mut self, name: &str, value: Option<String>, wrong: Wrong) {
        self.report.errors.push(Error {
            path: join(&self.path, name),
            value,
            problem: wrong.problem,
            remedy: wrong.remedy,
        });
    }

    /// The report, for tables inside a list.
    pub fn report(&mut self) -> &mut Report {
        self.report
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        let mut names: Vec<String> = self.values.into_keys().collect();
        names.sort();
        for name in names {
            self.report.unknown(&self.path, name);
        }
    }

    fn know(&mut self, name: &str, presence: Presence<'_>) {
        let default = match presence {
            Presence::Default(default) => Some(default.to_owned()),
            Presence::Required | Presence::Optional => None,
        };
        self.report.know(Key {
            path: join(&without_indices(&self.path), name),
            default,
            required: matches!(presence, Presence::Required),
        });
    }

    fn take<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<T> {
        let value = self.values.remove(name)?;
        let text = self.text(name, &value)?;
        self.parse(name, &text, Some(&value), parse)
    }

    fn text(&mut self, name: &str, value: &Value) -> Option<String> {
        let text = scalar(value);
        if text.is_none() {
            let problem = "is a list or a table";
            let wrong = Wrong::new(problem, "write one text, number or boolean");
            self.refuse(name, None, wrong);
        }
        text
    }

    fn parse<T>(
        &mut self,
        name: &str,
        text: &str,
        value: Option<&Value>,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        match parse(text) {
            Ok(parsed) => Some(parsed),
            Err(mut wrong) => {
                if value.is_some_and(source::is_from_environment) {
                    let variable = source::variable(&join(&self.path, name));
                    wrong.problem = format!("{} (set by {variable})", wrong.problem);
                }
                self.refuse(name, value.map(shown), wrong);
                None
            }
        }
    }
}
