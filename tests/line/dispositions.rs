//! Every record has exactly one disposition, and it is counted.

use std::collections::{BTreeMap, BTreeSet};

use super::harness::records::Pump;
use super::harness::scores::verdicts;
use super::harness::setup::{DEAD_LETTERS, GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Message, Outlierd, Record, Setup};

const PARTITIONS: i32 = 3;

/// Enough that losing one in a thousand shows.
const RECORDS: usize = 4200;

/// One record in so many is none that can be scored.
const ONE_IN: usize = 7;

const FIELDS: &str = r#"
[[fields]]
path = "pressure"
required = true
[[fields]]
path = "flow"
[[fields]]
path = "temperature"
[[fields]]
path = "mode"
kind = "categorical"
[[fields]]
path = "open"
kind = "boolean"
"#;

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Scored,
    Dead(&'static str),
    Skipped(&'static str),
}

/// Every kind of record that is not scored: each class that a record alone can have.
fn unscored(good: &str) -> Vec<(Fate, Option<Vec<u8>>)> {
    let with = |members: &str| Some(format!(r#"{{"kind":"reading",{members}}}"#).into_bytes());
    let deep = format!(r#"{good},"extra":{}{}"#, "[".repeat(40), "]".repeat(40));
    let mut no_text = with(r#""pressure":1,"mode":"x""#).unwrap();
    *no_text.iter_mut().find(|byte| **byte == b'x').unwrap() = 0xFF;
    let long = format!(r#"{good},"extra":"{}""#, "x".repeat(2000));
    vec![
        (Fate::Dead("too_large"), with(&long)),
        (Fate::Dead("utf8"), Some(no_text)),
        (
            Fate::Dead("json_syntax"),
            Some(br#"{"kind":"reading","pressure":"#.to_vec()),
        ),
        (Fate::Dead("type_mismatch"), Some(b"[1,2,3]".to_vec())),
        (Fate::Dead("json_syntax"), Some(Vec::new())),
        (Fate::Dead("json_depth"), with(&deep)),
        (Fate::Dead("number_range"), with(r#""pressure":1e400"#)),
        (Fate::Dead("number_range"), with(r#""pressure":1e39"#)),
        (
            Fate::Dead("duplicate_key"),
            with(r#""pressure":1,"flow":2,"pressure":1"#),
        ),
        (Fate::Dead("type_mismatch"), with(r#""pressure":"high""#)),
        (Fate::Dead("missing_field"), with(r#""flow":2"#)),
        (
            Fate::Dead("timestamp"),
            with(&format!(r#"{good},"at":"soon""#)),
        ),
        (
            Fate::Skipped("filtered"),
            Some(format!(r#"{{"kind":"note",{good}}}"#).into_bytes()),
        ),
        (Fate::Skipped("tombstone"), None),
    ]
}

/// A stream in which records of every kind stand between good ones.
fn stream() -> Vec<(Fate, Record)> {
    let mut pump = Pump::new(7);
    let mut kinds = 0;
    (0..RECORDS)
        .map(|number| {
            let partition = i32::try_from(number).unwrap() % PARTITIONS;
            if number % ONE_IN == 3 {
                let unscored = unscored(&pump.ordinary());
                let (fate, payload) = unscored[kinds % unscored.len()].clone();
                kinds += 1;
                let record = Record {
                    payload,
                    ..Record::default()
                };
                return (fate, record.to(partition));
            }
            let members = if number % 90 == 0 {
                pump.odd()
            } else {
                pump.ordinary()
            };
            let at = 1_700_000_000 + number;
            let record = Record::of(format!(r#"{{"kind":"reading",{members},"at":{at}}}"#));
            (Fate::Scored, record.to(partition))
        })
        .collect()
}

#[test]
fn every_record_has_one_disposition_and_the_counts_are_what_was_sent() {
    let broker = Broker::start(&topics(PARTITIONS));
    let client = Client::new(&broker.address);
    let setup = Setup::new(&broker.address)
        .fields(FIELDS)
        .set("input", "where", r#"'kind = "reading"'"#)
        .set("input", "time", r#""at""#)
        .set("input", "max_record_bytes", r#""1KiB""#)
        .set("line", "batch_rows", "100")
        .set("line", "threads", "2");
    let stream = stream();
    let records: Vec<Record> = stream.iter().map(|(_, record)| record.clone()).collect();
    client.feed(INPUT, &records);
    let expected = Expected::of(&setup, &stream);

    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(RECORDS);
    assert_eq!(positions(&client.read(OUTLIERS)), expected.outliers);
    let dead = classes(&client.read(DEAD_LETTERS));
    let (found, wanted) = (
        dead.iter().collect::<BTreeSet<_>>(),
        expected.dead.iter().collect(),
    );
    let differences: Vec<_> = found.symmetric_difference(&wanted).collect();
    assert!(differences.is_empty(), "{differences:?}");
    expected.assert_counted(&daemon);
    assert!(daemon.terminate().success());
    assert_eq!(client.committed(GROUP, INPUT), client.ends(INPUT));
}

/// Partition and offset.
type Position = (i64, i64);

struct Expected {
    outliers: BTreeSet<Position>,
    dead: BTreeMap<Position, String>,
    skipped: BTreeMap<&'static str, u64>,
}

impl Expected {
    fn of(setup: &Setup, stream: &[(Fate, Record)]) -> Expected {
        let text = |record: &Record| String::from_utf8(record.payload.clone().unwrap()).unwrap();
        let scored = stream.iter().filter(|(fate, _)| *fate == Fate::Scored);
        let rows: Vec<String> = scored.map(|(_, record)| text(record)).collect();
        let mut verdicts = verdicts(setup, &rows).into_iter();
        let mut next = BTreeMap::new();
        let mut expected = Expected {
            outliers: BTreeSet::new(),
            dead: BTreeMap::new(),
            skipped: BTreeMap::new(),
        };
        for (fate, record) in stream {
            let offset = next.entry(record.partition).or_insert(0);
            let position = (i64::from(record.partition), *offset);
            *offset += 1;
            match fate {
                Fate::Scored => {
                    if verdicts.next().unwrap().flagged {
                        expected.outliers.insert(position);
                    }
                }
                Fate::Dead(class) => _ = expected.dead.insert(position, (*class).to_owned()),
                Fate::Skipped(reason) => *expected.skipped.entry(reason).or_default() += 1,
            }
        }
        assert!(
            expected.outliers.len() >= RECORDS / 90 / 2,
            "the odd ones are not flagged"
        );
        expected
    }

    fn assert_counted(&self, daemon: &Outlierd) {
        let (outliers, dead) = (self.outliers.len() as u64, self.dead.len() as u64);
        let skipped = self.skipped.values().sum::<u64>();
        let normal = RECORDS as u64 - outliers - dead - skipped;
        let status = daemon.status();
        for (disposition, count) in [
            ("normal", normal),
            ("outlier", outliers),
            ("dead_letter", dead),
            ("skipped", skipped),
        ] {
            let series = format!("outlierd_records_total{{disposition=\"{disposition}\"}}");
            assert_eq!(daemon.metric(&series), count, "{disposition}");
            assert_eq!(status["records"][disposition], count, "{disposition}");
        }
        let mut by_class: BTreeMap<&str, u64> = BTreeMap::new();
        for class in self.dead.values() {
            *by_class.entry(class).or_default() += 1;
        }
        for (class, count) in &by_class {
            let series = format!("outlierd_dead_letters_total{{class=\"{class}\"}}");
            assert_eq!(daemon.metric(&series), *count, "{class}");
        }
        for (reason, count) in &self.skipped {
            let series = format!("outlierd_skipped_total{{reason=\"{reason}\"}}");
            assert_eq!(daemon.metric(&series), *count, "{reason}");
        }
        assert_eq!(
            daemon.metric("outlierd_published_total{topic=\"outliers\"}"),
            outliers
        );
        assert_eq!(
            daemon.metric("outlierd_published_total{topic=\"dead_letters\"}"),
            dead
        );
    }
}

/// Where the outliers come from; no two from the same place.
fn positions(outliers: &[Message]) -> BTreeSet<Position> {
    let position = |outlier: &Message| {
        let outlier = outlier.json();
        (
            outlier["partition"].as_i64().unwrap(),
            outlier["offset"].as_i64().unwrap(),
        )
    };
    let positions: BTreeSet<Position> = outliers.iter().map(position).collect();
    assert_eq!(
        positions.len(),
        outliers.len(),
        "an outlier stands there twice"
    );
    positions
}

/// Where the dead letters come from, and what each is.
fn classes(letters: &[Message]) -> BTreeMap<Position, String> {
    let class = |letter: &Message| {
        let number = |name: &str| letter.header(name).parse::<i64>().unwrap();
        let position = (number("outlierd.partition"), number("outlierd.offset"));
        (position, letter.header("outlierd.class").to_owned())
    };
    let classes: BTreeMap<Position, String> = letters.iter().map(class).collect();
    assert_eq!(
        classes.len(),
        letters.len(),
        "a dead letter stands there twice"
    );
    classes
}
