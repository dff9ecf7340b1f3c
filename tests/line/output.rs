//! An output that refuses, lags or is too small: nothing is skipped.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use sha2::{Digest, Sha256};

use super::harness::records::{Pump, readings};
use super::harness::scores::verdicts;
use super::harness::setup::{DEAD_LETTERS, GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Message, Outlierd, Record, Setup, until};
use super::outliers::assert_valid;

const ROWS: usize = 600;

/// A topic whose first record is odd, so that no offset of it may be committed undelivered.
fn fed() -> (Broker, Client, Vec<String>) {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let rows = readings(31, ROWS, 15);
    let records: Vec<Record> = rows.iter().map(|row| Record::of(row.as_str())).collect();
    client.feed(INPUT, &records);
    (broker, client, rows)
}

/// Offsets of the outliers, in the order in which they stand there.
fn offsets(outliers: &[Message]) -> Vec<usize> {
    let offset =
        |message: &Message| usize::try_from(message.json()["offset"].as_u64().unwrap()).unwrap();
    outliers.iter().map(offset).collect()
}

/// Waits until everything is done, and holds it against what had to come.
#[track_caller]
fn assert_nothing_skipped(client: &Client, setup: &Setup, daemon: &mut Outlierd, rows: &[String]) {
    daemon.wait_records(ROWS);
    daemon.wait_ready();
    assert!(daemon.terminate().success());
    let verdicts = verdicts(setup, rows);
    let expected: Vec<usize> = (0..ROWS).filter(|&row| verdicts[row].flagged).collect();
    let mut found = offsets(&client.read(OUTLIERS));
    found.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(client.committed(GROUP, INPUT), client.ends(INPUT));
}

#[test]
fn while_the_output_refuses_no_offset_moves_and_it_resumes_by_itself() {
    let (broker, client, rows) = fed();
    broker.refuse(
        RDKafkaApiKey::Produce,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    );
    let setup = Setup::new(&broker.address).set("line", "batch_rows", "50");
    let mut daemon = Outlierd::start(&setup);
    let why = daemon.wait_unready("output");
    assert!(why.contains("refused"), "{why}");
    let errors = "outlierd_publish_errors_total{reason=\"refused\"}";
    let refused = daemon.metric(errors);
    assert!(refused > 0);
    // It tries again, and again.
    until("more refusals", || {
        (daemon.metric(errors) > 3 * refused).then_some(())
    });
    assert_eq!(client.committed(GROUP, INPUT)[&0], 0);
    assert_eq!(client.count(OUTLIERS), 0);
    assert_eq!(daemon.records(), 0);
    assert_eq!(daemon.get("/livez").0, 200);

    broker.take_again(RDKafkaApiKey::Produce);
    assert_nothing_skipped(&client, &setup, &mut daemon, &rows);
}

#[test]
fn an_output_that_acknowledges_nothing_is_said_and_waited_for() {
    let (broker, client, rows) = fed();
    broker.refuse(
        RDKafkaApiKey::Produce,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    );
    let setup = Setup::new(&broker.address);
    let mut daemon = Outlierd::start(&setup);
    let why = daemon.wait_unready("output");
    assert!(why.contains("not acknowledged"), "{why}");
    assert_eq!(client.committed(GROUP, INPUT)[&0], 0);
    assert_eq!(client.count(OUTLIERS), 0);

    broker.take_again(RDKafkaApiKey::Produce);
    assert_nothing_skipped(&client, &setup, &mut daemon, &rows);
}

