//! What probes and scrapers are told.

use std::collections::BTreeSet;
use std::net::TcpListener;

use super::harness::records::readings;
use super::harness::setup::{INPUT, topics};
use super::harness::{Broker, Client, Outlierd, Record, Setup, until};

#[test]
fn without_a_broker_it_is_alive_and_not_ready_and_tries_until_it_is_told_to_stop() {
    // A port that was free a moment ago, and that nobody listens on.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut daemon = Outlierd::start(&Setup::new(&nobody.to_string()));
    let (status, why) = daemon.get("/readyz");
    assert_eq!(status, 503);
    assert!(
        why.contains("starting: ") && why.contains("broker: "),
        "{why}"
    );
    assert_eq!(daemon.get("/livez").0, 200);
    assert_eq!(daemon.metric("outlierd_ready"), 0);
    until("another attempt", || {
        daemon.stderr().contains("trying again").then_some(())
    });
    let (_, why) = daemon.get("/readyz");
    assert!(why.contains("check kafka.brokers"), "{why}");
    assert!(daemon.is_running());
    let status = daemon.terminate();
    assert!(status.success(), "{status} {}", daemon.stderr());
}

#[test]
fn with_its_partitions_it_is_ready_and_says_what_it_does() {
    let broker = Broker::start(&topics(3));
    let mut daemon = Outlierd::start_ready(&Setup::new(&broker.address));
    let (status, told) = daemon.get("/readyz");
    let version = daemon.status()["model"]["version"].clone();
    let model = format!("ready\nmodel: {} serves\n", version.as_str().unwrap());
    assert_eq!((status, told), (200, model));
    assert_eq!(daemon.get("/livez"), (200, "alive\n".into()));
    assert_eq!(daemon.metric("outlierd_ready"), 1);
    assert_eq!(daemon.metric("outlierd_assigned_partitions"), 3);
    let status = daemon.status();
    assert_eq!(status["ready"], true);
    assert_eq!(status["assigned_partitions"], 3);
    assert_eq!(status["input"]["topic"], INPUT);
    assert!(daemon.terminate().success());
}

#[test]
fn every_metric_that_is_served_is_documented() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let records: Vec<Record> = readings(51, 100, 10)
        .iter()
        .map(|row| Record::of(row.as_str()))
        .collect();
    client.feed(INPUT, &records);
    let daemon = Outlierd::start_ready(&Setup::new(&broker.address));
    daemon.wait_records(100);
    let page = until("the lag, which is measured once a second", || {
        let page = daemon.get("/metrics").1;
        page.contains("outlierd_consumer_lag{").then_some(page)
    });
    let document = include_str!("../../docs/metrics.md");
    let served: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert!(served.len() > 25, "{served:?}");
    for name in &served {
        assert!(
            document.contains(&format!("| `{name}` |")),
            "{name} is not in docs/metrics.md"
        );
    }
    let declared = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `outlierd_")?.split('`').next());
    for name in declared {
        assert!(
            served.contains(&*format!("outlierd_{name}")),
            "outlierd_{name} is not served"
        );
    }
}
