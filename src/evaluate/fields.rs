//! Which fields a detector sees, and how it is trained.

use serde_json::Value;

use super::EvaluationError;
use super::material::{Material, Roles};
use crate::config::{Config, Field, Input, Kind, Train};
use crate::detect::Model;
use crate::record::split_path;
use crate::record::survey::{Report, Suggestion, Survey};

/// Fields that the line on what was inferred lists at most.
const LISTED: usize = 8;

/// A draft needs names for what a file does not have.
const NO_TOPIC: &str = "file";

/// How records are read and learnt.
#[derive(Debug, Clone)]
pub struct Fields {
    pub fields: Vec<Field>,
    pub input: Input,
    pub train: Train,
    /// One line for the user, where something was inferred.
    pub said: Option<String>,
}

impl Fields {
    /// Those that `init` would choose for the records, less the label and the key. In a file of
    /// plain numbers every field is a number: there, 0 and 1 are more likely a count than a switch.
    ///
    /// # Errors
    /// No field is of use.
    pub fn infer(material: &Material, roles: &Roles) -> Result<Fields, EvaluationError> {
        let mut survey = Survey::new();
        let mut plain = true;
        for record in &material.records {
            if survey.is_full() {
                break;
            }
            let Ok(mut record) = serde_json::from_slice::<Value>(&record.bytes) else {
                continue;
            };
            remove(&mut record, &roles.label);
            plain &= is_plain(&record, roles);
            survey.add(record.to_string().as_bytes());
        }
        let report = survey.report();
        let nothing = || EvaluationError::NoFields {
            file: material.name.clone(),
            left_out: left_out(&report, |_| true).map_or(String::new(), |why| format!(" ({why})")),
        };
        // What `init` would write is what is used, `where` and the defaults of [train] included.
        let draft = report.to_toml("localhost:9092", NO_TOPIC);
        let mut config = Config::parse(&draft, []).map_err(|_| nothing())?;
        config
            .fields
            .retain(|field| !names(&roles.key, &field.path));
        // The day and the week of a time are worth learning, its size is not.
        config
            .fields
            .retain(|field| field.kind == Kind::Timestamp || !names(&roles.time, &field.path));
        for field in &mut config.fields {
            if plain && field.kind == Kind::Boolean {
                field.kind = Kind::Numeric;
            }
        }
        if config.fields.is_empty() {
            return Err(nothing());
        }
        let said = said(&config.fields, &report, roles);
        Ok(Fields {
            fields: config.fields,
            input: Input {
                filter: config.input.filter,
                ..Input::of_records()
            },
            train: config.train,
            said: Some(said),
        })
    }

    /// Those of a configuration, with its `where` and its `[train]`.
    ///
    /// # Errors
    /// The label is among the fields.
    pub fn of_configuration(config: &Config, roles: &Roles) -> Result<Fields, EvaluationError> {
        let fields = Fields {
            fields: config.fields.clone(),
            input: config.input.clone(),
            train: config.train.clone(),
            said: None,
        };
        fields.without_label(roles)
    }

    /// Those of a trained model; `train` is what other detectors beside it are trained with.
    ///
    /// # Errors
    /// The label is among the fields.
    pub fn of_model(model: &Model, train: Train, roles: &Roles) -> Result<Fields, EvaluationError> {
        let fields = model.encoding.fields.iter();
        let fields = Fields {
            fields: fields
                .map(|field| Field::open(&field.path, field.kind))
                .collect(),
            input: Input::of_records(),
            train: Train {
                data: model.provenance.data,
                hidden: model.shape.hidden,
                latent: model.shape.latent,
                ..train
            },
            said: None,
        };
        fields.without_label(roles)
    }

    fn without_label(self, roles: &Roles) -> Result<Fields, EvaluationError> {
        let label = Some(roles.label.clone());
        match self.fields.iter().any(|field| names(&label, &field.path)) {
            true => Err(EvaluationError::LabelIsField(roles.label.clone())),
            false => Ok(self),
        }
    }
}

/// The `[train]` of a configuration that does not mention it.
///
/// # Errors
/// Never, as long as the defaults are good ones.
pub fn default_train() -> Result<Train, EvaluationError> {
    let least = "[kafka]\nbrokers = \"localhost:9092\"\n[input]\ntopic = \"file\"\n\
                 [[fields]]\npath = \"x\"\n[output]\ntopic = \"outliers\"\n";
    let config = Config::parse(least, []).map_err(|errors| {
        EvaluationError::Usage(format!("the defaults are no configuration: {errors}"))
    })?;
    Ok(config.train)
}

/// Whether a column name or path, if there is one, is this field's path.
fn names(wanted: &Option<String>, path: &str) -> bool {
    let Some(wanted) = wanted else { return false };
    let parts = split_path(path);
    wanted == path || parts == [wanted.as_str()] || parts == split_path(wanted)
}

fn remove(record: &mut Value, label: &str) {
    if record
        .as_object_mut()
        .and_then(|object| object.remove(label))
        .is_some()
    {
        return;
    }
    let mut parts = split_path(label);
    let Some(last) = parts.pop() else { return };
    let parent = parts
        .iter()
        .try_fold(record, |value, part| value.get_mut(part));
    if let Some(object) = parent.and_then(Value::as_object_mut) {
        object.remove(&last);
    }
}

