//! `[kafka]`, `[kafka.properties]` and `[kafka.secrets]`.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::config::{Value, ValueKind};

use super::error::Wrong;
use super::name;
use super::properties::{allowed, is_secret};
use super::report::{entry, join};
use super::secret::Secret;
use super::section::{Presence, Section};
use super::source::{Surroundings, is_from_environment};
use super::value::scalar;

/// `[kafka]`: how to reach the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Kafka {
    /// `host:port[,host:port…]`, librdkafka's `bootstrap.servers`.
    pub brokers: String,
    /// `[kafka.properties]`: passed through to librdkafka, less those that would break a promise.
    pub properties: BTreeMap<String, String>,
    /// `[kafka.secrets]`: librdkafka keys whose values come from a file or the environment only.
    pub secrets: BTreeMap<String, Secret>,
}

/// How long the cluster lets a transaction be open, unless `transaction.timeout.ms` says otherwise. librdkafka's own
/// default is a minute, and whoever takes over from an instance that died in a transaction waits for that long: until
/// then nobody knows its offsets.
const OPEN_AT_MOST: Duration = Duration::from_secs(10);

impl Kafka {
    /// How long the cluster lets a transaction be open.
    pub fn transaction_timeout(&self) -> Duration {
        let set = self.properties.get("transaction.timeout.ms");
        set.and_then(|text| text.parse().ok())
            .map_or(OPEN_AT_MOST, Duration::from_millis)
    }

    /// The same with what the files of its secrets hold now.
    ///
    /// # Errors
    /// Which setting names a file that cannot be read, and why.
    pub fn again(&self) -> Result<Self, String> {
        let mut kafka = self.clone();
        for (key, secret) in &mut kafka.secrets {
            *secret = secret.again().map_err(|wrong| {
                let entry = entry("kafka.secrets", key);
                format!("{entry} {}: {}", wrong.problem, wrong.remedy)
            })?;
        }
        Ok(kafka)
    }

    /// The files that let this client in: secrets, certificates, authorities.
    pub fn files(&self) -> Vec<PathBuf> {
        let secrets = self.secrets.values().filter_map(Secret::file);
        let names = |key: &str| key.ends_with(".location") || key.ends_with(".file");
        let properties = self.properties.iter().filter(|(key, _)| names(key));
        secrets
            .map(Path::to_owned)
            .chain(properties.map(|(_, file)| PathBuf::from(file)))
            .collect()
    }

    pub(super) fn read(mut section: Section<'_>, surroundings: &Surroundings) -> Option<Self> {
        let remedy = "name the brokers of your cluster, such as brokers = \"localhost:9092\"";
        let brokers = section.required("brokers", remedy, name::brokers);
        let properties = read_properties(&mut section);
        let secrets = read_secrets(&mut section, surroundings, properties.as_ref());
        section.finish();
        Some(Self {
            brokers: brokers?,
            properties: properties?,
            secrets: secrets?,
        })
    }
}

fn read_properties(section: &mut Section<'_>) -> Option<BTreeMap<String, String>> {
    let settings = settings(section, "properties", is_property)?;
    let mut properties = BTreeMap::new();
    let mut good = true;
    for (key, value) in settings {
        match property(&key, &value) {
            Ok(text) => _ = properties.insert(key, text),
            Err(wrong) => {
                good = false;
                // The value is not shown, because an unknown key may hold anything.
                section.refuse(&entry("properties", &key), None, wrong);
            }
        }
    }
    good.then_some(properties)
}

fn property(key: &str, value: &Value) -> Result<String, Wrong> {
    let text = scalar(value).unwrap_or_default();
    allowed(key, &text)?;
    if is_secret(key) {
        let remedy = format!("put it under [kafka.secrets]: {key:?} = {{ file = \"…\" }}");
        return Err(Wrong::new("holds a secret", remedy));
    }
    scalar(value).ok_or_else(|| {
        let remedy = "write one text, number or boolean";
        Wrong::new("is a list or an empty table", remedy)
    })
}

fn read_secrets(
    section: &mut Section<'_>,
    surroundings: &Surroundings,
    properties: Option<&BTreeMap<String, String>>,
) -> Option<BTreeMap<String, Secret>> {
    let settings = settings(section, "secrets", is_reference)?;
    let mut secrets = BTreeMap::new();
    let mut good = true;
    for (key, value) in settings {
        let twice = properties.is_some_and(|properties| properties.contains_key(&key));
        let secret = match twice {
            true => Err(Wrong::new(
                "is set in [kafka.properties] too",
                "remove one of them",
            )),
            false => allowed(&key, "").and_then(|()| Secret::resolve(&value, surroundings)),
        };
        match secret {
            Ok(secret) => _ = secrets.insert(key, secret),
            Err(wrong) => {
                good = false;
                section.refuse(&entry("secrets", &key), None, wrong);
            }
        }
    }
    good.then_some(secrets)
}

