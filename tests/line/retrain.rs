//! New models for a store: learnt beside the line, gated, taken over or not.

use serde_json::Value;

use super::harness::records::{broken, ordinary, readings};
use super::harness::setup::{INPUT, topics};
use super::harness::{
    Broker, Client, Ended, Outlierd, Record, Setup, outlierd, outlierd_with, until,
};

fn setup(address: &str) -> Setup {
    Setup::new(address)
        .with_store()
        .set("train", "max_steps", "300")
}

fn retrain(setup: &Setup, arguments: &[&str]) -> Ended {
    let config = setup.write();
    let config = ["-c", config.to_str().unwrap()];
    outlierd(&[&["retrain"], &config[..], arguments].concat())
}

/// Retrains on rows of a file; what came of it, the last line of JSON.
fn on_rows(setup: &Setup, rows: &[String], arguments: &[&str]) -> (Value, Ended) {
    let file = setup.write_lines("rows.ndjson", rows);
    let file = ["--json", "--from-file", file.to_str().unwrap()];
    let ended = retrain(setup, &[&file[..], arguments].concat());
    let last = ended.stdout.lines().last().unwrap_or("null");
    (serde_json::from_str(last).unwrap(), ended)
}

fn ledger(setup: &Setup) -> Value {
    let text = std::fs::read_to_string(setup.path("models/ledger.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn serving(setup: &Setup) -> String {
    let ledger = ledger(setup);
    let mut models = ledger["models"].as_array().unwrap().iter();
    let serving = models.find(|model| model["state"] == "serving").unwrap();
    serving["version"].as_str().unwrap().to_owned()
}

#[test]
fn a_running_daemon_takes_over_what_a_retrain_has_learnt_from_the_topic() {
    let broker = Broker::start(&topics(2));
    let client = Client::new(&broker.address);
    let setup = setup(&broker.address);
    let rows = readings(1, 3000, 100);
    let records: Vec<Record> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| Record::of(row.as_str()).to((number % 2) as i32))
        .collect();
    client.feed(INPUT, &records);
    let first = retrain(&setup, &[]);
    assert!(first.status.success(), "{}", first.stderr);
    assert!(first.stdout.contains(": serves"), "{}", first.stdout);
    let before = serving(&setup);
    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(3000);
    // The same rows would make the same model.
    let setup = setup.set("train", "seed", "9");
    let second = retrain(&setup, &["--json"]);
    assert!(
        second.status.success(),
        "{} {}",
        second.stdout,
        second.stderr
    );
    let after = serving(&setup);
    assert_ne!(before, after);
    until("the new model", || {
        (daemon.status()["model"]["version"] == *after).then_some(())
    });
    assert_eq!(ledger(&setup)["models"][1]["parent"], *before);
    assert!(daemon.terminate().success());
    let config = setup.write();
    let config = config.to_str().unwrap();
    let shown = outlierd(&["models", "show", &after, "-c", config]);
    let diff = outlierd(&["models", "diff", &before, &after, "-c", config]);
    assert!(diff.status.success(), "{}", diff.stderr);
    for part in [&*before, &*after, "severities of 16 rows", "mean distance"] {
        assert!(diff.stdout.contains(part), "{}", diff.stdout);
    }
    for check in [
        "rows of the gate",
        "flag rate",
        "gain in ELBO",
        "shift of severities",
    ] {
        assert!(shown.stdout.contains(check), "{}", shown.stdout);
    }
}

#[test]
fn what_a_broken_machine_sends_is_not_learnt_until_somebody_says_so() {
    let setup = setup("127.0.0.1:1");
    let rows = ordinary(1, 2000);
    let (first, ended) = on_rows(&setup, &rows, &[]);
    assert_eq!(first["outcome"], "serves", "{}", ended.stderr);
    let before = serving(&setup);
    let mut changed = ordinary(2, 1000);
    changed.extend(broken(&ordinary(3, 1000)));
    for turn in 1..=2 {
        let other = setup_with_seed(&setup, &turn.to_string());
        let (refused, ended) = on_rows(&other, &changed, &[]);
        assert!(!ended.status.success());
        assert_eq!(refused["outcome"], "refused", "{refused}");
        // The rows after the break, less those of the gate.
        let left_out = refused["left_out"].as_u64().unwrap();
        assert!((800..=910).contains(&left_out), "{left_out}");
        let text = format!("the {turn}. in a row");
        assert!(ended.stderr.contains(&text), "{}", ended.stderr);
        assert_eq!(serving(&setup), before);
    }
    let (accepted, ended) = on_rows(&setup, &changed, &["--accept"]);
    assert_eq!(accepted["outcome"], "serves", "{accepted} {}", ended.stderr);
    assert_eq!(accepted["left_out"], 0);
    let checks = accepted["gate"]["checks"].as_array().unwrap();
    assert!(
        checks.iter().any(|check| check["waived"] == true),
        "{accepted}"
    );
    assert_ne!(serving(&setup), before);
}

/// The same store with another seed, so that the same rows make another model.
fn setup_with_seed(setup: &Setup, seed: &str) -> Setup {
    let other = Setup::new("127.0.0.1:1")
        .set("model", "path", "")
        .set("train", "floors", "[0.5]")
        .set("train", "max_steps", "300")
        .set("train", "seed", seed);
    let store = setup.path("models");
    let store = format!("{:?}", store.to_str().unwrap());
    other.set("model", "store", &store)
}

#[test]
fn after_a_rollback_a_model_that_passes_waits() {
    let setup = setup("127.0.0.1:1");
    let (first, _) = on_rows(&setup, &ordinary(1, 2000), &[]);
    let (second, _) = on_rows(&setup, &ordinary(2, 2000), &[]);
    assert_eq!(
        (&first["outcome"], &second["outcome"]),
        (&"serves".into(), &"serves".into())
    );
    let config = setup.write();
    let config = config.to_str().unwrap();
    let ended = outlierd(&["models", "rollback", "--wait", "0s", "-c", config]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let before = serving(&setup);
    let (third, _) = on_rows(&setup, &ordinary(3, 2000), &[]);
    assert_eq!(third["outcome"], "candidate", "{third}");
    assert_eq!(serving(&setup), before);
}

#[test]
fn a_slot_is_seen_to_once_and_one_retrain_runs_at_a_time() {
    let setup = setup("127.0.0.1:1");
    let slot = ["--slot", "2026-03-01T03:00:00Z"];
    let (first, ended) = on_rows(&setup, &ordinary(1, 2000), &slot);
    assert_eq!(first["outcome"], "serves", "{}", ended.stderr);
    let before = serving(&setup);
    // The same rows make the same model, which serves already.
    let (same, ended) = on_rows(
        &setup,
        &ordinary(1, 2000),
        &["--slot", "2026-03-02T03:00:00Z"],
    );
    assert_eq!(same["outcome"], "unchanged", "{}", ended.stderr);
    assert_eq!(ledger(&setup)["slot"], "2026-03-02T03:00:00Z");
    for slot in ["2026-03-01T03:00:00Z", "2026-02-28T03:00:00Z"] {
        let (again, _) = on_rows(&setup, &ordinary(2, 2000), &["--slot", slot]);
        assert_eq!(again["outcome"], "done_before");
    }
    assert_eq!(serving(&setup), before);
    let busy = std::fs::File::create(setup.path("models/trainer")).unwrap();
    busy.lock().unwrap();
    let (_, ended) = on_rows(&setup, &ordinary(2, 2000), &[]);
    assert!(
        ended.stderr.contains("another retrain is at work"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_cannot_be_learnt_leaves_what_serves() {
    let setup = setup("127.0.0.1:1");
    on_rows(&setup, &ordinary(1, 2000), &[]);
    let before = serving(&setup);
    let few = ordinary(2, 30);
    let constant = vec![ordinary(3, 1)[0].clone(); 500];
    let empty = vec!["{}".to_owned(); 500];
    for (rows, why) in [
        (few, "too few"),
        (constant, "nothing to learn"),
        (empty, "no row"),
    ] {
        let (_, ended) = on_rows(&setup, &rows, &[]);
        assert!(!ended.status.success());
        assert!(ended.stderr.contains(why), "{why}: {}", ended.stderr);
        assert_eq!(serving(&setup), before);
    }
    let limited = setup_with_seed(&setup, "5").set("retrain", "memory", "\"256MiB\"");
    let (outcome, ended) = on_rows(&limited, &ordinary(2, 2000), &["--background"]);
    assert_eq!(outcome["outcome"], "serves", "{}", ended.stderr);
}

/// Sends an order over HTTP; the status that answers.
fn post(daemon: &Outlierd, path: &str, token: Option<&str>) -> u16 {
    daemon.post(path, token).0
}

fn last(daemon: &Outlierd) -> Option<Value> {
    let last = daemon.status()["retrain"]["last"].clone();
    (!last.is_null()).then_some(last)
}

/// A store with a model, and a topic with rows to learn from.
fn fed(broker: &Broker, steps: &str) -> Setup {
    let setup = setup(&broker.address).with_token();
    let records: Vec<Record> = readings(1, 3000, 100)
        .iter()
        .map(|row| Record::of(row.as_str()))
        .collect();
    Client::new(&broker.address).feed(INPUT, &records);
    let file = setup.write_lines("rows.ndjson", &ordinary(1, 2000));
    let config = setup.write();
    let arguments = [
        "-c",
        config.to_str().unwrap(),
        "--from-file",
        file.to_str().unwrap(),
    ];
    let token = [("OUTLIERD_TEST_TOKEN", "let-me")];
    let ended = outlierd_with(&token, &[&["retrain"], &arguments[..]].concat());
    assert!(ended.status.success(), "{}", ended.stderr);
    setup.set("train", "max_steps", steps)
}

#[test]
fn whoever_has_the_token_may_have_a_model_trained() {
    let broker = Broker::start(&topics(1));
    let setup = fed(&broker, "300");
    let before = serving(&setup);
    let mut daemon = Outlierd::start_ready(&setup);
    assert_eq!(post(&daemon, "/retrain", None), 401);
    assert_eq!(post(&daemon, "/retrain", Some("let-us")), 401);
    assert_eq!(daemon.get("/retrain").0, 401);
    assert_eq!(post(&daemon, "/retrain", Some("let-me")), 202);
    let last = until("the end of the retrain", || last(&daemon));
    assert_eq!(last["outcome"], "serves", "{last} {}", daemon.stderr());
    let after = serving(&setup);
    assert_ne!(before, after);
    until("the new model", || {
        (daemon.status()["model"]["version"] == *after).then_some(())
    });
    assert_eq!(
        daemon.metric("outlierd_retrains_total{outcome=\"serves\"}"),
        1
    );
    assert_eq!(daemon.metric("outlierd_retrain_running"), 0);
    assert!(daemon.terminate().success());
}

#[test]
fn a_slot_that_was_missed_is_made_up_for_once() {
    let broker = Broker::start(&topics(1));
    let setup = fed(&broker, "300")
        .set("retrain", "every", "\"24h\"")
        .set("retrain", "jitter", "\"0s\"");
    // As if the last one had been long ago.
    let path = setup.path("models/ledger.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let long_ago = "\"held\": false,\n  \"slot\": \"2026-01-01T00:00:00Z\"";
    std::fs::write(&path, text.replace("\"held\": false", long_ago)).unwrap();
    let mut daemon = Outlierd::start_ready(&setup);
    let first = until("the end of the retrain", || last(&daemon));
    assert_eq!(first["outcome"], "serves", "{first} {}", daemon.stderr());
    let slot = ledger(&setup)["slot"].as_str().unwrap().to_owned();
    assert!(
        slot.ends_with("T00:00:00Z") && slot.as_str() > "2026-01-01",
        "{slot}"
    );
    assert!(daemon.terminate().success());
    // Another start has nothing to make up for.
    let mut daemon = Outlierd::start_ready(&setup);
    until("the next slot", || {
        daemon.status()["retrain"]["next"].as_str().map(|_| ())
    });
    assert!(last(&daemon).is_none());
    assert_eq!(
        daemon.metric("outlierd_retrains_total{outcome=\"serves\"}"),
        0
    );
    assert!(daemon.terminate().success());
}

#[test]
fn a_retrain_that_is_killed_or_cancelled_is_nothing_to_the_line() {
    let broker = Broker::start(&topics(1));
    let setup = fed(&broker, "1000000");
    let before = serving(&setup);
    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(3000);
    let trains = || {
        let running = &daemon.status()["retrain"]["running"];
        (running["phase"] == "training").then_some(())
    };
    post(&daemon, "/retrain", Some("let-me"));
    until("training", trains);
    let listed = outlierd(&["models", "list", "--url", &daemon.url()]);
    let at_work = "a retrain is at work: training, step ";
    assert!(listed.stdout.contains(at_work), "{listed:?}");
    assert!(listed.stdout.contains(&before), "{listed:?}");
    post(&daemon, "/retrain/cancel", Some("let-me"));
    let first = until("its end", || last(&daemon));
    assert_eq!(
        (&first["outcome"], &first["why"]),
        (&"failed".into(), &"it was cancelled".into())
    );
    post(&daemon, "/retrain", Some("let-me"));
    until("training", trains);
    kill_children(daemon.id());
    let second = until("its end", || last(&daemon).filter(|last| *last != first));
    assert_eq!(second["why"], "it was killed");
    Client::new(&broker.address).feed(INPUT, &[Record::of(ordinary(9, 1)[0].as_str())]);
    daemon.wait_records(3001);
    assert_eq!(daemon.status()["model"]["version"], *before);
    assert_eq!(
        daemon.metric("outlierd_retrains_total{outcome=\"failed\"}"),
        2
    );
    assert!(daemon.terminate().success());
}

/// Kills every child of a process of ours.
fn kill_children(parent: u32) {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(id) = entry.file_name().to_string_lossy().parse::<i32>() else {
            continue;
        };
        let status = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let after_name = status.rsplit(')').next().unwrap_or_default();
        let its_parent = after_name.split_whitespace().nth(1);
        if its_parent == Some(&parent.to_string()) {
            let id = rustix::process::Pid::from_raw(id).unwrap();
            rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
        }
    }
}

#[test]
fn a_model_that_decides_a_pinned_case_otherwise_is_refused() {
    let setup = setup("127.0.0.1:1").set("retrain", "cases", "\"cases.ndjson\"");
    let normal = &ordinary(8, 1)[0];
    let odd = readings(8, 1, 1).remove(0);
    let case = |must: &str, record: &str| format!("{{\"must\":\"{must}\",\"record\":{record}}}");
    setup.write_lines("cases.ndjson", &[case("pass", normal), case("flag", &odd)]);
    let (good, ended) = on_rows(&setup, &ordinary(1, 2000), &[]);
    assert_eq!(good["outcome"], "serves", "{}", ended.stderr);
    setup.write_lines(
        "cases.ndjson",
        &[case("pass", normal), case("flag", normal)],
    );
    let (bad, ended) = on_rows(&setup, &ordinary(2, 2000), &[]);
    assert_eq!(bad["outcome"], "refused");
    assert!(ended.stderr.contains("lines 2"), "{}", ended.stderr);
    setup.write_lines("cases.ndjson", &["{\"must\":\"fly\"}".to_owned()]);
    let (_, ended) = on_rows(&setup, &ordinary(3, 2000), &[]);
    assert!(
        ended.stderr.contains("cases.ndjson:1: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_model_in_the_shadow_takes_over_once_it_has_been_tried_on_what_came_since() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let setup = setup(&broker.address).set("retrain", "shadow", "\"1s\"");
    let records = |seed: u64, count: usize| -> Vec<Record> {
        ordinary(seed, count).into_iter().map(Record::of).collect()
    };
    client.feed(INPUT, &records(1, 2000));
    // The first has nothing to be compared with.
    assert!(retrain(&setup, &[]).stdout.contains(": serves"));
    let first = serving(&setup);
    let setup = setup.set("train", "seed", "9");
    let tried = retrain(&setup, &[]);
    assert!(
        tried.stdout.contains(": shadow"),
        "{} {}",
        tried.stdout,
        tried.stderr
    );
    assert_eq!(serving(&setup), first);
    // Nothing has come since: it is tried for longer.
    let mut daemon = Outlierd::start_ready(&setup);
    let outcome = |outcome: &str| format!("outlierd_retrains_total{{outcome=\"{outcome}\"}}");
    until("a trial without records", || {
        (daemon.metric(&outcome("shadow")) > 0).then_some(())
    });
    assert_eq!(serving(&setup), first);
    client.feed(INPUT, &records(2, 500));
    until("the new model", || {
        let now = daemon.status()["model"]["version"].clone();
        (now != *first).then_some(())
    });
    let second = serving(&setup);
    let config = setup.write();
    let shown = outlierd(&["models", "show", &second, "-c", config.to_str().unwrap()]);
    for part in [
        "verdicts that differ",
        "flagged by the new one alone",
        &*first,
    ] {
        assert!(shown.stdout.contains(part), "{}", shown.stdout);
    }
    assert!(
        ledger(&setup)["models"]
            .as_array()
            .unwrap()
            .iter()
            .all(|it| it["shadow_until"].is_null())
    );
    assert!(daemon.terminate().success());
}