/// Whether a flat record holds numbers alone, its key and its time aside.
fn is_plain(record: &Value, roles: &Roles) -> bool {
    let Some(object) = record.as_object() else {
        return false;
    };
    let roles = [&roles.key, &roles.time];
    object.iter().all(|(name, value)| {
        value.is_number() || value.is_null() || roles.contains(&&Some(name.clone()))
    })
}

/// The fields that were left out, with the reasons, those with the same reason together.
fn left_out(report: &Report, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for field in report.fields.iter().filter(|field| wanted(&field.path)) {
        let Suggestion::LeaveOut(reason) = field.suggestion else {
            continue;
        };
        let reason = reason.as_str();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, paths)) => paths.push(&field.path),
            None => reasons.push((reason, vec![&field.path])),
        }
    }
    let said = reasons
        .iter()
        .map(|(reason, paths)| format!("{}: {reason}", listed(paths)));
    (!reasons.is_empty()).then(|| format!("left out {}", said.collect::<Vec<_>>().join("; ")))
}

fn listed(paths: &[&str]) -> String {
    match paths.len().checked_sub(LISTED) {
        None | Some(0) => paths.join(", "),
        Some(more) => format!("{} and {more} more", paths[..LISTED].join(", ")),
    }
}

fn said(fields: &[Field], report: &Report, roles: &Roles) -> String {
    let kinds = [
        (Kind::Numeric, "numeric"),
        (Kind::Boolean, "boolean"),
        (Kind::Categorical, "categorical"),
        (Kind::Timestamp, "timestamp"),
    ];
    let count = |kind| fields.iter().filter(|field| field.kind == kind).count();
    let kinds: Vec<String> = kinds
        .into_iter()
        .map(|(kind, word)| (count(kind), word))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let has_role = |path: &str| names(&roles.key, path) || names(&roles.time, path);
    let left_out = left_out(report, |path| !has_role(path));
    let left_out = left_out.map_or(String::new(), |left_out| format!("; {left_out}"));
    format!("inferred {} fields{left_out}", kinds.join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::evaluate::material::Record;

    pub(in crate::evaluate) fn number(path: &str) -> Field {
        Field::open(path, Kind::Numeric)
    }

    fn material(row: impl Fn(usize) -> String) -> Material {
        let records = (0..200).map(|index| Record {
            bytes: row(index).into_bytes().into(),
            anomalous: false,
            key: None,
            time: None,
        });
        Material {
            name: "rows.csv".into(),
            records: records.collect(),
            ..Material::default()
        }
    }

    fn roles(key: Option<&str>) -> Roles {
        Roles {
            label: "label".into(),
            key: key.map(ToOwned::to_owned),
            time: None,
        }
    }

    #[test]
    fn plain_numbers_are_numeric_fields_but_for_constants_and_the_label() {
        let rows = material(|row| {
            let (bit, small, label) = (row * 7 % 3 % 2, row * 31 % 17, usize::from(row % 10 == 0));
            format!(r#"{{"f0":{bit},"f1":{small},"f2":0,"f3":null,"label":{label}}}"#)
        });
        let found = Fields::infer(&rows, &roles(None)).unwrap();
        let paths: Vec<(&str, Kind)> = found.fields.iter().map(|f| (&*f.path, f.kind)).collect();
        assert_eq!(paths, [("f0", Kind::Numeric), ("f1", Kind::Numeric)]);
        let said = found.said.unwrap();
        assert_eq!(
            said,
            "inferred 2 numeric fields; left out f2: it never changes; f3: it is always null"
        );
    }

    #[test]
    fn other_records_are_read_as_init_reads_them_and_the_key_is_no_field() {
        let rows = material(|row| {
            let (load, host) = (row * 31 % 17, row % 5);
            let up = row % 3 > 0;
            format!(r#"{{"load":{load}.5,"up":{up},"host":"h{host}","meta":{{"label":1}}}}"#)
        });
        let mut roles = roles(Some("host"));
        roles.label = "meta.label".into();
        let found = Fields::infer(&rows, &roles).unwrap();
        let paths: Vec<(&str, Kind)> = found.fields.iter().map(|f| (&*f.path, f.kind)).collect();
        assert_eq!(paths, [("load", Kind::Numeric), ("up", Kind::Boolean)]);
    }

    #[test]
    fn a_file_of_constants_is_refused_with_the_reason() {
        let rows = material(|_| r#"{"a":1,"b":"x","label":0}"#.into());
        let refused = Fields::infer(&rows, &roles(None)).unwrap_err().to_string();
        assert!(
            refused.contains("left out a, b: it never changes"),
            "{refused}"
        );
    }

    #[test]
    fn a_label_among_the_fields_is_refused() {
        let mut config = Config::parse(
            "[kafka]\nbrokers = \"b:1\"\n[input]\ntopic = \"i\"\n[[fields]]\npath = \"is.odd\"\n\
             [output]\ntopic = \"o\"\n",
            [],
        )
        .unwrap();
        let mut roles = roles(None);
        assert!(Fields::of_configuration(&config, &roles).is_ok());
        roles.label = "is.odd".into();
        let refused = Fields::of_configuration(&config, &roles).unwrap_err();
        assert!(refused.is_usage());
        config.fields[0].path = "is\\.odd".into();
        assert!(Fields::of_configuration(&config, &roles).is_err());
    }

    #[test]
    fn the_defaults_are_a_configuration() {
        assert_eq!(default_train().unwrap().calibration_share, 0.2);
    }
}
