//! After any crash the outputs are those of an undisturbed run.

use std::collections::BTreeMap;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::harness::records::readings;
use super::harness::scores::{score_bits, verdicts};
use super::harness::setup::{DEAD_LETTERS, GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Message, Outlierd, Record, Setup, until};

const PARTITIONS: i32 = 2;

/// Records that are fed at a time.
const CHUNK: usize = 2000;

/// One record in so many is odd, and one in so many cannot be read: both in either partition, and
/// never one record (three divides both numbers, and not where the broken ones begin).
const ODD: usize = 21;
const BROKEN: usize = 51;

/// Partition and offset, and what was said of it: id and score bits, or id and class.
type Said = BTreeMap<(i64, i64), (String, String)>;

fn chunk(number: u64) -> Vec<String> {
    let mut rows = readings(100 + number, CHUNK, ODD);
    for row in rows.iter_mut().skip(BROKEN / 2).step_by(BROKEN) {
        row.truncate(row.len() / 2);
    }
    rows
}

fn feed(client: &Client, rows: &[String]) {
    let partitions = (0..PARTITIONS).cycle();
    let records = rows
        .iter()
        .zip(partitions)
        .map(|(row, partition)| Record::of(row.as_str()).to(partition));
    client.feed(INPUT, &records.collect::<Vec<_>>());
}

/// What the outlier topic says; a record that stands there twice says the same twice.
fn outliers(messages: &[Message]) -> Said {
    let said = messages.iter().map(|message| {
        let message = message.json();
        let place = (
            message["partition"].as_i64().unwrap(),
            message["offset"].as_i64().unwrap(),
        );
        let id = message["id"].as_str().unwrap().to_owned();
        (place, (id, score_bits(&message).to_string()))
    });
    consistent(said)
}

fn dead_letters(messages: &[Message]) -> Said {
    let said = messages.iter().map(|message| {
        let number = |name: &str| message.header(name).parse().unwrap();
        let place = (number("outlierd.partition"), number("outlierd.offset"));
        let id = message.header("outlierd.id").to_owned();
        (place, (id, message.header("outlierd.class").to_owned()))
    });
    consistent(said)
}

fn consistent(said: impl Iterator<Item = ((i64, i64), (String, String))>) -> Said {
    let mut all = Said::new();
    for (place, what) in said {
        let before = all.insert(place, what.clone());
        assert!(
            before.is_none_or(|before| before == what),
            "{place:?} is told in two ways"
        );
    }
    all
}

#[track_caller]
fn wait_committed(client: &Client) {
    let ends = client.ends(INPUT);
    until("the end of the topic", || {
        (client.committed(GROUP, INPUT) == ends).then_some(())
    });
}

fn total(offsets: &BTreeMap<i32, i64>) -> i64 {
    offsets.values().sum()
}

#[test]
fn killed_at_any_point_it_loses_nothing_and_repeats_itself_exactly() {
    let calm = [("calm.outliers", 1), ("calm.dead-letters", 1)];
    let broker = Broker::start(&[&topics(PARTITIONS)[..], &calm].concat());
    let client = Client::new(&broker.address);
    let setup = Setup::new(&broker.address).set("line", "batch_rows", "32");
    let mut rows = Vec::new();
    let mut kill = 0;
    let mut next_chunk = || {
        let chunk = chunk(kill);
        kill += 1;
        feed(&client, &chunk);
        rows.extend(chunk);
    };

    // In the middle of the stream.
    next_chunk();
    let daemon = Outlierd::start(&setup);
    until("the first outliers", || {
        (client.count(OUTLIERS) > 5).then_some(())
    });
    daemon.kill();
    assert!(
        total(&client.committed(GROUP, INPUT)) < CHUNK as i64,
        "the kill came too late"
    );

    // When everything is delivered and nothing of it can be committed: it comes twice.
    next_chunk();
    broker.refuse(
        RDKafkaApiKey::OffsetCommit,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
    );
    let before = client.committed(GROUP, INPUT);
    let daemon = Outlierd::start_ready(&setup);
    until("the outliers of two chunks", || {
        (client.count(OUTLIERS) >= 2 * CHUNK / ODD).then_some(())
    });
    until("a refused commit", || {
        (daemon.metric("outlierd_commits_total{result=\"failed\"}") > 0).then_some(())
    });
    daemon.kill();
    broker.take_again(RDKafkaApiKey::OffsetCommit);
    assert_eq!(client.committed(GROUP, INPUT), before);

    // When all is done: nothing to lose, and what comes next was never delivered before.
    let daemon = Outlierd::start_ready(&setup);
    wait_committed(&client);
    daemon.kill();

    // When the output refuses: whoever commits before delivery loses these.
    next_chunk();
    let before = client.committed(GROUP, INPUT);
    broker.refuse(
        RDKafkaApiKey::Produce,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
    );
    let daemon = Outlierd::start(&setup);
    daemon.wait_unready("output");
    // Each message of the few batches in flight more than once: time enough for a wrong commit.
    let errors = "outlierd_publish_errors_total{reason=\"refused\"}";
    until("refusals again and again", || {
        (daemon.metric(errors) >= 60).then_some(())
    });
    daemon.kill();
    broker.take_again(RDKafkaApiKey::Produce);
    // The first record of the chunk is odd.
    assert_eq!(client.committed(GROUP, INPUT)[&0], before[&0]);

    next_chunk();
    let mut daemon = Outlierd::start_ready(&setup);
    wait_committed(&client);
    assert!(daemon.terminate().success());

    let undisturbed = Setup::new(&broker.address)
        .set("input", "group", "\"calm\"")
        .set("output", "topic", "\"calm.outliers\"")
        .set("dead_letter", "topic", "\"calm.dead-letters\"");
    let mut daemon = Outlierd::start_ready(&undisturbed);
    daemon.wait_records(rows.len());
    assert!(daemon.terminate().success());

    let (found, calm) = (client.read(OUTLIERS), client.read("calm.outliers"));
    assert_eq!(outliers(&calm).len(), calm.len());
    assert!(
        found.len() > calm.len(),
        "nothing was repeated: no kill hit anything"
    );
    assert_same(&outliers(&found), &outliers(&calm));
    assert_eq!(calm.len(), flagged(&setup, &rows));
    let (found, calm) = (client.read(DEAD_LETTERS), client.read("calm.dead-letters"));
    assert_eq!(
        dead_letters(&calm).len(),
        rows.len() - readable(&rows).len()
    );
    assert_same(&dead_letters(&found), &dead_letters(&calm));
}

#[track_caller]
fn assert_same(found: &Said, wanted: &Said) {
    let lost: Vec<_> = wanted
        .iter()
        .filter(|(place, what)| found.get(place) != Some(what))
        .collect();
    assert!(lost.is_empty(), "lost or changed: {lost:?}");
    let made_up: Vec<_> = found
        .keys()
        .filter(|place| !wanted.contains_key(place))
        .collect();
    assert!(made_up.is_empty(), "made up: {made_up:?}");
}

fn readable(rows: &[String]) -> Vec<String> {
    let whole = rows.iter().filter(|row| row.ends_with('}'));
    whole.cloned().collect()
}

/// How many of the readable rows `outlierd score` flags.
fn flagged(setup: &Setup, rows: &[String]) -> usize {
    let verdicts = verdicts(setup, &readable(rows));
    verdicts.iter().filter(|verdict| verdict.flagged).count()
}
