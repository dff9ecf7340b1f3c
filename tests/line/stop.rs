//! A stop finishes what is held, or says that it did not.

use std::collections::BTreeSet;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rustix::process::Signal;

use super::harness::records::readings;
use super::harness::scores::verdicts;
use super::harness::setup::{GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Message, Outlierd, Record, Setup, until};

const REFUSED: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;

fn feed(client: &Client, rows: &[String]) {
    let records: Vec<Record> = rows.iter().map(|row| Record::of(row.as_str())).collect();
    client.feed(INPUT, &records);
}

#[test]
fn told_to_stop_in_mid_batch_it_delivers_commits_and_exits_with_0() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let setup = Setup::new(&broker.address)
        .set("line", "batch_rows", "1000")
        .set("line", "batch_age", "\"10s\"");
    let rows = readings(21, 1500, 25);
    feed(&client, &rows);
    let mut daemon = Outlierd::start_ready(&setup);
    // The first batch; the rest lies in the one that waits to be full.
    until("the commit of the first batch", || {
        (client.committed(GROUP, INPUT).get(&0) == Some(&1000)).then_some(())
    });
    let status = daemon.terminate();
    assert!(status.success(), "{status} {}", daemon.stderr());
    assert!(daemon.stderr().contains("everything held was delivered"));

    let committed = usize::try_from(client.committed(GROUP, INPUT)[&0]).unwrap();
    assert!(committed > 1000, "the open batch was thrown away");
    let verdicts = verdicts(&setup, &rows[..committed]);
    let expected = (0..committed)
        .filter(|&row| verdicts[row].flagged)
        .collect();
    let offset =
        |message: &Message| usize::try_from(message.json()["offset"].as_u64().unwrap()).unwrap();
    let outliers: BTreeSet<usize> = client.read(OUTLIERS).iter().map(offset).collect();
    assert_eq!(outliers, expected);
}

/// A daemon that holds outliers which its output refuses.
fn stuck(setup: impl FnOnce(Setup) -> Setup) -> (Broker, Client, Outlierd) {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    feed(&client, &readings(22, 50, 10));
    broker.refuse(RDKafkaApiKey::Produce, REFUSED);
    let daemon = Outlierd::start(&setup(Setup::new(&broker.address)));
    daemon.wait_unready("output");
    (broker, client, daemon)
}

#[test]
fn a_second_signal_cuts_a_stop_short() {
    let (_broker, client, mut daemon) = stuck(|setup| setup.set("line", "grace", "\"10m\""));
    daemon.signal(Signal::TERM);
    until("the stop", || {
        daemon
            .stderr()
            .contains("stopping: finishing")
            .then_some(())
    });
    assert!(daemon.get("/readyz").1.contains("stopping: told to stop"));
    assert_eq!(daemon.get("/livez").0, 200);
    assert!(daemon.is_running());
    let status = daemon.terminate();
    assert_eq!(status.code(), Some(1));
    assert!(
        daemon.stderr().contains("told to stop twice"),
        "{}",
        daemon.stderr()
    );
    assert_eq!(client.committed(GROUP, INPUT)[&0], 0);
}

#[test]
fn a_stop_that_takes_longer_than_its_grace_exits_with_1_and_commits_nothing_undelivered() {
    let (broker, client, mut daemon) = stuck(|setup| setup.set("line", "grace", "\"1s\""));
    let status = daemon.terminate();
    assert_eq!(status.code(), Some(1));
    assert!(
        daemon.stderr().contains("line.grace"),
        "{}",
        daemon.stderr()
    );
    assert_eq!(client.committed(GROUP, INPUT)[&0], 0);

    broker.take_again(RDKafkaApiKey::Produce);
    let mut daemon = Outlierd::start_ready(&Setup::new(&broker.address));
    daemon.wait_records(50);
    assert!(daemon.terminate().success());
    assert!(client.count(OUTLIERS) >= 5);
}
