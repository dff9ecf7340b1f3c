//! What stands on the outlier topic.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::harness::records::{Pump, readings};
use super::harness::scores::{model, score_bits, verdicts};
use super::harness::setup::{INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Message, Outlierd, Record, Setup, outlierd};

/// Panics with what is wrong when `message` does not keep to `docs/outlier.schema.json`.
#[track_caller]
pub fn assert_valid(message: &Value) {
    let schema = include_str!("../../docs/outlier.schema.json");
    let schema: Validator =
        jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
    let errors: Vec<String> = schema.iter_errors(message).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {message:#}");
}

/// Runs a daemon until it has judged `count` records, then reads `topic`.
fn judge(client: &Client, setup: &Setup, count: usize, topic: &str) -> Vec<Message> {
    let mut daemon = Outlierd::start_ready(setup);
    daemon.wait_records(count);
    assert!(daemon.terminate().success());
    client.read(topic)
}

#[test]
fn outlier_messages_keep_to_their_schema_and_carry_as_much_of_the_record_as_asked() {
    let copies = ["none", "fields", "full"];
    let broker = Broker::start(&[&topics(1)[..], &copies.map(|copy| (copy, 1))].concat());
    let client = Client::new(&broker.address);
    let mut pump = Pump::new(11);
    let extra = r#""note":{"text":"täglich"},"mode2":null"#;
    let rows: Vec<String> = (0..300)
        .map(|number| {
            let members = if number % 30 == 0 {
                pump.odd()
            } else {
                pump.ordinary()
            };
            format!("{{{members},{extra}}}")
        })
        .collect();
    let records: Vec<Record> = rows
        .iter()
        .map(|row| Record::of(row.as_str()).key("p"))
        .collect();
    client.feed(INPUT, &records);
    let verdicts = verdicts(&Setup::new(&broker.address), &rows);

    for copy in copies {
        let setup = Setup::new(&broker.address)
            .set("input", "group", &format!("{copy:?}"))
            .set("output", "topic", &format!("{copy:?}"))
            .set("output", "record", &format!("{copy:?}"));
        let outliers = judge(&client, &setup, rows.len(), copy);
        assert!(outliers.len() >= 10, "the odd ones are not flagged");
        for outlier in &outliers {
            let message = outlier.json();
            assert_valid(&message);
            let offset = usize::try_from(message["offset"].as_u64().unwrap()).unwrap();
            assert_eq!(message["id"], outlier.header("outlierd.id"));
            assert_eq!(outlier.key.as_deref(), Some(&b"p"[..]));
            assert!(verdicts[offset].flagged);
            assert_eq!(score_bits(&message), verdicts[offset].score_bits);
            let sent: Value = serde_json::from_str(&rows[offset]).unwrap();
            match copy {
                "none" => assert!(message.get("record").is_none()),
                "full" => assert_eq!(message["record"], sent),
                _ => {
                    let names = ["pressure", "flow", "temperature", "mode", "open"];
                    let fields = names.map(|name| (name.to_owned(), sent[name].clone()));
                    assert_eq!(message["record"], json!(serde_json::Map::from_iter(fields)));
                }
            }
        }
        let odd = outliers
            .iter()
            .find(|outlier| outlier.json()["offset"] == 0)
            .unwrap()
            .json();
        let named: Vec<&str> = odd["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["field"].as_str().unwrap())
            .collect();
        assert!(
            named.contains(&"pressure") && named.contains(&"temperature"),
            "{named:?}"
        );
        assert!(
            odd["summary"].as_str().unwrap().contains("expected"),
            "{odd}"
        );
        assert_eq!(odd["model"]["version"], version());
    }
}

/// What `show` says that the model's version is.
fn version() -> Value {
    let shown = outlierd(&["show", "--json", model().to_str().unwrap()]);
    serde_json::from_str::<Value>(&shown.stdout).unwrap()["version"].clone()
}

#[test]
fn an_id_is_one_records_own_and_the_same_on_every_redelivery() {
    let broker = Broker::start(&[&topics(3)[..], &[("again", 1)]].concat());
    let client = Client::new(&broker.address);
    let rows = readings(12, 300, 10);
    let records = rows.iter().zip((0..3).cycle());
    let records: Vec<Record> = records
        .map(|(row, partition)| Record::of(row.as_str()).to(partition))
        .collect();
    client.feed(INPUT, &records);

    let ids = |setup: &Setup, topic| {
        let outliers = judge(&client, setup, rows.len(), topic);
        let ids: BTreeSet<(String, String)> = outliers
            .iter()
            .map(|outlier| {
                let message = outlier.json();
                let place = format!("{}/{}", message["partition"], message["offset"]);
                (message["id"].as_str().unwrap().to_owned(), place)
            })
            .collect();
        let different: BTreeSet<&String> = ids.iter().map(|(id, _)| id).collect();
        assert_eq!(different.len(), outliers.len());
        ids
    };
    let first = ids(&Setup::new(&broker.address), OUTLIERS);
    let again = Setup::new(&broker.address).set("input", "group", "\"again\"");
    let again = ids(&again.set("output", "topic", "\"again\""), "again");
    assert!(first.len() >= 30);
    assert_eq!(first, again);
}

#[test]
fn outliers_of_one_key_within_the_gap_share_an_episode() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let mut pump = Pump::new(13);
    let begin = 1_767_225_600_000;
    let records: Vec<Record> = [("a", 0), ("a", 59), ("b", 60), ("a", 118), ("a", 179)]
        .iter()
        .map(|(key, seconds)| {
            Record::of(format!("{{{}}}", pump.odd()))
                .key(key)
                .at(begin + seconds * 1000)
        })
        .collect();
    client.feed(INPUT, &records);
    let setup = Setup::new(&broker.address).set("detect", "episode_gap", "\"60s\"");
    let mut outliers: Vec<Value> = judge(&client, &setup, 5, OUTLIERS)
        .iter()
        .map(Message::json)
        .collect();
    outliers.sort_by_key(|outlier| outlier["offset"].as_i64());
    let episodes: Vec<(&Value, bool)> = outliers
        .iter()
        .map(|outlier| {
            (
                &outlier["episode"]["id"],
                outlier["episode"]["first"].as_bool().unwrap(),
            )
        })
        .collect();
    let id = |at: usize| &outliers[at]["id"];
    assert_eq!(
        episodes,
        [
            (id(0), true),
            (id(0), false),
            (id(2), true),
            (id(0), false),
            (id(4), true)
        ]
    );
}

#[test]
fn a_redacted_value_occurs_nowhere_in_an_outlier() {
    const CARD: &str = "4111111111111111";
    let broker = Broker::start(&[&topics(1)[..], &[("fields", 1)]].concat());
    let client = Client::new(&broker.address);
    let reading = format!(
        r#"{{"card":"{CARD}","holder":{{"pan":{CARD}}},"pressure":4111.25,"flow":-3,"temperature":-60,"mode":"idle","open":true}}"#
    );
    client.feed(
        INPUT,
        &[
            Record::of(reading.as_str()).key(CARD),
            Record::of(reading.as_str()).key(CARD),
        ],
    );
    for copy in ["full", "fields"] {
        let topic = if copy == "full" { OUTLIERS } else { copy };
        let setup = Setup::new(&broker.address)
            .set("input", "key", "\"card\"")
            .set("input", "group", &format!("{copy:?}"))
            .set("output", "topic", &format!("{topic:?}"))
            .set("output", "record", &format!("{copy:?}"))
            .set("output", "redact", r#"["card", "holder", "pressure"]"#)
            .set("output", "redact_key", r#"{ env = "TEST_REDACT_KEY" }"#)
            .environment("TEST_REDACT_KEY", "a key of sixteen bytes or more");
        let outliers = judge(&client, &setup, 2, topic);
        assert_eq!(outliers.len(), 2);
        for outlier in &outliers {
            let text = String::from_utf8_lossy(&outlier.payload).into_owned();
            for secret in [CARD, "4111.25", "4111"] {
                assert!(!outlier.mentions(secret), "{secret} in {text}");
            }
            let message = outlier.json();
            assert_valid(&message);
            assert!(
                message["key"].as_str().unwrap().starts_with("redacted:"),
                "{text}"
            );
            assert!(
                message["record"]["pressure"]
                    .as_str()
                    .unwrap()
                    .starts_with("redacted:"),
                "{text}"
            );
            assert!(message["record"].get("flow").is_some());
        }
        // Still good for putting together what belongs together.
        assert_eq!(outliers[0].json()["key"], outliers[1].json()["key"]);
        assert_eq!(
            outliers[0].json()["episode"]["id"],
            outliers[1].json()["episode"]["id"]
        );
    }
}
