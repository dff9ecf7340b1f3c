//! The layers of a configuration: the file, and above it the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ::config::{Environment, File, FileFormat, Value, ValueKind};

use super::error::Error;

/// `OUTLIERD__LINE__BATCH_ROWS` sets `line.batch_rows`.
const PREFIX: &str = "OUTLIERD";
const SEPARATOR: &str = "__";
/// What the crate `config` calls the origin of such a value.
const ENVIRONMENT: &str = "the environment";

/// Where a configuration is read: what relative paths start from, and the environment's variables.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub folder: PathBuf,
    pub environment: BTreeMap<String, String>,
}

/// The tree of the file's keys with the environment's laid over it; `None` if the file is no TOML.
/// An empty variable counts as unset. `name` is what the file is called in errors.
pub(super) fn merge(
    text: &str,
    name: &str,
    surroundings: &Surroundings,
    errors: &mut Vec<Error>,
) -> Option<Value> {
    let table = toml::from_str::<toml::Table>(text)
        .map_err(|error| errors.push(syntax(text, name, &error)))
        .ok()?;
    let illegal: Vec<Error> = table.keys().filter_map(|key| no_section(key)).collect();
    if !illegal.is_empty() {
        errors.extend(illegal);
        return None;
    }
    let environment = Environment::with_prefix(PREFIX)
        .prefix_separator(SEPARATOR)
        .separator(SEPARATOR)
        .ignore_empty(true)
        .source(Some(variables(surroundings, errors)));
    ::config::Config::builder()
        .add_source(File::from_str(text, FileFormat::Toml))
        .add_source(environment)
        .build()
        .map_err(|error| errors.push(unreadable(name, &error.to_string())))
        .ok()
        .map(|merged| merged.cache)
}

/// The variables that set keys.
fn variables(
    surroundings: &Surroundings,
    errors: &mut Vec<Error>,
) -> ::config::Map<String, String> {
    let prefix = format!("{PREFIX}{SEPARATOR}");
    let mut variables = ::config::Map::new();
    for (variable, value) in &surroundings.environment {
        if !variable.starts_with(&prefix) {
            continue;
        }
        match no_variable(variable) {
            Some(error) => errors.push(error),
            None => _ = variables.insert(variable.clone(), value.clone()),
        }
    }
    variables
}

/// Whether a value, or one inside it, was set by the environment.
pub(super) fn is_from_environment(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Table(table) => table.values().any(is_from_environment),
        _ => value.origin() == Some(ENVIRONMENT),
    }
}

/// The variable that sets the key at `path`.
pub(super) fn variable(path: &str) -> String {
    let key = path.split('[').next().unwrap_or(path);
    let key = key.to_uppercase().replace('.', SEPARATOR);
    format!("{PREFIX}{SEPARATOR}{key}")
}

/// An error that says the place in the file, and never the line itself: it may hold a password.
fn syntax(text: &str, name: &str, error: &toml::de::Error) -> Error {
    let offset = error.span().map_or(0, |span| span.start);
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let first = error.message().lines().next().unwrap_or("not TOML");
    Error {
        path: format!("{name}:{line}:{column}"),
        value: None,
        problem: format!("is not TOML: {first}"),
        remedy: "correct the file here; nothing else has been checked yet".to_owned(),
    }
}

fn unreadable(name: &str, problem: &str) -> Error {
    Error {
        path: name.to_owned(),
        value: None,
        problem: format!("cannot be read: {problem}"),
        remedy: "correct the file".to_owned(),
    }
}

/// The crate `config` takes a key at the top for an expression (`a.b`, `a[7]`); only bare keys are
/// let through to it.
fn no_section(key: &str) -> Option<Error> {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let legal = !key.is_empty() && key.chars().all(bare);
    (!legal).then(|| Error {
        path: format!("{key:?}"),
        value: None,
        problem: "is not a section of the configuration".to_owned(),
        remedy: "write sections as [kafka] and keys below them, without quotation marks".to_owned(),
    })
}

fn no_variable(name: &str) -> Option<Error> {
    let legal = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (!legal).then(|| Error {
        path: format!("{name:?}"),
        value: None,
        problem: "is not a variable that sets a key".to_owned(),
        remedy: "write letters, digits and `_`, with `__` for each dot of the key".to_owned(),
    })
}
