//! What stands on the dead-letter topic.

use std::collections::BTreeSet;

use super::harness::records::Pump;
use super::harness::setup::{DEAD_LETTERS, INPUT, topics};
use super::harness::{Broker, Client, Message, Outlierd, Record, Setup};

/// Of no other part of a message.
const SECRET: &str = "4111-1111-hush";

const TIME_MS: i64 = 1_767_225_600_000;
const TIME: &str = "2026-01-01T00:00:00Z";

/// Two records that cannot be scored, with bytes that no text format would carry, and a good one.
fn letters() -> Vec<Record> {
    let mut no_text = format!(r#"{{"pressure":1,"mode":"{SECRET}"#).into_bytes();
    no_text.extend_from_slice(&[0, 0xFF, 0xFE, b'\n', b'"', b'}']);
    let mut binary_key =
        Record::of(format!(r#"{{"mode":"{SECRET}","pressure":"{SECRET}"}}"#)).to(1);
    binary_key.key = Some(vec![0xC3, 0x28, 0]);
    let good = Record::of(format!("{{{}}}", Pump::new(3).ordinary()));
    vec![
        Record::of(no_text).key("pump-1").at(TIME_MS),
        good,
        binary_key.at(TIME_MS),
    ]
}

fn bury(setup: impl FnOnce(Setup) -> Setup) -> Vec<Message> {
    let broker = Broker::start(&topics(2));
    let client = Client::new(&broker.address);
    client.feed(INPUT, &letters());
    let mut daemon = Outlierd::start_ready(&setup(Setup::new(&broker.address)));
    daemon.wait_records(3);
    assert!(daemon.terminate().success());
    let mut messages = client.read(DEAD_LETTERS);
    messages.sort_by_key(|message| message.header("outlierd.partition").to_owned());
    assert_eq!(messages.len(), 2);
    messages
}

#[test]
fn a_dead_letter_holds_the_raw_bytes_the_key_and_where_from_and_why() {
    let messages = bury(|setup| setup);
    let sent = letters();
    for (message, (record, class)) in messages
        .iter()
        .zip([(&sent[0], "utf8"), (&sent[2], "type_mismatch")])
    {
        assert_eq!(Some(&message.payload), record.payload.as_ref());
        assert_eq!(message.key, record.key);
        let names: BTreeSet<&str> = message.headers.keys().map(String::as_str).collect();
        let wanted = [
            "class",
            "error",
            "id",
            "offset",
            "partition",
            "timestamp",
            "topic",
        ];
        assert_eq!(
            names,
            wanted
                .map(|name| format!("outlierd.{name}"))
                .iter()
                .map(String::as_str)
                .collect()
        );
        assert_eq!(message.header("outlierd.class"), class);
        assert_eq!(message.header("outlierd.topic"), INPUT);
        assert_eq!(
            message.header("outlierd.partition"),
            record.partition.to_string()
        );
        assert_eq!(message.header("outlierd.offset"), "0");
        assert_eq!(message.header("outlierd.timestamp"), TIME);
        assert!(message.header("outlierd.error").starts_with(class));
        assert!(!message.header("outlierd.error").contains(SECRET));
    }
    assert_ne!(
        messages[0].header("outlierd.id"),
        messages[1].header("outlierd.id")
    );
}

#[test]
fn without_its_payload_a_dead_letter_holds_position_and_class_and_no_byte_of_the_record() {
    let messages = bury(|setup| setup.set("dead_letter", "payload", "\"none\""));
    for (message, class) in messages.iter().zip(["utf8", "type_mismatch"]) {
        assert!(!message.mentions(SECRET));
        let letter = message.json();
        assert_eq!(letter["class"], class);
        assert_eq!(letter["topic"], INPUT);
        assert_eq!(
            letter["partition"].to_string(),
            message.header("outlierd.partition")
        );
        assert_eq!(letter["offset"], 0);
        assert_eq!(letter["timestamp"], TIME);
        let names: BTreeSet<&String> = letter.as_object().unwrap().keys().collect();
        let wanted = [
            "class",
            "error",
            "offset",
            "partition",
            "reference",
            "schema",
            "timestamp",
            "topic",
        ];
        assert_eq!(names, wanted.map(String::from).iter().collect());
    }
}