/// The settings of a table by their whole names: `sasl.password` may be one quoted key, or the
/// tables of an unquoted one or of a variable (`OUTLIERD__KAFKA__SECRETS__SASL__PASSWORD__FILE`).
fn settings(
    section: &mut Section<'_>,
    table: &str,
    is_value: fn(&Value) -> bool,
) -> Option<BTreeMap<String, Value>> {
    let mut settings = BTreeMap::new();
    match section
        .raw(table, Presence::Default("{}"))
        .map(|value| value.kind)
    {
        None => {}
        Some(ValueKind::Table(values)) => flatten("", values, is_value, &mut settings),
        Some(_) => {
            let remedy = format!("write its keys below a line [kafka.{table}]");
            section.refuse(table, None, Wrong::new("is not a section", remedy));
            return None;
        }
    }
    Some(settings)
}

fn flatten(
    above: &str,
    values: HashMap<String, Value>,
    is_value: fn(&Value) -> bool,
    settings: &mut BTreeMap<String, Value>,
) {
    for (key, value) in BTreeMap::from_iter(values) {
        let name = join(above, &key);
        // The environment wins over the file, whichever way the two wrote the key.
        let wins = !settings.contains_key(&name) || is_from_environment(&value);
        if is_value(&value) {
            if wins {
                settings.insert(name, value);
            }
        } else if let ValueKind::Table(inner) = value.kind {
            flatten(&name, inner, is_value, settings);
        }
    }
}

fn is_property(value: &Value) -> bool {
    !matches!(&value.kind, ValueKind::Table(table) if !table.is_empty())
}

/// `{ file = "…" }` is a value; a table of tables is a part of a name.
fn is_reference(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Table(table) => {
            let is_table = |value: &Value| matches!(value.kind, ValueKind::Table(_));
            table.is_empty() || !table.values().all(is_table)
        }
        _ => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::config::report::Report;
    use crate::config::source::merge;

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<Kafka, String> {
        let surroundings = Surroundings {
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..Surroundings::default()
        };
        let text = format!("[kafka]\nbrokers = 'a:1'\n{text}");
        let mut report = Report::default();
        let root = merge(&text, "test", &surroundings, &mut report.errors).unwrap();
        let mut root = Section::new(String::new(), Some(root), &mut report);
        let kafka = Kafka::read(root.section("kafka"), &surroundings);
        root.finish();
        let errors = super::super::Errors(report.into_errors());
        kafka.ok_or_else(|| errors.to_string())
    }

    #[test]
    fn dotted_keys_and_their_case_arrive_as_they_were_written() {
        let text = "[kafka.properties]\n'security.protocol' = 'SASL_SSL'\nclient.id = 'A'\n\
                    'socket.keepalive.enable' = true\n'fetch.wait.max.ms' = 10";
        let properties = read(text, &[]).unwrap().properties;
        let expected = [
            ("client.id", "A"),
            ("fetch.wait.max.ms", "10"),
            ("security.protocol", "SASL_SSL"),
            ("socket.keepalive.enable", "true"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(properties, BTreeMap::from(expected));
    }

    #[test]
    fn the_environment_wins_over_either_way_to_write_a_key() {
        let variable = [("OUTLIERD__KAFKA__PROPERTIES__CLIENT__ID", "b")];
        for text in ["'client.id' = 'a'", "client.id = 'a'", ""] {
            let text = format!("[kafka.properties]\n{text}");
            assert_eq!(read(&text, &variable).unwrap().properties["client.id"], "b");
        }
    }

    #[test]
    fn secrets_come_from_the_environment_that_was_handed_in() {
        let environment = [
            ("PASSWORD", "hunter2"),
            (
                "OUTLIERD__KAFKA__SECRETS__SSL__KEY__PASSWORD__ENV",
                "PASSWORD",
            ),
        ];
        for text in [
            "'sasl.password' = { env = 'PASSWORD' }",
            "sasl.password.env = 'PASSWORD'",
        ] {
            let kafka = read(&format!("[kafka.secrets]\n{text}"), &environment).unwrap();
            assert_eq!(kafka.secrets["sasl.password"].expose(), "hunter2");
            assert_eq!(kafka.secrets["ssl.key.password"].expose(), "hunter2");
            assert!(!format!("{kafka:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_secret_in_the_file_is_refused_and_not_repeated() {
        for text in [
            "[kafka.properties]\n'sasl.password' = 'hunter2'",
            "[kafka.properties]\nsasl.password = 'hunter2'",
            "[kafka.properties]\n'sasl.password' = ['hunter2']",
            "[kafka.secrets]\n'sasl.password' = 'hunter2'",
            "[kafka.secrets]\n'sasl.password' = { value = 'hunter2' }",
            "[kafka.secrets]\n'sasl.password' = { env = 'hunter2!' }",
            "[kafka.properties]\n'a.b' = 1\n[kafka.secrets]\n'a.b' = 'hunter2'",
        ] {
            let errors = read(text, &[]).unwrap_err();
            assert!(!errors.contains("hunter2"), "{errors}");
        }
    }

    #[test]
    fn a_setting_that_would_break_a_promise_is_refused_in_both_tables() {
        for text in [
            "[kafka.properties]\nenable.auto.commit = true",
            "[kafka.secrets]\n'enable.auto.commit' = { env = 'X' }",
        ] {
            let errors = read(text, &[("X", "true")]).unwrap_err();
            assert!(
                errors.contains("\"enable.auto.commit\"\n    clashes with `line.commit_interval`")
            );
        }
    }
}
