//! `outlierd dlq`: dead letters looked at, tried, and brought back.

use serde_json::Value;

use super::harness::process::Ended;
use super::harness::records::Pump;
use super::harness::setup::{DEAD_LETTERS, INPUT, topics};
use super::harness::{Broker, Client, Outlierd, Record, Setup, outlierd};

/// Escape sequences, and bytes that are no text.
const HOSTILE: &[u8] = b"\x1b[2J\xff{\"pressure\":1";

/// A number that is a word: it is a dead letter, or masked, as the configuration says.
const WORD: &str = r#"{"pressure":"high","mode":"idle"}"#;

fn dlq(setup: &Setup, arguments: &[&str]) -> Ended {
    let path = setup.write();
    let mut all = vec!["dlq", arguments[0], "-c", path.to_str().unwrap()];
    all.extend(&arguments[1..]);
    outlierd(&all)
}

#[track_caller]
fn said(ended: &Ended) -> &str {
    assert!(ended.status.success(), "{}", ended.stderr);
    &ended.stdout
}

#[track_caller]
fn lines(setup: &Setup, arguments: &[&str]) -> Vec<Value> {
    let ended = dlq(setup, arguments);
    let lines = said(&ended).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Runs the daemon until it has read everything.
#[track_caller]
fn read_all(setup: &Setup, records: usize) {
    let mut daemon = Outlierd::start_ready(setup);
    daemon.wait_records(records);
    assert!(daemon.terminate().success());
}

/// A cluster with two dead letters, and a good record.
fn buried(setup: impl FnOnce(Setup) -> Setup) -> (Broker, Client, Setup) {
    let broker = Broker::start(&topics(2));
    let client = Client::new(&broker.address);
    let good = Record::of(format!("{{{}}}", Pump::new(3).ordinary()));
    let letters = [
        Record::of(HOSTILE).at(1_767_225_600_000),
        Record::of(WORD).to(1).key("pump-1").at(1_767_312_000_000),
    ];
    client.feed(INPUT, &[&letters[..], &[good]].concat());
    let setup = setup(Setup::new(&broker.address));
    read_all(&setup, 3);
    (broker, client, setup)
}

#[test]
fn letters_are_listed_by_class_partition_and_time_and_shown_whole() {
    let (_broker, _client, setup) = buried(|setup| setup);
    let list = dlq(&setup, &["list"]);
    let list = said(&list);
    for text in [
        "2 dead letters",
        "1 utf8",
        "1 type_mismatch",
        "readings 1:0",
    ] {
        assert!(list.contains(text), "no {text} in {list}");
    }
    let all = lines(&setup, &["list", "--json"]);
    let ids = |arguments: &[&str]| -> Vec<Value> {
        let lines = lines(&setup, &[&["list", "--json"], arguments].concat());
        lines.iter().map(|line| line["id"].clone()).collect()
    };
    let (hostile, word) = (&all[0]["id"], &all[1]["id"]);
    assert_eq!(ids(&["--class", "utf8"]), std::slice::from_ref(hostile));
    assert_eq!(ids(&["--partition", "1"]), std::slice::from_ref(word));
    assert_eq!(
        ids(&["--since", "2026-01-01T12:00:00Z"]),
        std::slice::from_ref(word)
    );
    assert_eq!(
        ids(&["--until", "2026-01-01T12:00:00Z"]),
        std::slice::from_ref(hostile)
    );

    let show = dlq(&setup, &["show", word.as_str().unwrap()]);
    assert!(said(&show).contains(WORD), "{}", show.stdout);
    // A terminal is safe from it, and whoever asks gets every byte.
    let show = dlq(&setup, &["show", "0:0"]);
    assert!(said(&show).contains("\\u{1b}[2J"), "{}", show.stdout);
    let raw = dlq(&setup, &["show", "1:0", "--raw"]);
    assert_eq!(said(&raw), WORD);

    let nobody = dlq(&setup, &["show", "7:7"]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(nobody.stderr.contains("dlq list"), "{}", nobody.stderr);
    let misspelt = dlq(&setup, &["list", "--class", "utf9"]);
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(misspelt.stderr.contains("utf8"), "{}", misspelt.stderr);
}

#[test]
fn a_replayed_letter_that_fails_again_is_known_and_never_loops() {
    let (_broker, client, setup) = buried(|setup| setup);
    let dry = dlq(&setup, &["replay", "--dry-run"]);
    assert!(
        said(&dry).contains("2 dead letters would be"),
        "{}",
        dry.stdout
    );
    assert_eq!((client.count(INPUT), client.count(DEAD_LETTERS)), (3, 2));

    let unknown = dlq(&setup, &["replay", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(unknown.stderr.contains("no dead letter nobody"));
    assert_eq!((client.count(INPUT), client.count(DEAD_LETTERS)), (3, 2));

    let replayed = dlq(&setup, &["replay"]);
    assert!(
        said(&replayed).contains("2 of 2 dead letters written"),
        "{}",
        replayed.stdout
    );
    // Two records, and a marker for each letter.
    assert_eq!((client.count(INPUT), client.count(DEAD_LETTERS)), (5, 4));
    let records = client.read(INPUT);
    let words: Vec<_> = records
        .iter()
        .filter(|record| record.payload == WORD.as_bytes())
        .collect();
    assert_eq!(words.len(), 2);
    assert_eq!(words[0].key, words[1].key);
    assert_eq!(words[1].header("outlierd.replays"), "1");
    let again = dlq(&setup, &["replay"]);
    assert!(
        said(&again).contains("0 of 0 dead letters written"),
        "{}",
        again.stdout
    );
    assert!(said(&again).contains("2 left out: they were replayed already"));

    read_all(&setup, 2);
    let all = lines(&setup, &["list", "--json"]);
    let replays: Vec<_> = all
        .iter()
        .map(|line| line["replays"].as_u64().unwrap())
        .collect();
    let mut sorted = replays.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 0, 1, 1], "{all:#?}");
    let enough = dlq(&setup, &["replay", "--max-replays", "1"]);
    assert!(
        said(&enough).contains("0 of 0 dead letters written"),
        "{}",
        enough.stdout
    );
    assert!(said(&enough).contains("2 left out: they failed after 1 replays"));
    let more = dlq(&setup, &["replay"]);
    assert!(
        said(&more).contains("2 of 2 dead letters written"),
        "{}",
        more.stdout
    );
}

#[test]
fn a_changed_configuration_is_tried_first_and_then_replayed_into() {
    let (broker, client, setup) = buried(|setup| setup);
    let masked = Setup::new(&broker.address).set("input", "wrong_type", "\"mask\"");
    let through = masked.write();
    let through = through.to_str().unwrap();
    let tried = lines(&setup, &["replay", "--through", through]);
    let dispositions: Vec<_> = tried
        .iter()
        .map(|line| line["disposition"].as_str().unwrap())
        .collect();
    assert!(dispositions.contains(&"dead_letter"), "{tried:#?}");
    assert!(
        dispositions.iter().any(|one| *one != "dead_letter"),
        "{tried:#?}"
    );
    assert_eq!((client.count(INPUT), client.count(DEAD_LETTERS)), (3, 2));

    let replayed = dlq(&setup, &["replay", "--class", "type_mismatch"]);
    assert!(
        said(&replayed).contains("1 of 1 dead letters written"),
        "{}",
        replayed.stdout
    );
    read_all(&masked, 1);
    // Its marker is all that came to stand there since.
    assert_eq!(client.count(DEAD_LETTERS), 3);
}

#[test]
fn a_letter_without_its_record_is_left_out_and_says_where_the_record_is() {
    let (_broker, client, setup) = buried(|setup| setup.set("dead_letter", "payload", "\"none\""));
    let replayed = dlq(&setup, &["replay"]);
    assert!(
        said(&replayed).contains("2 left out: they are by reference"),
        "{}",
        replayed.stdout
    );
    assert_eq!(client.count(INPUT), 3);
    let show = dlq(&setup, &["show", "1:0"]);
    let place = "read the record itself from readings, partition 1, offset 0";
    assert!(said(&show).contains(place), "{}", show.stdout);
}
