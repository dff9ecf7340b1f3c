//! A budget a day: about so many outliers, and after any crash the same ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use super::harness::records::ordinary;
use super::harness::setup::{GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Message, Outlierd, Record, Setup, outlierd, until};

const DAY_MS: i64 = 86_400_000;
const BEGIN_MS: i64 = 1_767_225_600_000;

const PARTITIONS: i32 = 2;

/// Records a day in training and on the topic, and alerts a day: the rate of training would make
/// four times as many.
const LEARNT_A_DAY: i64 = 1000;
const A_DAY: i64 = 4000;
const ALERTS: usize = 40;

/// `count` ordinary readings from record `first` on, each with its event time.
fn timed(seed: u64, first: i64, count: i64, a_day: i64) -> Vec<String> {
    let readings = ordinary(seed, count as usize);
    let time = |number: i64| BEGIN_MS + (first + number) * DAY_MS / a_day;
    (0..)
        .zip(readings)
        .map(|(number, reading)| format!("{{\"at\":{},{}", time(number), &reading[1..]))
        .collect()
}

fn with_daily_budget(address: &str, model: &Path) -> Setup {
    Setup::new(address)
        .set("input", "time", "\"at\"")
        .set("detect", "budget", &format!("\"{ALERTS}/day\""))
        .set(
            "model",
            "path",
            &format!("{:?}", model.display().to_string()),
        )
}

/// A model that knows the rate of its rows.
fn model() -> (Setup, PathBuf) {
    let setup = Setup::new("127.0.0.1:1");
    let path = setup.path("daily.safetensors");
    let setup = setup.set("input", "time", "\"at\"").set(
        "model",
        "path",
        &format!("{:?}", path.display().to_string()),
    );
    let rows = setup.write_lines("rows.ndjson", &timed(1, 0, 2000, LEARNT_A_DAY));
    let config = setup.write();
    let (config, rows) = (config.to_str().unwrap(), rows.to_str().unwrap());
    let ended = outlierd(&["train", "-c", config, "--from-file", rows]);
    assert!(ended.status.success(), "{}", ended.stderr);
    (setup, path)
}

/// Feeds one day, the records in turn on the partitions.
fn feed_day(client: &Client, day: i64) {
    let rows = timed(70 + day as u64, day * A_DAY, A_DAY, A_DAY);
    let records = rows
        .iter()
        .zip((0..PARTITIONS).cycle())
        .map(|(row, partition)| Record::of(row.as_str()).to(partition));
    client.feed(INPUT, &records.collect::<Vec<_>>());
}

/// By partition and offset: id, score and the threshold that was in force.
fn flagged(messages: &[Message]) -> BTreeMap<(i64, i64), String> {
    let mut flagged = BTreeMap::new();
    for message in messages {
        let message = message.json();
        let number = |name: &str| message[name].as_i64().unwrap();
        let said = format!(
            "{} {} {}",
            message["id"], message["score"], message["threshold_p"]
        );
        let before = flagged.insert((number("partition"), number("offset")), said.clone());
        assert!(
            before.is_none_or(|before| before == said),
            "told in two ways"
        );
    }
    flagged
}

#[track_caller]
fn wait_committed(client: &Client) {
    let ends = client.ends(INPUT);
    until("the end of the topic", || {
        (client.committed(GROUP, INPUT) == ends).then_some(())
    });
}

/// What is committed beside the offset of partition 0.
fn note(client: &Client) -> Value {
    let mut asked = TopicPartitionList::new();
    asked
        .add_partition_offset(INPUT, 0, Offset::Invalid)
        .unwrap();
    let asking = client.watcher(GROUP);
    let patience = std::time::Duration::from_secs(30);
    let answered = asking.committed_offsets(asked, patience).unwrap();
    serde_json::from_str(answered.elements()[0].metadata()).unwrap()
}

