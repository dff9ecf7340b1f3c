//! The commands, one after the other as a person uses them.

use std::path::Path;

use outlierd::config;
use outlierd::kafka::{Bounds, Connection, Reader};
use outlierd::training::{Collection, Place, Source, learn};
use outlierd::{kafka, registry};
use serde_json::Value;

use super::harness::records::{ordinary, readings};
use super::harness::scores::{model, verdicts};
use super::harness::setup::{GROUP, INPUT, OUTLIERS, topics};
use super::harness::{Broker, Client, Ended, Outlierd, Setup, outlierd};

#[track_caller]
fn succeed(arguments: &[&str]) -> Ended {
    let ended = outlierd(arguments);
    assert!(
        ended.status.success(),
        "{arguments:?}: {} {}",
        ended.stdout,
        ended.stderr
    );
    ended
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn from_a_file_to_a_running_line() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let setup = Setup::new(&broker.address);
    let rows = ordinary(71, 1200);
    let file = setup.write_lines("rows.ndjson", &rows);

    let proposed = setup.path("proposed.toml");
    succeed(&[
        "init",
        "--brokers",
        &broker.address,
        "--topic",
        INPUT,
        "--from-file",
        text(&file),
        "--output",
        text(&proposed),
    ]);
    assert!(
        succeed(&["check", "--offline", "-c", text(&proposed)])
            .stdout
            .contains("5 fields")
    );
    let again = outlierd(&[
        "init",
        "--topic",
        INPUT,
        "--from-file",
        text(&file),
        "--output",
        text(&proposed),
    ]);
    assert!(
        !again.status.success() && again.stderr.contains("--force"),
        "{}",
        again.stderr
    );

    let trained = setup.path("trained.safetensors");
    let setup = setup.set("model", "path", "\"trained.safetensors\"");
    let config = setup.write();
    let said = succeed(&["train", "-c", text(&config), "--from-file", text(&file)]).stdout;
    assert!(said.contains("rows       1200"), "{said}");
    let shown = succeed(&["show", text(&trained)]).stdout;
    assert!(
        shown.contains("1200 rows of file sha256:") && shown.contains("boost"),
        "{shown}"
    );
    let shown: Value =
        serde_json::from_str(&succeed(&["show", "--json", text(&trained)]).stdout).unwrap();

    let odd = setup.write_lines("odd.ndjson", &readings(72, 60, 10));
    let said = succeed(&[
        "feed",
        text(&odd),
        "--brokers",
        &broker.address,
        "--topic",
        INPUT,
        "--key",
        "mode",
    ])
    .stdout;
    assert!(said.contains("60 records fed to readings"), "{said}");
    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(60);
    assert_eq!(daemon.status()["model"]["version"], shown["version"]);
    assert!(daemon.terminate().success());
    let outliers = client.read(OUTLIERS);
    assert!(outliers.len() >= 6, "the odd ones are not flagged");
    assert!(
        outliers
            .iter()
            .any(|outlier| outlier.key.as_deref() == Some(b"idle"))
    );
}

#[test]
fn after_training_reads_from_the_end_of_the_training_rows_on() {
    let broker = Broker::start(&topics(1));
    let client = Client::new(&broker.address);
    let setup = Setup::new(&broker.address)
        .set("model", "path", "\"from-topic.safetensors\"")
        .set("input", "start", "\"after_training\"");
    let feed = |rows: &[String]| {
        let file = setup.write_lines("feed.ndjson", rows);
        succeed(&[
            "feed",
            text(&file),
            "--brokers",
            &broker.address,
            "--topic",
            INPUT,
        ]);
    };
    feed(&ordinary(73, 1000));
    train_on_the_topic(&setup);
    let shown = succeed(&["show", text(&setup.path("from-topic.safetensors"))]).stdout;
    assert!(
        shown.contains("offsets 0 to 1000, the last one excluded"),
        "{shown}"
    );

    feed(&readings(74, 40, 10));
    let mut daemon = Outlierd::start_ready(&setup);
    daemon.wait_records(40);
    assert!(daemon.terminate().success());
    assert_eq!(client.committed(GROUP, INPUT)[&0], 1040);
}

/// What `outlierd train` does with a topic, less the question from which time on: the embedded
/// broker answers none of these.
fn train_on_the_topic(setup: &Setup) {
    let config = config::load(&setup.write(), std::iter::empty::<(String, String)>()).unwrap();
    let newest = Bounds {
        newest: Some(1000),
        ..Bounds::default()
    };
    let reader = Reader::open(&Connection::new(&config.kafka), INPUT, newest).unwrap();
    let mut collection = Collection::new(&config.fields, &config.input, 1000).unwrap();
    reader
        .read(|record: kafka::Read<'_>| {
            let place = Place {
                partition: record.partition,
                offset: record.offset,
            };
            collection.add_from(place, record.payload.unwrap(), record.time_ms);
        })
        .unwrap();
    let spans = reader
        .spans()
        .iter()
        .map(|span| (span.partition, span.first, span.next));
    let source = Source {
        name: format!("topic {INPUT}"),
        offsets: spans.collect(),
    };
    let go_on = &mut |_| std::ops::ControlFlow::Continue(());
    let model = learn(collection, source, &config.train, go_on).unwrap();
    registry::save(&model, &config.model.path).unwrap();
}

#[test]
fn a_record_scores_the_same_alone_as_among_many() {
    let setup = Setup::new("127.0.0.1:1");
    let rows = readings(75, 700, 9);
    let among_many = verdicts(&setup, &rows);
    for row in [0, 1, 255, 256, 300, 699] {
        assert_eq!(
            verdicts(&setup, &rows[row..=row])[0],
            among_many[row],
            "row {row}"
        );
    }
    assert!(among_many.iter().any(|verdict| verdict.flagged));
    assert!(among_many.iter().any(|verdict| !verdict.flagged));
}

#[test]
fn score_says_what_it_could_not_read_and_can_leave_out_what_is_ordinary() {
    let setup = Setup::new("127.0.0.1:1");
    let mut rows = readings(76, 20, 10);
    rows[5] = r#"{"pressure":"high"}"#.into();
    let file = setup.write_lines("some.ndjson", &rows);
    let shown = succeed(&["score", text(&file), "-m", text(model()), "--outliers"]).stdout;
    let shown: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let numbers: Vec<&Value> = shown.iter().map(|line| &line["row"]).collect();
    assert_eq!(numbers, [1, 6, 11]);
    assert_eq!(shown[1]["rejected"], "type_mismatch");
    assert!(
        shown[0]["reasons"]
            .as_array()
            .is_some_and(|reasons| !reasons.is_empty())
    );
}
