//! What the daemon scores on: what it says of it, and what it does where that is not there.
#![allow(clippy::print_stderr)]

use super::harness::records::readings;
use super::harness::scores::verdicts;
use super::harness::setup::{GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Ended, Outlierd, Record, Setup, outlierd};

const RECORDS: usize = 3000;

fn setup(address: &str, device: &str) -> Setup {
    Setup::new(address).set("compute", "device", &format!("{device:?}"))
}

fn check(setup: &Setup) -> Ended {
    let config = setup.write();
    outlierd(&["check", "-c", config.to_str().unwrap()])
}

/// What `check` says of the device.
fn device_of(ended: &Ended) -> &str {
    let line = ended
        .stdout
        .lines()
        .find(|line| line.starts_with("device "));
    line.unwrap_or_else(|| panic!("{} {}", ended.stdout, ended.stderr))
}

#[test]
fn a_gpu_that_is_not_there_ends_the_start_with_what_is_missing_and_binds_nothing() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address, "cuda:1000");
    let checked = check(&setup);
    assert!(!checked.status.success());
    let said = device_of(&checked);
    assert!(said.contains("FAULT: compute.device: "), "{said}");
    let ended = setup.run_to_its_end();
    assert!(!ended.status.success());
    let missing = ["--features cuda", "libcuda", "there is no GPU 1000"];
    let of_the_start = ended.stderr.as_str();
    for text in [said, of_the_start] {
        assert!(missing.iter().any(|what| text.contains(what)), "{text}");
    }
    assert!(!of_the_start.contains("status at"), "{of_the_start}");
    let client = Client::new(&broker.address);
    assert!(client.committed(GROUP, INPUT).is_empty());
}

#[test]
fn what_scores_is_said_in_status_and_in_a_metric() {
    let broker = Broker::start(&topics(1));
    for (configured, label) in [("auto", "cpu"), ("cpu", "cpu")] {
        let setup = setup(&broker.address, configured);
        assert!(device_of(&check(&setup)).contains("ok: "));
        let mut daemon = Outlierd::start_ready(&setup);
        let device = &daemon.status()["device"];
        // The networks of the tests are too small to be worth a GPU.
        assert_eq!(device["device"], label);
        assert_eq!(device["configured"], configured);
        assert_eq!(device["degraded"], false);
        let series =
            format!("outlierd_device_info{{configured=\"{configured}\",device=\"{label}\"}}");
        assert_eq!(daemon.metric(&series), 1);
        assert!(daemon.terminate().success());
    }
}

#[test]
fn on_a_gpu_the_same_records_are_outliers() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address, "cuda")
        .set("compute", "batch_rows", "2048")
        .set("line", "threads", "2");
    let checked = check(&setup);
    if !device_of(&checked).contains("ok: cuda:0") {
        eprintln!("skipped: {}", device_of(&checked));
        return;
    }
    let rows = readings(41, RECORDS, 60);
    let client = Client::new(&broker.address);
    let records: Vec<Record> = rows.iter().map(|row| Record::of(row.as_str())).collect();
    client.feed(INPUT, &records);
    let wanted = verdicts(&setup, &rows);
    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(RECORDS);
    let device = &daemon.status()["device"];
    assert_eq!(device["device"], "cuda:0");
    assert_eq!(device["degraded"], false);
    assert!(daemon.terminate().success());
    let flagged: Vec<usize> = client
        .read(OUTLIERS)
        .iter()
        .map(|message| usize::try_from(message.json()["offset"].as_u64().unwrap()).unwrap())
        .collect();
    let expected = wanted.iter().filter(|verdict| verdict.flagged).count();
    let agree = flagged.iter().filter(|&&at| wanted[at].flagged).count();
    // A score may differ in its last digits, and stand at the threshold.
    assert!(expected.abs_diff(agree) <= 1, "{agree} of {expected}");
    assert!(flagged.len().abs_diff(agree) <= 1, "{flagged:?}");
}
