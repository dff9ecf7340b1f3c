//! Records that are gone before they were read, and offsets that no longer mean anything: said, and never jumped over.

use super::harness::records::readings;
use super::harness::setup::{GROUP, INPUT, topics};
use super::harness::{Broker, Client, Outlierd, Record, Setup, until};

const PARTITIONS: i32 = 2;
const EACH: i64 = 40;

/// A cluster whose partitions hold so many records each.
fn fed() -> (Broker, Client) {
    let broker = Broker::start(&topics(PARTITIONS));
    let client = Client::new(&broker.address);
    let rows = readings(3, EACH as usize * PARTITIONS as usize, 1000);
    let records: Vec<Record> = rows
        .iter()
        .enumerate()
        .map(|(row, text)| Record::of(text.as_str()).to(row as i32 % PARTITIONS))
        .collect();
    client.feed(INPUT, &records);
    (broker, client)
}

/// Partition 0 halts, and says why; partition 1 is read. Nothing of partition 0 is committed.
#[track_caller]
fn assert_first_halts(setup: &Setup, client: &Client, why: &str) {
    let before = client.committed(GROUP, INPUT).get(&0).copied();
    let mut daemon = Outlierd::start(setup);
    let unready = daemon.wait_unready("halted partitions");
    assert!(
        unready.contains("because records were lost: 0"),
        "{unready}"
    );
    until("the other partition", || {
        (client.committed(GROUP, INPUT).get(&1) == Some(&EACH)).then_some(())
    });
    assert_eq!(daemon.metric("outlierd_halted_partitions"), 1);
    assert_eq!(daemon.records(), EACH as u64);
    assert!(daemon.terminate().success());
    let said = daemon.stderr();
    for text in [why, "on_data_loss", "kafka-consumer-groups.sh"] {
        assert!(said.contains(text), "{text} is missing: {said}");
    }
    let after = client.committed(GROUP, INPUT).get(&0).copied();
    assert_eq!(after, before, "a halted partition's offset moved");
}

/// With `continue` the daemon goes on at `at`, and reads what comes.
#[track_caller]
fn assert_continues(setup: Setup, client: &Client, at: i64) {
    let setup = setup.set("input", "on_data_loss", "\"continue\"");
    let mut daemon = Outlierd::start_ready(&setup);
    let rows = readings(4, 5, 1000);
    let records: Vec<Record> = rows.iter().map(|row| Record::of(row.as_str())).collect();
    client.feed(INPUT, &records);
    daemon.wait_records((EACH - at) as usize + 5);
    assert_eq!(daemon.metric("outlierd_halted_partitions"), 0);
    assert!(daemon.terminate().success());
    assert_eq!(client.committed(GROUP, INPUT), client.ends(INPUT));
}

#[test]
fn a_log_that_ends_before_the_committed_offset_halts_its_partition() {
    let (broker, client) = fed();
    client.commit(GROUP, INPUT, &[(0, 1000, ""), (1, 0, "")]);
    let setup = Setup::new(&broker.address);
    assert_first_halts(
        &setup,
        &client,
        "the log was cut short: offset 1000 is next, and it ends at 40",
    );
    assert_continues(setup, &client, EACH);
}

#[test]
fn an_offset_that_vanished_halts_its_partition_where_the_others_remember_it() {
    let (broker, client) = fed();
    let note = r#"{"v":1,"partitions":2,"all":true}"#;
    client.commit(GROUP, INPUT, &[(1, 10, note)]);
    let setup = Setup::new(&broker.address).set("input", "start", "\"latest\"");
    let mut daemon = Outlierd::start(&setup);
    let unready = daemon.wait_unready("halted partitions");
    assert!(unready.contains("lost: 0"), "{unready}");
    daemon.wait_records(EACH as usize - 10);
    let said = daemon.stderr();
    assert!(said.contains("committed offset vanished"), "{said}");
    assert!(daemon.terminate().success());
    assert!(!client.committed(GROUP, INPUT).contains_key(&0));
    // From its first record, although a new group would start at its end: nothing may be missed.
    assert_continues(setup, &client, 0);
}

#[test]
fn an_offset_that_never_was_is_no_loss() {
    let (broker, client) = fed();
    let note = r#"{"v":1,"partitions":2}"#;
    client.commit(GROUP, INPUT, &[(1, 10, note)]);
    let mut daemon = Outlierd::start_ready(&Setup::new(&broker.address));
    daemon.wait_records(2 * EACH as usize - 10);
    assert!(daemon.terminate().success());
    // Both have an offset by now, so that a missing one will be noticed.
    let mut daemon = Outlierd::start_ready(&Setup::new(&broker.address));
    client.feed(INPUT, &[Record::of("{}"), Record::of("{}").to(1)]);
    daemon.wait_records(2);
    let status = daemon.status();
    let version = status["model"]["version"].as_str().unwrap();
    assert!(daemon.terminate().success());
    // Each partition has been judged by one model from where it was found.
    let note = |since| {
        let model = format!(r#""model":{{"version":"{version}","since":{since}}}"#);
        format!(r#"{{"v":1,"partitions":2,"all":true,{model}}}"#)
    };
    assert_eq!(client.notes(GROUP, INPUT), [note(0), note(10)]);
}
