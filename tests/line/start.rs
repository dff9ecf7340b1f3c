//! What a start needs, and where it begins to read.

use std::path::Path;

use super::harness::records::{FIELDS, readings};
use super::harness::scores::model;
use super::harness::setup::{GROUP, INPUT, topics};
use super::harness::{Broker, Client, Outlierd, Record, Setup};

fn feed(client: &Client, partition: i32, count: usize) {
    let rows = readings(61, count, 10);
    let records: Vec<Record> = rows
        .iter()
        .map(|row| Record::of(row.as_str()).to(partition))
        .collect();
    client.feed(INPUT, &records);
}

#[test]
fn a_missing_topic_is_named_with_the_way_to_make_it() {
    let broker = Broker::start(&topics(1)[1..]);
    let ended = Setup::new(&broker.address).run_to_its_end();
    assert_eq!(ended.status.code(), Some(1));
    let remedy = format!(
        "topic readings does not exist: make it with `kafka-topics.sh --create --topic readings \
         --bootstrap-server {}`",
        broker.address
    );
    assert!(ended.stderr.contains(&remedy), "{}", ended.stderr);
}

#[test]
fn a_missing_output_topic_is_named_too() {
    let broker = Broker::start(&topics(1)[..1]);
    let ended = Setup::new(&broker.address).run_to_its_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended
            .stderr
            .contains("topic readings.outliers does not exist"),
        "{}",
        ended.stderr
    );
}

#[test]
fn with_a_bad_model_nothing_is_consumed() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    feed(&client, 0, 50);
    let good = std::fs::read(model()).unwrap();
    let header = usize::try_from(u64::from_le_bytes(good[..8].try_into().unwrap())).unwrap();
    let with_length = |length: u64| [&length.to_le_bytes()[..], &good[8..]].concat();
    let mut flipped = good.clone();
    flipped[8 + header + 5] ^= 1;
    let cases: [(&str, Option<Vec<u8>>, &str); 8] = [
        ("missing", None, "there is no model at"),
        ("empty", Some(vec![]), "is corrupt: it has only 0 bytes"),
        (
            "another program's",
            Some(b"PK\x03\x04 hello, this is some archive".to_vec()),
            "is corrupt: its header claims",
        ),
        (
            "cut within its header",
            Some(good[..header / 2].to_vec()),
            "it was cut short",
        ),
        (
            "cut within its tensors",
            Some(good[..good.len() - 100].to_vec()),
            "is corrupt",
        ),
        (
            "with an absurd header",
            Some(with_length(u64::MAX)),
            "its header claims 18446744073709551615 bytes",
        ),
        (
            "with a large header",
            Some(with_length(1 << 40)),
            "its header claims 1099511627776 bytes",
        ),
        ("with a flipped bit", Some(flipped), "do not have the hash"),
    ];
    for (what, bytes, said) in cases {
        let mut setup = Setup::new(&broker.address);
        let path = setup.path("model.safetensors");
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        setup = setup.set("model", "path", "\"model.safetensors\"");
        assert_refused(&client, &setup, what, said, &path);
    }
    let more = format!("{FIELDS}[[fields]]\npath = \"vibration\"\n");
    let setup = Setup::new(&broker.address).fields(&more);
    assert_refused(
        &client,
        &setup,
        "of other fields",
        "not in the model: vibration (numeric)",
        Path::new(""),
    );
}

#[track_caller]
fn assert_refused(client: &Client, setup: &Setup, what: &str, said: &str, path: &Path) {
    let ended = setup.run_to_its_end();
    assert_eq!(ended.status.code(), Some(1), "{what}");
    assert!(ended.stderr.contains(said), "{what}: {}", ended.stderr);
    assert!(
        ended.stderr.contains(path.to_str().unwrap()),
        "{what}: {}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("train"),
        "{what}: no remedy in {}",
        ended.stderr
    );
    assert!(client.committed(GROUP, INPUT).is_empty(), "{what}");
}

#[test]
fn a_new_group_starts_where_it_is_told() {
    for (start, expected) in [("earliest", 100), ("latest", 30)] {
        let broker = Broker::start(&topics(2));
        let client = Client::new(&broker.address);
        feed(&client, 0, 70);
        let setup = Setup::new(&broker.address).set("input", "start", &format!("{start:?}"));
        let mut daemon = Outlierd::start_ready(&setup);
        feed(&client, 1, 30);
        daemon.wait_records(expected);
        assert!(daemon.terminate().success());
        assert_eq!(
            client.committed(GROUP, INPUT),
            client.ends(INPUT),
            "{start}"
        );
    }
}

#[test]
fn what_comes_while_it_is_down_is_read_even_where_nothing_came_before() {
    let broker = Broker::start(&topics(2));
    let client = Client::new(&broker.address);
    feed(&client, 0, 40);
    let setup = Setup::new(&broker.address).set("input", "start", "\"latest\"");
    let mut daemon = Outlierd::start_ready(&setup);
    feed(&client, 0, 10);
    daemon.wait_records(10);
    assert!(daemon.terminate().success());

    feed(&client, 0, 5);
    feed(&client, 1, 20);
    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(25);
    assert!(daemon.terminate().success());
    assert_eq!(client.committed(GROUP, INPUT), client.ends(INPUT));
}