#[test]
fn a_lost_broker_makes_it_unready_and_it_goes_on_when_the_broker_is_back() {
    let (broker, client, rows) = fed();
    let setup = Setup::new(&broker.address);
    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(ROWS);
    broker.down();
    daemon.wait_unready("broker");
    assert_eq!(daemon.get("/livez").0, 200);
    assert_eq!(daemon.metric("outlierd_broker_up"), 0);

    broker.up();
    daemon.wait_ready();
    let more = readings(32, ROWS, 15);
    let records: Vec<Record> = more.iter().map(|row| Record::of(row.as_str())).collect();
    client.feed(INPUT, &records);
    until("the rest", || {
        (daemon.records() >= 2 * ROWS as u64).then_some(())
    });
    // A stop while the group still comes back has its last commit refused: the membership is renewed only by polling.
    until("the offsets", || {
        (client.committed(GROUP, INPUT) == client.ends(INPUT)).then_some(())
    });
    assert!(daemon.terminate().success());
    let verdicts = verdicts(&setup, &[rows, more].concat());
    let expected: Vec<usize> = (0..2 * ROWS).filter(|&row| verdicts[row].flagged).collect();
    let mut found = offsets(&client.read(OUTLIERS));
    found.sort_unstable();
    found.dedup();
    assert_eq!(found, expected);
    assert_eq!(client.committed(GROUP, INPUT), client.ends(INPUT));
}

/// An outlier and a dead letter that are longer than the topics take, and one of each that fits.
fn large() -> [String; 4] {
    let mut pump = Pump::new(33);
    let padding = "x".repeat(8000);
    [
        format!(r#"{{{},"padding":"{padding}"}}"#, pump.odd()),
        format!(r#"{{"padding":"{padding}"#),
        format!("{{{}}}", pump.odd()),
        "{".into(),
    ]
}

#[test]
fn what_is_too_large_for_its_topic_is_published_by_reference() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let large = large();
    client.feed(
        INPUT,
        &large.clone().map(|record| Record::of(record).key("pump")),
    );
    let setup =
        Setup::new(&broker.address).set("kafka.properties", "message.max.bytes", "\"4000\"");
    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(4);
    assert_eq!(
        daemon.metric("outlierd_publish_errors_total{reason=\"too_large\"}"),
        2
    );
    assert_eq!(daemon.metric("outlierd_published_by_reference_total"), 2);
    daemon.wait_ready();
    assert!(daemon.terminate().success());

    let mut outliers: Vec<_> = client.read(OUTLIERS).iter().map(Message::json).collect();
    outliers.sort_by_key(|outlier| outlier["offset"].as_i64());
    outliers.iter().for_each(assert_valid);
    assert_eq!(outliers.len(), 2);
    assert_eq!(outliers[0]["offset"], 0);
    assert!(outliers[0].get("record").is_none());
    assert_refers(&outliers[0]["reference"], &large[0]);
    assert!(outliers[0]["severity"].as_f64().unwrap() > 2.0);
    assert!(outliers[1].get("record").is_some());

    let mut letters = client.read(DEAD_LETTERS);
    letters.sort_by_key(|letter| letter.header("outlierd.offset").to_owned());
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0].header("outlierd.reference"), "true");
    assert_eq!(letters[0].header("outlierd.class"), "json_syntax");
    assert_eq!(letters[0].key.as_deref(), Some(&b"pump"[..]));
    assert_refers(&letters[0].json()["reference"], &large[1]);
    assert_eq!(letters[1].payload, b"{");
    assert!(!letters[1].headers.contains_key("outlierd.reference"));
    assert_eq!(client.committed(GROUP, INPUT), client.ends(INPUT));
}

fn assert_refers(reference: &serde_json::Value, record: &str) {
    assert_eq!(reference["bytes"], record.len());
    let hash: String = Sha256::digest(record)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(reference["sha256"], hash);
}

#[test]
fn what_the_broker_itself_finds_too_large_is_published_by_reference() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let [_, _, odd, _] = large();
    client.feed(INPUT, &[Record::of(odd.as_str())]);
    broker.refuse_once(
        RDKafkaApiKey::Produce,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
    );
    let mut daemon = Outlierd::start_ready(&Setup::new(&broker.address));
    daemon.wait_records(1);
    assert_eq!(
        daemon.metric("outlierd_publish_errors_total{reason=\"too_large\"}"),
        1
    );
    assert_eq!(daemon.metric("outlierd_published_by_reference_total"), 1);
    assert!(daemon.terminate().success());
    let outliers = client.read(OUTLIERS);
    assert_eq!(outliers.len(), 1);
    assert_refers(&outliers[0].json()["reference"], &odd);
}
