//! A store of models: which one serves, and what its files may suffer.

use std::collections::BTreeSet;

use serde_json::Value;

use super::harness::records::{ordinary, readings};
use super::harness::scores::model;
use super::harness::setup::{GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Ended, Message, Outlierd, Record, Setup, outlierd, until};

fn setup(address: &str) -> Setup {
    Setup::new(address)
        .with_store()
        .set("train", "max_steps", "60")
}

fn models(setup: &Setup, arguments: &[&str]) -> Ended {
    let config = setup.write();
    let config = ["-c", config.to_str().unwrap()];
    outlierd(&[&["models"], arguments, &config].concat())
}

#[track_caller]
fn done(setup: &Setup, arguments: &[&str]) -> String {
    let ended = models(setup, arguments);
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended.stdout
}

#[track_caller]
fn refused(setup: &Setup, arguments: &[&str]) -> String {
    let ended = models(setup, arguments);
    assert!(!ended.status.success(), "{arguments:?}: {}", ended.stdout);
    ended.stderr
}

/// Trains into the store.
fn train(setup: &Setup, seed: u64) -> String {
    let rows = setup.write_lines("rows.ndjson", &ordinary(seed, 600));
    let config = setup.write();
    let (config, rows) = (config.to_str().unwrap(), rows.to_str().unwrap());
    let ended = outlierd(&["train", "-c", config, "--from-file", rows]);
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.stdout
}

/// Versions with their states, the newest first.
fn listed(setup: &Setup) -> Vec<(String, String)> {
    let shown: Value = serde_json::from_str(&done(setup, &["list", "--json"])).unwrap();
    let models = shown["models"].as_array().unwrap();
    let text = |model: &Value, key: &str| model[key].as_str().unwrap().to_owned();
    models
        .iter()
        .map(|model| (text(model, "version"), text(model, "state")))
        .collect()
}

fn states(setup: &Setup) -> Vec<String> {
    listed(setup).into_iter().map(|(_, state)| state).collect()
}

/// Which model a daemon takes, and what it says meanwhile.
fn served(setup: &Setup) -> (String, String) {
    let mut daemon = Outlierd::start_ready(setup);
    let version = daemon.status()["model"]["version"].as_str().unwrap().into();
    assert!(daemon.terminate().success());
    (version, daemon.stderr())
}

#[test]
fn the_first_model_serves_and_another_when_it_is_told_to() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address);
    assert!(refused(&setup, &["rollback"]).contains("no model has served before"));
    assert!(train(&setup, 1).contains("serves"));
    assert!(train(&setup, 2).contains("models promote"));
    assert_eq!(states(&setup), ["candidate", "serving"]);
    let [second, first] = &listed(&setup)[..] else {
        unreachable!("two were listed")
    };
    let (first, second) = (first.0.clone(), second.0.clone());
    assert_eq!(served(&setup).0, first);
    done(&setup, &["promote", &second[..6]]);
    assert_eq!(served(&setup).0, second);
    assert!(refused(&setup, &["promote", &second]).contains("serving already"));
    assert!(refused(&setup, &["delete", &second]).contains("it is serving"));
    assert!(refused(&setup, &["delete", &first]).contains("the parent of"));
    done(&setup, &["rollback"]);
    assert_eq!(served(&setup).0, first);
    assert!(done(&setup, &["list"]).contains("models release"));
    done(&setup, &["release"]);
    assert!(!done(&setup, &["list"]).contains("models release"));
    done(&setup, &["pin", &second]);
    assert!(refused(&setup, &["delete", &second]).contains("it is pinned"));
    done(&setup, &["unpin", &second]);
    done(&setup, &["delete", &second]);
    assert_eq!(states(&setup), ["serving"]);
    assert!(refused(&setup, &["show", &second]).contains("there is no model"));
}

#[test]
fn a_damaged_model_gives_way_to_the_one_before() {
    let broker = Broker::start(&topics(1));
    let setup = setup(&broker.address);
    train(&setup, 1);
    let first = listed(&setup)[0].0.clone();
    train(&setup, 2);
    let second = listed(&setup)[0].0.clone();
    done(&setup, &["promote", &second]);
    let file = setup.path(&format!("models/{second}.safetensors"));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    assert!(done(&setup, &["list"]).contains("cannot be used"));
    let (version, said) = served(&setup);
    assert_eq!(version, first);
    assert!(
        said.contains(&format!("{first} serves instead of it")),
        "{said}"
    );
    // It does not come back by hand either.
    done(&setup, &["rollback"]);
    assert!(refused(&setup, &["promote", &second]).contains("is corrupt"));
    std::fs::write(setup.path(&format!("models/{first}.safetensors")), "").unwrap();
    let ended = setup.run_to_its_end();
    assert!(ended.stderr.contains("no model in"), "{}", ended.stderr);
}

