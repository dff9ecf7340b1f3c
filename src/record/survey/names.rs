//! What the name of a field hints at.

use crate::record::split_path;

const TIMES: [&str; 11] = [
    "timestamp",
    "time",
    "ts",
    "datetime",
    "date",
    "at",
    "when",
    "epoch",
    "created",
    "updated",
    "occurred",
];
/// The most telling ones first.
const KEYS: [&str; 21] = [
    "machine", "device", "host", "hostname", "card", "sensor", "asset", "node", "station",
    "vehicle", "meter", "account", "customer", "user", "client", "merchant", "instance", "key",
    "id", "uid", "uuid",
];
const IDENTIFIERS: [&str; 11] = [
    "id", "uid", "uuid", "guid", "seq", "sequence", "offset", "nr", "no", "number", "key",
];
const METRICS: [&str; 11] = [
    "metric",
    "name",
    "sensor",
    "measure",
    "measurement",
    "parameter",
    "signal",
    "tag",
    "channel",
    "quantity",
    "variable",
];
const VALUES: [&str; 5] = ["value", "val", "reading", "measurement", "v"];
const TYPES: [&str; 6] = ["type", "kind", "event", "schema", "category", "class"];

/// How telling a name is as the key of a stream: lower is more.
pub(super) fn key_rank(path: &str) -> Option<usize> {
    let words = words(path);
    KEYS.iter()
        .position(|hint| words.iter().any(|word| word == hint))
}

pub(super) fn is_time(path: &str) -> bool {
    holds(path, &TIMES)
}

pub(super) fn is_identifier(path: &str) -> bool {
    holds(path, &IDENTIFIERS)
}

pub(super) fn is_metric(path: &str) -> bool {
    holds(path, &METRICS)
}

pub(super) fn is_value(path: &str) -> bool {
    holds(path, &VALUES)
}

pub(super) fn is_type(path: &str) -> bool {
    holds(path, &TYPES)
}

fn holds(path: &str, hints: &[&str]) -> bool {
    words(path)
        .iter()
        .any(|word| hints.contains(&word.as_str()))
}

/// The words of the last key: `machineId` and `machine_id` are `machine`, `id`.
fn words(path: &str) -> Vec<String> {
    let last = split_path(path).pop().unwrap_or_default();
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for character in last.chars() {
        if !character.is_alphanumeric() || (after_lower && character.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(character.to_lowercase().filter(|c| c.is_alphanumeric()));
        }
        after_lower = character.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_by_case_and_by_marks() {
        for path in ["machineId", "machine_id", "x.Machine-ID", "machine id"] {
            assert_eq!(words(path), ["machine", "id"], "{path}");
        }
    }

    #[test]
    fn hints_are_whole_words() {
        assert!(is_time("created_at") && is_time("eventTime") && !is_time("attempts"));
        assert!(is_identifier("order_id") && !is_identifier("humidity"));
        assert!(key_rank("host") < key_rank("id") && key_rank("load").is_none());
    }
}