#[test]
fn a_note_that_cannot_be_read_is_said_and_the_training_rate_serves() {
    let broker = Broker::start(&topics(PARTITIONS));
    let client = Client::new(&broker.address);
    let (_folder, model) = model();
    feed_day(&client, 0);
    let mut broken = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let mut element = broken.add_partition(INPUT, partition);
        element.set_offset(Offset::Offset(1000)).unwrap();
        element.set_metadata(r#"{"v":2,"partitions":2,"pace":{"hour":"noon"}}"#);
    }
    let of_the_group = client.watcher(GROUP);
    of_the_group.commit(&broken, CommitMode::Sync).unwrap();
    let setup = with_daily_budget(&broker.address, &model);
    let mut daemon = Outlierd::start_ready(&setup);
    wait_committed(&client);
    assert_eq!(daemon.records(), A_DAY as u64 - 2000);
    assert!(daemon.terminate().success());
    let said = daemon.stderr();
    assert_eq!(said.matches("the pace in the note").count(), 2, "{said}");
    let first = client.read(OUTLIERS);
    let first = first
        .iter()
        .map(|message| message.json()["threshold_p"].as_f64().unwrap());
    let learnt = ALERTS as f64 / (LEARNT_A_DAY as f64 * 2000.0 / 1999.0);
    assert!((first.fold(0.0, f64::max) - learnt).abs() < 1e-9);
    assert_eq!(note(&client)["v"], 2);
}

#[test]
fn a_budget_a_day_follows_the_rate_and_no_crash_changes_a_flag() {
    let broker = Broker::start(&[&topics(PARTITIONS)[..], &[("calm", 1)]].concat());
    let client = Client::new(&broker.address);
    let (_folder, model) = model();
    let setup = with_daily_budget(&broker.address, &model).set("line", "batch_rows", "32");

    // Killed with everything committed: the next run goes on from the note, in the midst of an hour.
    feed_day(&client, 0);
    let daemon = Outlierd::start_ready(&setup);
    wait_committed(&client);
    let status = daemon.status();
    let threshold = &status["threshold"];
    assert_eq!(threshold["configured"], format!("{ALERTS}/day"));
    let p = threshold["p"].as_f64().unwrap();
    // A day less its first and its last hour is known by now, at four times the rate of training.
    assert!((0.01..0.0125).contains(&p), "{status:#}");
    assert!(threshold["smallest_p"].as_f64().unwrap() <= p);
    daemon.kill();
    let note = note(&client);
    assert_eq!(note["v"], 2);
    assert_eq!(note["pace"]["closed"].as_array().unwrap().len(), 22);

    // Killed after a day of which nothing could be committed: all of it comes twice.
    feed_day(&client, 1);
    broker.refuse(
        RDKafkaApiKey::OffsetCommit,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    );
    let before = client.count(OUTLIERS);
    let daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(A_DAY as usize);
    daemon.kill();
    let repeated = client.count(OUTLIERS) - before;
    assert!(repeated > 0, "there is nothing to say twice");
    broker.take_again(RDKafkaApiKey::OffsetCommit);

    // A second instance takes a partition over while records come.
    feed_day(&client, 2);
    let mut first = Outlierd::start_ready(&setup);
    let mut second = Outlierd::start(&setup);
    feed_day(&client, 3);
    until("a partition each", || {
        let has_one = |daemon: &Outlierd| daemon.metric("outlierd_assigned_partitions") == 1;
        (has_one(&first) && has_one(&second)).then_some(())
    });
    feed_day(&client, 4);
    wait_committed(&client);
    assert!(first.terminate().success());
    assert!(second.terminate().success());

    let undisturbed = with_daily_budget(&broker.address, &model)
        .set("input", "group", "\"calm\"")
        .set("output", "topic", "\"calm\"");
    let mut daemon = Outlierd::start_ready(&undisturbed);
    daemon.wait_records(5 * A_DAY as usize);
    assert!(daemon.terminate().success());

    let (found, calm) = (client.read(OUTLIERS), client.read("calm"));
    assert!(found.len() >= calm.len() + repeated, "no kill hit anything");
    assert_eq!(flagged(&found), flagged(&calm));
    assert_eq!(flagged(&calm).len(), calm.len());

    // After the first day, which begins with the rate of training.
    let later = |message: &&Message| message.json()["offset"].as_i64().unwrap() >= A_DAY / 2;
    let alerts = calm.iter().filter(later).count();
    assert!(
        (4 * ALERTS / 2..=4 * ALERTS * 2).contains(&alerts),
        "{alerts} alerts in four days"
    );
}
