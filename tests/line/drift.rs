//! A stream that moves away from what its model was trained on.

use serde_json::Value;

use super::harness::records::ordinary;
use super::harness::setup::{INPUT, topics};
use super::harness::{Broker, Client, Outlierd, Record, Setup, outlierd, until};

/// So small that every record of a batch is looked at.
fn setup(address: &str) -> Setup {
    Setup::new(address)
        .set("line", "batch_rows", "64")
        .with_store()
}

fn train(setup: &Setup, rows: &[String]) {
    let file = setup.write_lines("rows.ndjson", rows);
    let config = setup.write();
    let arguments = [
        "-c",
        config.to_str().unwrap(),
        "--from-file",
        file.to_str().unwrap(),
    ];
    let ended = outlierd(&[&["retrain"], &arguments[..]].concat());
    assert!(ended.status.success(), "{}", ended.stderr);
}

/// The temperature is 4 degrees higher: by less than a deviation of it, but for its pressure.
fn warmer(rows: &[String]) -> Vec<Record> {
    let warm = |row: &String| {
        let mut record: Value = serde_json::from_str(row).unwrap();
        let temperature = record["temperature"].as_f64().unwrap();
        record["temperature"] = (temperature + 4.0).into();
        Record::of(record.to_string())
    };
    rows.iter().map(warm).collect()
}

fn plain(rows: &[String]) -> Vec<Record> {
    rows.iter().map(|row| Record::of(row.as_str())).collect()
}

/// The value of a gauge.
fn gauge(daemon: &Outlierd, series: &str) -> f64 {
    let page = daemon.get("/metrics").1;
    let value = page
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {series}"))
        .parse()
        .unwrap()
}

#[test]
fn a_stream_that_stays_does_not_drift_and_one_that_moves_is_said_to_and_learnt() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let setup = setup(&broker.address)
        .set("retrain", "on_drift", "true")
        .set("retrain", "drift_for", "\"2s\"")
        .set("retrain", "promote", "false");
    train(&setup, &ordinary(1, 3000));
    let mut daemon = Outlierd::start_ready(&setup);
    client.feed(INPUT, &plain(&ordinary(2, 6500)));
    daemon.wait_records(6500);
    let psi = |field: &str| format!("outlierd_drift_psi{{field=\"{field}\"}}");
    for field in ["pressure", "flow", "temperature", "mode", "open"] {
        let found = gauge(&daemon, &psi(field));
        assert!(found > 0.0 && found < 0.1, "{field}: {found}");
    }
    assert!(gauge(&daemon, "outlierd_drift_score") < 0.1);
    let elbo = gauge(&daemon, "outlierd_drift_elbo");
    assert_eq!(daemon.metric("outlierd_drifting"), 0);
    assert!(daemon.status()["retrain"]["last"].is_null());
    client.feed(INPUT, &warmer(&ordinary(3, 6500)));
    daemon.wait_records(13_000);
    until("the drift", || {
        (daemon.metric("outlierd_drifting") > 0).then_some(())
    });
    assert!(gauge(&daemon, &psi("temperature")) > 0.1);
    assert!(gauge(&daemon, &psi("pressure")) < 0.1);
    assert!(gauge(&daemon, "outlierd_drift_score") > 0.25);
    let after = gauge(&daemon, "outlierd_drift_elbo");
    assert!(after < elbo - 0.1, "{after} after {elbo}");
    assert!(
        daemon
            .stderr()
            .contains("drift from what the model was trained on")
    );
    let last = until("the retrain", || {
        let last = daemon.status()["retrain"]["last"].clone();
        (!last.is_null()).then_some(last)
    });
    // Whatever the gate says of it: half of the rows are of before.
    assert_ne!(last["outcome"], "failed", "{last} {}", daemon.stderr());
    assert!(daemon.terminate().success());
}
