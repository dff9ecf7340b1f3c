//! `[[fields]]`: what the model sees of a record.

use std::collections::BTreeSet;

use ::config::{Value, ValueKind};

use super::error::Wrong;
use super::name;
use super::quantity::{boolean, number, one_of};
use super::section::{Presence, Section};

/// More would make rows that no model of the largest width could learn.
const MOST_FIELDS: usize = 1024;

/// `[[fields]]`: one field that the model sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Dotted path into the record, `cpu.user`.
    pub path: String,
    pub kind: Kind,
    /// A record without it becomes a dead letter.
    pub required: bool,
    /// The side on which a deviation counts.
    pub direction: Direction,
    /// Deviations below this, in the field's own units, never make an outlier. 0 or more.
    pub min_deviation: f64,
}

/// What a field's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Numeric,
    Boolean,
    Categorical,
    Timestamp,
}

/// The side on which a deviation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Both,
    Above,
    Below,
}

const KINDS: [(&str, Kind); 4] = [
    ("numeric", Kind::Numeric),
    ("boolean", Kind::Boolean),
    ("categorical", Kind::Categorical),
    ("timestamp", Kind::Timestamp),
];

const DIRECTIONS: [(&str, Direction); 3] = [
    ("both", Direction::Both),
    ("above", Direction::Above),
    ("below", Direction::Below),
];

impl Field {
    /// A field that may be missing and of which every deviation counts: the defaults.
    pub fn open(path: impl Into<String>, kind: Kind) -> Field {
        Field {
            path: path.into(),
            kind,
            required: false,
            direction: Direction::Both,
            min_deviation: 0.0,
        }
    }

    /// Reads the list `[[fields]]` of the configuration.
    pub(super) fn read_all(root: &mut Section<'_>) -> Option<Vec<Self>> {
        let tables = tables(root)?;
        let mut fields = Vec::new();
        for (index, table) in tables.into_iter().enumerate() {
            let path = format!("fields[{index}]");
            fields.push(Self::read(Section::new(path, Some(table), root.report())));
        }
        let mut good = true;
        let mut paths = BTreeSet::new();
        for (index, field) in fields.iter().enumerate() {
            let Some(field) = field else { continue };
            if !paths.insert(field.path.as_str()) {
                good = false;
                let wrong = Wrong::new("is a field that stands further up already", "remove one");
                let value = Some(format!("{:?}", field.path));
                root.refuse(&format!("fields[{index}].path"), value, wrong);
            }
        }
        fields
            .into_iter()
            .collect::<Option<Vec<Self>>>()
            .filter(|_| good)
    }

    fn read(mut section: Section<'_>) -> Option<Self> {
        let remedy = "name the field by its path in the record, such as path = \"cpu.user\"";
        let path = section.required("path", remedy, name::path);
        let kind = section.or("kind", "numeric", one_of(&KINDS));
        let required = section.or("required", "false", boolean);
        let misplaced = match kind {
            Some(kind) if kind != Kind::Numeric => ["direction", "min_deviation"]
                .into_iter()
                .filter(|key| section.given(key))
                .collect(),
            _ => Vec::new(),
        };
        let direction = section.or("direction", "both", one_of(&DIRECTIONS));
        let deviations = number(|deviation| deviation >= 0.0, "of 0 or more");
        let min_deviation = section.or("min_deviation", "0", deviations);
        for key in &misplaced {
            let wrong = Wrong::new("is only for fields of kind \"numeric\"", "remove it");
            section.refuse(key, None, wrong);
        }
        section.finish();
        let field = Self {
            path: path?,
            kind: kind?,
            required: required?,
            direction: direction?,
            min_deviation: min_deviation?,
        };
        misplaced.is_empty().then_some(field)
    }
}

fn tables(root: &mut Section<'_>) -> Option<Vec<Value>> {
    let wrong = match root
        .raw("fields", Presence::Required)
        .map(|value| value.kind)
    {
        Some(ValueKind::Array(tables)) if tables.len() > MOST_FIELDS => {
            let remedy = format!("choose at most {MOST_FIELDS}");
            Wrong::new(format!("has {} fields", tables.len()), remedy)
        }
        Some(ValueKind::Array(tables)) if !tables.is_empty() => return Some(tables),
        Some(ValueKind::Array(_)) | None => Wrong::new(
            "is missing: the model must know which fields to look at",
            "add a table [[fields]] for each, or let `outlierd init` propose them",
        ),
        Some(_) => Wrong::new(
            "is not a list of tables",
            "write a table [[fields]] for each, in the file; the environment cannot set them",
        ),
    };
    root.refuse("fields", None, wrong);
    None
}
