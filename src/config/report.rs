//! What the reading of a configuration found: errors, the keys that exist, the keys that do not.

use std::collections::BTreeSet;

use super::error::Error;
use super::suggestion::nearest;

/// A key that the configuration knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// `line.batch_rows`; an element of a list of tables is `fields[].path`.
    pub path: String,
    /// The default, without quotation marks; `None` if there is none or it follows from other keys.
    pub default: Option<String>,
    pub required: bool,
}

/// Filled by the sections while they are read.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub errors: Vec<Error>,
    pub keys: Vec<Key>,
    unknown: Vec<Unknown>,
}

#[derive(Debug)]
struct Unknown {
    section: String,
    name: String,
}

impl Report {
    pub fn know(&mut self, key: Key) {
        if !self.keys.iter().any(|known| known.path == key.path) {
            self.keys.push(key);
        }
    }

    pub fn unknown(&mut self, section: &str, name: String) {
        self.unknown.push(Unknown {
            section: section.to_owned(),
            name,
        });
    }

    /// All errors; the unknown keys come last, because only now every known key has been seen.
    pub fn into_errors(self) -> Vec<Error> {
        let unknown: Vec<Error> = self.unknown.iter().map(|u| self.explain(u)).collect();
        let mut errors = self.errors;
        errors.extend(unknown);
        errors
    }

    fn explain(&self, unknown: &Unknown) -> Error {
        let siblings = self.names_in(&without_indices(&unknown.section));
        let name = unknown.name.as_str();
        let elsewhere = || {
            self.keys
                .iter()
                .find(|key| key.path.rsplit('.').next() == Some(name))
                .map(|key| key.path.clone())
        };
        let suggestion = nearest(name, siblings.iter().copied())
            .map(|sibling| join(&unknown.section, sibling))
            .or_else(elsewhere);
        let remedy = match suggestion {
            Some(key) => format!("did you mean `{key}`?"),
            None => {
                let known = siblings.into_iter().collect::<Vec<_>>().join(", ");
                format!("remove it; known here: {known}")
            }
        };
        Error {
            path: join(&unknown.section, &quoted(name)),
            value: None,
            problem: "is not a key of the configuration".to_owned(),
            remedy,
        }
    }

    /// The names right below `section`, in alphabetical order.
    fn names_in(&self, section: &str) -> BTreeSet<&str> {
        let below = |key: &'_ Key| -> Option<usize> {
            if section.is_empty() {
                return Some(0);
            }
            let rest = key.path.strip_prefix(section)?;
            rest.starts_with('.').then_some(section.len() + 1)
        };
        self.keys
            .iter()
            .filter_map(|key| key.path.get(below(key)?..))
            .filter_map(|rest| rest.split(['.', '[']).next())
            .collect()
    }
}

/// `section.name`, or the name alone at the top.
pub(super) fn join(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

/// The name as TOML wants it: in quotation marks unless it is a bare key.
pub(super) fn quoted(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    }
}

/// The key in a table of free keys, `kafka.properties."sasl.username"`.
pub(super) fn entry(table: &str, name: &str) -> String {
    join(table, &quoted(name))
}

/// `fields[3]` is `fields[]`.
pub(super) fn without_indices(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            inside = match c {
                '[' => true,
                ']' => false,
                _ => inside,
            };
            !inside || *c == '['
        })
        .collect()
}
