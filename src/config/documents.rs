//! Holds the files in `config/` and `docs/configuration.md` to the code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const REFERENCE: &str = include_str!("../../config/outlierd.toml");
const SENSORS: &str = include_str!("../../config/sensors.toml");
const TRANSACTIONS: &str = include_str!("../../config/transactions.toml");
const DOCUMENT: &str = include_str!("../../docs/configuration.md");

/// Keys whose values are tables of free keys.
const FREE: [&str; 4] = [
    "kafka.properties",
    "kafka.secrets",
    "output.redact_key",
    "http.token",
];

fn environment() -> [(String, String); 2] {
    [
        ("OUTLIERD_REDACT_KEY".to_owned(), "0".repeat(64)),
        ("OUTLIERD_TOKEN".to_owned(), "token".to_owned()),
    ]
}

/// The reference with its examples of keys without a default switched on: `#key`, not `# prose`.
fn with_examples(text: &str) -> String {
    let switch_on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    text.lines().map(switch_on).collect::<Vec<_>>().join("\n")
}

/// The keys that a file sets, with their values as the defaults are written.
fn set_keys(text: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    collect(
        "",
        &toml::Value::Table(toml::from_str(text).unwrap()),
        &mut keys,
    );
    keys
}

fn collect(path: &str, value: &toml::Value, keys: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) if !FREE.contains(&path) => {
            for (name, value) in table {
                collect(&report::join(path, name), value, keys);
            }
        }
        toml::Value::Array(tables) if path == "fields" => {
            keys.insert(path.to_owned(), String::new());
            for table in tables {
                collect("fields[]", table, keys);
            }
        }
        other => _ = keys.insert(path.to_owned(), literal(other)),
    }
}

fn literal(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        // With its point: 1.0 and not 1.
        toml::Value::Float(number) => format!("{number:?}"),
        toml::Value::Boolean(boolean) => boolean.to_string(),
        toml::Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(literal).collect();
            format!("[{}]", elements.join(", "))
        }
        toml::Value::Table(_) => "{}".to_owned(),
        toml::Value::Datetime(instant) => instant.to_string(),
    }
}

#[test]
fn the_reference_holds_every_key_and_no_other() {
    let set: BTreeSet<String> = set_keys(&with_examples(REFERENCE)).into_keys().collect();
    let known: BTreeSet<String> = Config::keys().into_iter().map(|key| key.path).collect();
    assert_eq!(set, known);
}

#[test]
fn the_reference_sets_every_key_with_a_default_to_it() {
    let set = set_keys(REFERENCE);
    for key in Config::keys() {
        match key.default {
            Some(default) => assert_eq!(set.get(&key.path), Some(&default), "{}", key.path),
            None => assert_eq!(set.contains_key(&key.path), key.required, "{}", key.path),
        }
    }
}

#[test]
fn the_reference_is_the_default_configuration() {
    let least = "[kafka]\nbrokers = 'localhost:9092'\n[input]\ntopic = 'readings'\n\
                 [[fields]]\npath = 'cpu.user'";
    assert_eq!(Config::parse(REFERENCE, []), Config::parse(least, []));
    let config = Config::parse(&with_examples(REFERENCE), environment()).unwrap();
    let derived = Config::parse(least, []).unwrap();
    assert_eq!(config.output.topic, derived.output.topic);
    assert_eq!(config.dead_letter.topic, derived.dead_letter.topic);
}

#[test]
fn the_examples_are_configurations() {
    let sensors = Config::parse(SENSORS, []).unwrap();
    assert_eq!(sensors.input.key.as_deref(), Some("host"));
    let transactions = Config::parse(TRANSACTIONS, environment()).unwrap();
    assert_eq!(transactions.output.record, Copied::Fields);
    let errors = Config::parse(TRANSACTIONS, []).unwrap_err();
    assert!(
        errors
            .to_string()
            .contains("OUTLIERD_REDACT_KEY, which is not set")
    );
}

/// The first two cells of each row that describes a key.
fn rows() -> BTreeMap<String, String> {
    DOCUMENT
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let key = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
            let section = key.split(['.', '[']).next()?;
            let known = Config::keys();
            let known = known.iter().any(|known| known.path.starts_with(section));
            known.then_some((key.to_owned(), cells.next()?.to_owned()))
        })
        .collect()
}

#[test]
fn the_document_explains_every_key_and_no_other() {
    let known: BTreeSet<String> = Config::keys().into_iter().map(|key| key.path).collect();
    let mut explained: BTreeSet<String> = rows().into_keys().collect();
    // The list of tables has a chapter of its own, with a row for each of its keys.
    assert!(DOCUMENT.contains("## `[[fields]]`"));
    explained.insert("fields".to_owned());
    assert_eq!(explained, known);
}

#[test]
fn the_document_says_the_defaults() {
    let rows = rows();
    for key in Config::keys()
        .into_iter()
        .filter(|key| key.path != "fields")
    {
        let row = rows.get(&key.path).unwrap();
        match (key.default, key.required) {
            (Some(default), _) => {
                let written = [format!("`{default}`"), format!("`\"{default}\"`")];
                assert!(written.contains(row), "{}: {row}", key.path);
            }
            (None, true) => assert_eq!(row, "required", "{}", key.path),
            (None, false) => assert!(!row.contains("required"), "{}", key.path),
        }
    }
}

#[test]
fn the_document_names_every_setting_that_is_refused() {
    for setting in properties::refused() {
        assert!(DOCUMENT.contains(&format!("`{setting}")), "{setting}");
    }
}
