//! What the value of a configured path means: a cell, the key, the time, a condition.

use std::ops::Range;

use super::instant;
use super::paths::{Cell, Leaf, Test};
use super::rejection::Fault;
use super::scratch::Word;
use super::text::Text;
use super::walk::Walk;
use crate::config::{Kind, Policy};
use crate::metrics::DeadLetterClass;

/// The value at a path, as it stands in the record.
pub(super) enum Value {
    Number { value: f64, token: Range<usize> },
    Text(Text),
    Boolean(bool),
    Null,
    Container,
}

impl Value {
    /// Where the text of a string or the token of a number stands.
    fn range(&self) -> Option<Range<usize>> {
        match self {
            Self::Number { token, .. } => Some(token.clone()),
            Self::Text(text) => Some(text.range.clone()),
            _ => None,
        }
    }
}

impl Walk<'_> {
    /// Uses the value of a member that starts at `start`.
    #[inline(always)]
    pub fn take(&mut self, member: usize, start: usize, value: Value) {
        let paths = self.paths;
        let leaf = &paths.members[member].leaf;
        if matches!(value, Value::Null) {
            return;
        }
        if leaf.has_extras {
            self.take_extras(leaf, member, start, &value);
        }
        let Some(cell) = leaf.cell else { return };
        match (cell.kind, &value) {
            (Kind::Numeric, Value::Number { value, .. }) => {
                if (*value as f32).is_infinite() {
                    let detail = "the number is beyond the range of a 32-bit float";
                    self.refuse(DeadLetterClass::NumberRange, member, start, detail);
                }
                self.cells[cell.index] = *value;
            }
            _ => self.take_other(cell, member, start, value),
        }
    }

    fn take_other(&mut self, cell: Cell, member: usize, start: usize, value: Value) {
        let bit = |value| f64::from(u8::from(value));
        match (cell.kind, value) {
            (Kind::Boolean, Value::Boolean(value)) => self.cells[cell.index] = bit(value),
            (Kind::Boolean, Value::Number { value, .. }) if value == 0.0 || value == 1.0 => {
                self.cells[cell.index] = bit(value == 1.0);
            }
            (Kind::Categorical, Value::Text(text)) => self.word(cell, text),
            (Kind::Categorical, Value::Number { .. } | Value::Boolean(_)) => {
                let range = start..self.scanner.at;
                let escaped = false;
                self.word(cell, Text { range, escaped });
            }
            (Kind::Timestamp, value @ (Value::Number { .. } | Value::Text(_))) => {
                match self.instant(&value) {
                    Some(seconds) => self.cells[cell.index] = seconds,
                    None => {
                        let detail = "expected an RFC 3339 time or seconds since 1970";
                        self.wrong(cell, DeadLetterClass::Timestamp, member, start, detail);
                    }
                }
            }
            (kind, _) => {
                let detail = expectation(kind);
                self.wrong(cell, DeadLetterClass::TypeMismatch, member, start, detail);
            }
        }
    }

    fn word(&mut self, cell: Cell, text: Text) {
        self.cells[cell.index] = 0.0;
        self.scratch.words.push(Word { cell, text });
    }

    fn take_extras(&mut self, leaf: &Leaf, member: usize, start: usize, value: &Value) {
        for test in &leaf.tests {
            let met = match test {
                Test::Exists => true,
                Test::Text(expected) => self.reads(value, expected),
            };
            self.scratch.conditions_met += usize::from(met);
        }
        if leaf.is_key {
            self.scratch.key = value.range();
            if self.scratch.key.is_none() && self.wrong_type == Policy::DeadLetter {
                let detail = "expected the key to be a string or a number";
                self.refuse(DeadLetterClass::TypeMismatch, member, start, detail);
            }
        }
        if leaf.is_time {
            self.scratch.time = self.instant(value);
            if self.scratch.time.is_none() {
                let detail = "expected the record's time as RFC 3339 or seconds since 1970";
                self.refuse(DeadLetterClass::Timestamp, member, start, detail);
            }
        }
    }

    /// Whether the text of a string, number or boolean is `expected`.
    fn reads(&mut self, value: &Value, expected: &str) -> bool {
        match value {
            Value::Text(text) => self.scratch.text_of(&self.scanner, text) == expected,
            Value::Number { token, .. } => self.scanner.text.get(token.clone()) == Some(expected),
            Value::Boolean(value) => expected == if *value { "true" } else { "false" },
            Value::Null | Value::Container => false,
        }
    }

    fn instant(&mut self, value: &Value) -> Option<f64> {
        match value {
            Value::Number { value, .. } => instant::of_number(*value),
            Value::Text(text) => instant::of_text(self.scratch.text_of(&self.scanner, text)),
            _ => None,
        }
    }

    /// A value that its field cannot use: masked or refused, by policy.
    fn wrong(
        &mut self,
        cell: Cell,
        class: DeadLetterClass,
        member: usize,
        start: usize,
        detail: &'static str,
    ) {
        match self.wrong_type {
            Policy::Mask => self.scratch.masked.push(cell.index),
            Policy::DeadLetter => self.refuse(class, member, start, detail),
        }
    }

    /// Keeps the first fault that only counts if the filter lets the record through.
    #[cold]
    fn refuse(&mut self, class: DeadLetterClass, member: usize, at: usize, detail: &'static str) {
        let fault = Fault::new(class, at, detail).in_member(member);
        self.scratch.fault.get_or_insert(fault);
    }
}

fn expectation(kind: Kind) -> &'static str {
    match kind {
        Kind::Numeric => "expected a number",
        Kind::Boolean => "expected true, false, 0 or 1",
        Kind::Categorical => "expected a string, a number or a boolean",
        Kind::Timestamp => "expected a time as a string or a number",
    }
}
