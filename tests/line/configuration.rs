//! A configuration is right as a whole, or nothing happens.

use std::path::Path;

use super::harness::{Broker, Setup};
use super::harness::{outlierd, setup::topics};

const WRONG: &str = r#"
[kafka]
brokers = "localhost"
[kafka.properties]
"enable.auto.commit" = "true"
[input]
start = "erliest"
[[fields]]
path = "pressure"
knd = "numeric"
[line]
batch_rows = 0
[http]
bind = "localhost"
"#;

/// All that a user is told, once and together.
const SAID: &str = r#"the configuration has 7 errors

  kafka.brokers = "localhost"
    is not a list of brokers
    write host:port, with commas between several, such as "localhost:9092"

  kafka.properties."enable.auto.commit"
    clashes with `line.commit_interval`: an offset is committed only when every record below it is durable
    remove it; `line.commit_interval` says how often offsets are committed

  input.topic
    is missing
    name the topic that is read, such as topic = "readings"

  input.start = "erliest"
    is neither a place to start nor an instant
    did you mean "earliest"? write "latest", "earliest", "after_training" or an instant such as "2026-01-31T08:00:00Z"

  line.batch_rows = 0
    is out of range
    write a whole number from 1 to 65536

  http.bind = "localhost"
    is not an address with a port
    write an address and a port, "127.0.0.1:9464" or "[::]:9464"

  fields[0].knd
    is not a key of the configuration
    did you mean `fields[0].kind`?
"#;

#[test]
fn all_errors_are_said_at_once_and_nothing_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outlierd.toml");
    std::fs::write(&path, WRONG).unwrap();
    for command in ["run", "check", "train"] {
        let ended = outlierd(&[command, "-c", path.to_str().unwrap()]);
        assert_eq!(ended.stderr, SAID, "{command}");
        assert_eq!(ended.status.code(), Some(64), "{command}");
        assert_eq!(ended.stdout, "", "{command}");
    }
}

#[test]
fn every_example_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = path.to_str().unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_outlierd"));
        command.env("OUTLIERD_REDACT_KEY", "0".repeat(64));
        let output = command
            .args(["check", "--offline", "-c", text])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{text}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        examples += 1;
    }
    assert!(examples >= 3);
}

#[test]
fn a_check_says_what_run_would_meet() {
    let broker = Broker::start(&topics(3));
    let setup = Setup::new(&broker.address);
    let config = setup.write();
    let good = outlierd(&["check", "-c", config.to_str().unwrap()]);
    assert!(good.status.success(), "{} {}", good.stdout, good.stderr);
    assert!(
        good.stdout.contains("readings, 3 partition(s)"),
        "{}",
        good.stdout
    );
    assert!(
        good.stdout
            .contains("`outlierd run` would read readings as group line"),
        "{}",
        good.stdout
    );

    let setup =
        setup
            .set("input", "topic", "\"nowhere\"")
            .set("model", "path", "\"absent.safetensors\"");
    let bad = outlierd(&["check", "-c", setup.write().to_str().unwrap()]);
    assert!(!bad.status.success());
    assert!(
        bad.stdout.contains("topic nowhere does not exist"),
        "{} {}",
        bad.stdout,
        bad.stderr
    );
    assert!(
        bad.stdout.contains("there is no model at"),
        "{}",
        bad.stdout
    );
}
