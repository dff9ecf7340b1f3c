//! Values of the tree as text, and text as a list of values.

use ::config::{Value, ValueKind};

/// The text of a text, number or boolean.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::String(text) => Some(text.clone()),
        ValueKind::Boolean(boolean) => Some(boolean.to_string()),
        ValueKind::I64(number) => Some(number.to_string()),
        ValueKind::I128(number) => Some(number.to_string()),
        ValueKind::U64(number) => Some(number.to_string()),
        ValueKind::U128(number) => Some(number.to_string()),
        ValueKind::Float(number) => Some(number.to_string()),
        ValueKind::Nil | ValueKind::Table(_) | ValueKind::Array(_) => None,
    }
}

/// The value as it would be written in the file, cut to a length that is good to read.
pub(super) fn shown(value: &Value) -> String {
    const LONGEST: usize = 80;
    let Some(text) = scalar(value) else {
        return "…".to_owned();
    };
    let cut: String = text.chars().take(LONGEST).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    match value.kind {
        ValueKind::String(_) => format!("{:?}", format!("{cut}{more}")),
        _ => format!("{cut}{more}"),
    }
}

/// `[a, b]` or `a, b`: the elements.
pub(super) fn split(text: &str) -> Vec<Value> {
    let text = text.trim();
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    inside
        .split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .map(Value::from)
        .collect()
}
