//! What a retrain may meet: a topic without its records, a full disk, a sudden end, a store out of reach.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::harness::records::ordinary;
use super::harness::setup::{INPUT, topics};
use super::harness::{
    Broker, Client, Ended, Outlierd, Record, Setup, outlierd, outlierd_with, until,
};

fn setup(address: &str) -> Setup {
    Setup::new(address)
        .with_store()
        .set("train", "max_steps", "200")
}

fn run(setup: &Setup, arguments: &[&str]) -> Ended {
    let config = setup.write();
    outlierd(&[arguments, &["-c", config.to_str().unwrap()]].concat())
}

fn ledger(setup: &Setup) -> Value {
    serde_json::from_slice(&std::fs::read(setup.path("models/ledger.json")).unwrap()).unwrap()
}

/// Feeds rows and has the first model learnt from them.
fn fed(setup: &Setup, client: &Client, rows: &[String]) {
    let records: Vec<Record> = rows.iter().map(|row| Record::of(row.as_str())).collect();
    client.feed(INPUT, &records);
    let ended = run(setup, &["retrain"]);
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_range_that_the_topic_no_longer_has_is_said() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address);
    fed(&setup, &Client::new(&broker.address), &ordinary(1, 800));
    let before = ledger(&setup);
    let range = [
        "--from",
        "2020-01-01T00:00:00Z",
        "--to",
        "2020-01-02T00:00:00Z",
    ];
    let ended = run(&setup, &[&["retrain"], &range[..]].concat());
    assert!(!ended.status.success());
    assert!(
        ended.stderr.contains("no record to learn from"),
        "{}",
        ended.stderr
    );
    assert_eq!(ledger(&setup), before);
}

#[test]
fn a_disk_that_takes_no_more_leaves_the_store_as_it_was() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address);
    fed(&setup, &Client::new(&broker.address), &ordinary(1, 800));
    let before = ledger(&setup);
    let files = || std::fs::read_dir(setup.path("models")).unwrap().count();
    let (count, config) = (files(), setup.write());
    // Files of so many blocks and no more: to a program that does not die of the signal, a full disk.
    let full = "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\"";
    let ended = Command::new("bash")
        .args(["-c", full, env!("CARGO_BIN_EXE_outlierd"), "retrain"])
        .args(["--from", "-1h", "-c", config.to_str().unwrap()])
        .env("OUTLIERD__TRAIN__SEED", "7")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(
        !ended.status.success() && !said.is_empty(),
        "{said} {ended:?}"
    );
    assert!(
        said.contains("File too large") && said.contains("models/"),
        "{said}"
    );
    assert_eq!((ledger(&setup), files()), (before, count));
}

#[test]
fn killed_in_any_phase_it_leaves_a_store_that_goes_on() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address).set("train", "max_steps", "2000");
    fed(&setup, &Client::new(&broker.address), &ordinary(1, 800));
    let (config, mut killed) = (setup.write(), Vec::new());
    for seed in 2..6 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outlierd"))
            .args(["retrain", "--json", "-c", config.to_str().unwrap()])
            .env("OUTLIERD__TRAIN__SEED", seed.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The first word is that it reads; then it trains, a word every half second.
        let told = lines.nth(seed - 2);
        child.kill().unwrap();
        child.wait().unwrap();
        killed.extend(told.map(|line| line.unwrap()));
        let serving = ledger(&setup)["models"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|model| model["state"] == "serving")
            .count();
        assert_eq!(serving, 1);
        assert!(run(&setup, &["models", "list"]).status.success());
    }
    assert!(killed[0].contains("reading"), "{killed:?}");
    assert!(
        killed[1..].iter().any(|line| line.contains("training")),
        "{killed:?}"
    );
    // Nobody holds the right to train any more.
    let setup = setup.set("train", "seed", "9");
    let ended = run(&setup, &["retrain"]);
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn other_fields_than_those_of_what_serves_make_a_model_that_is_compared_with_nothing() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address);
    fed(&setup, &Client::new(&broker.address), &ordinary(1, 800));
    let first = ledger(&setup)["models"][0]["version"].clone();
    let mut daemon = Outlierd::start_ready(&setup);
    let setup = setup.fields(
        "[[fields]]\npath = \"pressure\"\nkind = \"numeric\"\n\n[[fields]]\npath = \"flow\"\nkind = \"numeric\"\n",
    );
    let ended = run(&setup, &["retrain"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        !ended.stdout.contains("shift of severities"),
        "{}",
        ended.stdout
    );
    // The daemon of before cannot use it, says so, and goes on.
    until("the refusal", || {
        (daemon.metric("outlierd_models_refused_total") > 0).then_some(())
    });
    assert_eq!(daemon.status()["model"]["version"], first);
    assert!(daemon.get("/readyz").1.contains("is to serve and cannot"));
    assert!(daemon.terminate().success());
}

#[test]
fn a_daemon_waits_for_a_store_that_does_not_answer() {
    let setup = setup("127.0.0.1:1").set("model", "store", "\"kafka://models\"");
    let config = setup.write();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_outlierd"))
        .args(["run", "-c", config.to_str().unwrap()])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let said = said.map_while(Result::ok);
    let waits = |line: &String| line.contains("trying again until it answers");
    assert!(said.into_iter().any(|line| waits(&line)));
    // It waits, and ends when it is told to.
    let pid = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
}

/// What a retrain that a daemon ran to no end leaves: its reason, and a line that goes on by the model of before.
#[track_caller]
fn fails(broker: &Broker, setup: &Setup) -> (String, String) {
    let before = ledger(setup);
    let mut daemon = Outlierd::start_ready(setup);
    let ended = outlierd_with(
        &[("OUTLIERD_TOKEN", "let-me")],
        &["retrain", "--url", &daemon.url()],
    );
    assert!(ended.status.success(), "{}", ended.stderr);
    let last = until("the end of the retrain", || {
        let last = daemon.status()["retrain"]["last"].clone();
        (!last.is_null()).then_some(last)
    });
    assert_eq!(last["outcome"], "failed", "{last}");
    let seen = daemon.records();
    Client::new(&broker.address).feed(INPUT, &[Record::of(ordinary(9, 1)[0].as_str())]);
    until("the record", || (daemon.records() > seen).then_some(()));
    assert_eq!(ledger(setup), before);
    assert!(daemon.terminate().success());
    (last["why"].as_str().unwrap().to_owned(), daemon.stderr())
}

#[test]
fn a_retrain_that_wants_more_memory_than_it_may_have_is_nothing_to_the_line() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address);
    fed(&setup, &Client::new(&broker.address), &ordinary(1, 800));
    let setup = setup
        .with_token()
        .set("retrain", "memory", "\"256MiB\"")
        .set("retrain", "threads", "8")
        .set("train", "hidden", "1024")
        .set("train", "max_steps", "10")
        .set(
            "train",
            "floors",
            "[0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15]",
        );
    let (why, said) = fails(&broker, &setup);
    assert!(why.contains("retrain.memory"), "{why} {said}");
}

#[test]
fn a_training_that_diverges_is_nothing_to_the_line() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address);
    fed(&setup, &Client::new(&broker.address), &ordinary(1, 800));
    let setup = setup
        .with_token()
        .environment("OUTLIERD_PLANTED_DEFECT", "nan-loss");
    let (_, said) = fails(&broker, &setup);
    assert!(said.contains("diverged"), "{said}");
}