#[test]
fn models_move_between_stores_as_files() {
    let (here, there) = (setup("127.0.0.1:1"), setup("127.0.0.1:1"));
    let file = model().to_str().unwrap();
    assert!(done(&here, &["import", file]).contains("which serves"));
    let version = listed(&here)[0].0.clone();
    let copy = here.path("copy.safetensors");
    let copy = copy.to_str().unwrap();
    done(&here, &["export", &version, copy]);
    assert_eq!(std::fs::read(copy).unwrap(), std::fs::read(file).unwrap());
    train(&there, 3);
    assert!(done(&there, &["import", copy]).contains("models promote"));
    assert_eq!(listed(&there)[0], (version.clone(), "candidate".into()));
    // The same one again is the same one.
    done(&there, &["import", copy]);
    assert_eq!(states(&there), ["candidate", "serving"]);
    std::fs::write(copy, "no model").unwrap();
    assert!(refused(&there, &["import", copy]).contains("is corrupt"));
    assert!(done(&there, &["show", &version]).contains(&version));
}

#[test]
fn more_than_are_kept_go_the_oldest_first() {
    let setup = setup("127.0.0.1:1").set("model", "keep", "1");
    train(&setup, 1);
    train(&setup, 2);
    let old = listed(&setup)[0].0.clone();
    assert!(train(&setup, 3).contains(&format!("deleted    {old}")));
    assert_eq!(states(&setup), ["candidate", "serving"]);
    let files = std::fs::read_dir(setup.path("models")).unwrap();
    let models = files.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_str().unwrap().ends_with(".safetensors")
    });
    assert_eq!(models.count(), 2);
}

#[test]
fn a_ledger_that_was_edited_by_hand_is_held_to_what_it_means() {
    let setup = setup("127.0.0.1:1");
    train(&setup, 1);
    train(&setup, 2);
    let ledger = setup.path("models/ledger.json");
    let good = std::fs::read_to_string(&ledger).unwrap();
    for (from, to, wanted) in [
        ("candidate", "serving", "2 models are serving"),
        ("candidate", "best", "unknown variant"),
        ("\"format\": 1", "\"format\": 9", "use a newer outlierd"),
        ("{", "", "ledger.json cannot be used"),
    ] {
        std::fs::write(&ledger, good.replacen(from, to, 1)).unwrap();
        let said = refused(&setup, &["list"]);
        assert!(
            said.contains(wanted) && said.contains("ledger.json"),
            "{said}"
        );
    }
    std::fs::write(&ledger, good.replace("serving", "candidate")).unwrap();
    let config = setup.write();
    let ended = outlierd(&["run", "-c", config.to_str().unwrap()]);
    assert!(
        ended.stderr.contains("models promote V"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_configuration_without_a_folder_has_no_store() {
    let remote = setup("127.0.0.1:1").set("model", "store", "\"ftp://models\"");
    assert!(refused(&remote, &["list"]).contains("is no place for models"));
    let neither = Setup::new("127.0.0.1:1");
    assert!(refused(&neither, &["list"]).contains("models import"));
}

/// Waits until the daemon says that a version serves.
fn wait_serving(daemon: &Outlierd, version: &str) {
    until(&format!("{version} serves"), || {
        (daemon.status()["model"]["version"] == version).then_some(())
    });
}

#[test]
fn a_running_daemon_takes_another_model_between_two_records_and_goes_back() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let setup = setup(&broker.address).set("line", "threads", "3");
    train(&setup, 1);
    train(&setup, 2);
    let [(second, _), (first, _)] = &listed(&setup)[..] else {
        unreachable!("two were trained")
    };
    let mut daemon = Outlierd::start_ready(&setup);
    let rows = readings(3, 900, 10);
    let mut done = 0;
    let mut changes = vec![(0, first.clone())];
    for change in [&["promote", second][..], &["rollback"]] {
        let part = &rows[done..done + 300];
        let records: Vec<Record> = part.iter().map(|row| Record::of(row.as_str())).collect();
        client.feed(INPUT, &records);
        done += 300;
        daemon.wait_records(done);
        self::done(&setup, change);
        let wanted = if changes.len() == 1 { second } else { first };
        wait_serving(&daemon, wanted);
        changes.push((done as i64, wanted.clone()));
        let note = until("a note of the change", || {
            let note = client.notes(GROUP, INPUT).first().cloned()?;
            note.contains(&**wanted).then_some(note)
        });
        assert!(note.contains(&format!("\"since\":{done}")), "{note}");
        assert!(
            daemon
                .get("/readyz")
                .1
                .contains(&format!("model: {wanted} serves"))
        );
    }
    let records: Vec<Record> = rows[done..]
        .iter()
        .map(|row| Record::of(row.as_str()))
        .collect();
    client.feed(INPUT, &records);
    daemon.wait_records(900);
    assert!(daemon.terminate().success());
    let messages = client.read(OUTLIERS);
    assert!(messages.len() > 60, "{}", messages.len());
    for message in messages.iter().map(Message::json) {
        let offset = message["offset"].as_i64().unwrap();
        let by = changes.iter().rev().find(|(since, _)| *since <= offset);
        assert_eq!(message["model"]["version"], *by.unwrap().1, "{offset}");
    }
    // A rollback is remembered, and holds.
    assert_eq!(served(&setup).0, *first);
    assert!(self::done(&setup, &["list"]).contains("models release"));
}

#[test]
fn models_change_under_load_and_every_record_is_judged_once_by_the_one_of_its_offset() {
    let broker = Broker::start(&[&topics(3)[..], &[("audit", 1)]].concat());
    let client = Client::new(&broker.address);
    let setup = setup(&broker.address)
        .set("line", "threads", "2")
        .set("line", "batch_rows", "64")
        .set("audit", "topic", "\"audit\"");
    train(&setup, 1);
    train(&setup, 2);
    let versions: Vec<String> = listed(&setup)
        .into_iter()
        .map(|(version, _)| version)
        .collect();
    let mut daemon = Outlierd::start_ready(&setup);
    let rows = readings(5, 12_000, 50);
    let records: Vec<Record> = rows
        .iter()
        .enumerate()
        .map(|(number, row)| Record::of(row.as_str()).to((number % 3) as i32))
        .collect();
    let mut parts = records.chunks(2000);
    for (number, part) in parts.by_ref().enumerate() {
        client.feed(INPUT, part);
        if number == 0 {
            // So that each of the two is sure to judge some.
            daemon.wait_records(2000);
            done(&setup, &["promote", &versions[0]]);
            wait_serving(&daemon, &versions[0]);
        } else if number < 5 {
            // Both orders: the first one listed is not the one that serves.
            done(&setup, &["promote", &versions[number % 2]]);
        }
    }
    daemon.wait_records(12_000);
    wait_serving(&daemon, &versions[0]);
    assert!(daemon.terminate().success());
    let mut ranges: Vec<(i64, i64, i64, String)> = client
        .read("audit")
        .iter()
        .map(Message::json)
        .map(|range| {
            let number = |key: &str| range[key].as_i64().unwrap();
            let model = range["model"].as_str().unwrap().to_owned();
            (number("partition"), number("from"), number("to"), model)
        })
        .collect();
    ranges.sort();
    // They tile the partitions, and each is of one model.
    for partition in 0..3 {
        let mut next = 0;
        for (_, from, to, _) in ranges.iter().filter(|range| range.0 == partition) {
            assert_eq!(*from, next);
            next = *to;
        }
        assert_eq!(next, 4000);
    }
    for message in client.read(OUTLIERS).iter().map(Message::json) {
        let number = |key: &str| message[key].as_i64().unwrap();
        let (partition, offset) = (number("partition"), number("offset"));
        let range = ranges
            .iter()
            .find(|(of, from, to, _)| *of == partition && (*from..*to).contains(&offset));
        assert_eq!(message["model"]["version"], range.unwrap().3);
    }
    let models: BTreeSet<&str> = ranges.iter().map(|range| range.3.as_str()).collect();
    assert_eq!(models.len(), 2, "both have judged");
}

#[test]
fn a_model_that_cannot_serve_leaves_the_one_before() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let setup = setup(&broker.address);
    train(&setup, 1);
    train(&setup, 2);
    let [(second, _), (first, _)] = &listed(&setup)[..] else {
        unreachable!("two were trained")
    };
    let mut daemon = Outlierd::start_ready(&setup);
    let file = setup.path(&format!("models/{second}.safetensors"));
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let ledger = setup.path("models/ledger.json");
    let text = std::fs::read_to_string(&ledger).unwrap();
    // As a person would who edits it: the program itself promotes no model that it cannot load.
    let text = text
        .replace("serving", "archived")
        .replace("candidate", "serving");
    std::fs::write(&ledger, text).unwrap();
    let told = until("the refusal", || {
        let (status, told) = daemon.get("/readyz");
        assert_eq!(status, 200);
        told.contains("cannot").then_some(told)
    });
    assert!(told.contains(&format!("{first} serves")), "{told}");
    assert_eq!(daemon.metric("outlierd_models_refused_total"), 1);
    client.feed(INPUT, &[Record::of(ordinary(9, 1)[0].as_str())]);
    daemon.wait_records(1);
    assert_eq!(daemon.status()["model"]["version"], **first);
    // An edit that makes no sense changes nothing either.
    std::fs::write(&ledger, "{").unwrap();
    until("the complaint", || {
        daemon
            .stderr()
            .contains("ledger.json cannot be used")
            .then_some(())
    });
    assert!(daemon.terminate().success());
}
