//! The configuration as a whole; each notation is tested beside its parser.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const LEAST: &str = "
    [kafka]
    brokers = 'localhost:9092'
    [input]
    topic = 'readings'
    [[fields]]
    path = 'cpu.user'
";

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn parse(text: &str) -> Result<Config, Errors> {
    Config::parse(text, [])
}

/// The only error of `LEAST` with `more` behind it.
fn error_of(more: &str) -> Error {
    let errors = parse(&format!("{LEAST}{more}")).unwrap_err();
    let [error] = errors.0.as_slice() else {
        panic!("{errors}");
    };
    error.clone()
}

#[test]
fn the_least_configuration_has_the_defaults() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.input.group, "outlierd");
    assert_eq!(config.input.start, Start::Latest);
    assert_eq!(config.input.missing, Policy::Mask);
    assert_eq!(config.input.wrong_type, Policy::DeadLetter);
    assert_eq!(config.input.max_record_bytes, 1 << 20);
    assert_eq!(config.output.topic, "readings.outliers");
    assert_eq!(config.output.record, Copied::Full);
    assert_eq!(config.dead_letter.topic, "readings.dead-letters");
    assert!(config.dead_letter.payload);
    assert_eq!(config.model.path, PathBuf::from("model.safetensors"));
    assert_eq!(config.train.since, Duration::from_secs(7 * 86400));
    assert_eq!(config.train.floors, [0.1, 0.2, 0.4, 1.0]);
    assert_eq!(config.detect.budget, Budget::Share(0.001));
    assert_eq!(config.line.batch_bytes, 4 << 20);
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:9464");
    assert_eq!(config.log.format, Format::Human);
    let field = config.fields.first().unwrap();
    assert_eq!(
        (field.kind, field.direction),
        (Kind::Numeric, Direction::Both)
    );
}

#[test]
fn the_environment_goes_over_the_file() {
    let text = format!("{LEAST}[line]\nbatch_rows = 7\nthreads = 2");
    let environment = variables(&[
        ("OUTLIERD__KAFKA__BROKERS", "a:1,b:2"),
        ("OUTLIERD__LINE__BATCH_ROWS", "9"),
        ("OUTLIERD__LINE__THREADS", ""),
        ("OUTLIERD__TRAIN__FLOORS", "0.2, 0.5"),
        ("OUTLIERD__OUTPUT__TOPIC", "Odd"),
        ("OUTLIERD_REDACT_KEY", "not ours to read"),
        ("PATH", "/bin"),
    ]);
    let config = Config::parse(&text, environment).unwrap();
    assert_eq!(config.kafka.brokers, "a:1,b:2");
    assert_eq!(config.line.batch_rows, 9);
    assert_eq!(config.line.threads, 2, "an empty variable counts as unset");
    assert_eq!(config.train.floors, [0.2, 0.5]);
    assert_eq!(config.output.topic, "Odd");
}

#[test]
fn an_error_from_the_environment_names_the_variable() {
    let environment = variables(&[("OUTLIERD__LINE__BATCH_ROWS", "many")]);
    let errors = Config::parse(LEAST, environment).unwrap_err();
    let problem = &errors.0.first().unwrap().problem;
    assert_eq!(
        problem,
        "is not a whole number (set by OUTLIERD__LINE__BATCH_ROWS)"
    );
}

#[test]
fn variables_that_set_nothing_are_errors() {
    for name in [
        "OUTLIERD__LINE__BATCHROWS",
        "OUTLIERD__FIELDS[99999999999]__PATH",
        "OUTLIERD__",
    ] {
        let errors = Config::parse(LEAST, variables(&[(name, "1")]));
        assert_eq!(errors.unwrap_err().0.len(), 1, "{name}");
    }
}

#[test]
fn eight_errors_are_told_at_once() {
    let text = r#"
        [kafka]
        [kafka.properties]
        "enable.auto.commit" = true
        "sasl.password" = "hunter2"
        [input]
        topic = "card payments"
        start = "erliest"
        [line]
        batch_age = 20
        thread = 4
    "#;
    let expected = r#"the configuration has 8 errors

  kafka.brokers
    is missing
    name the brokers of your cluster, such as brokers = "localhost:9092"

  kafka.properties."enable.auto.commit"
    clashes with `line.commit_interval`: an offset is committed only when every record below it is durable
    remove it; `line.commit_interval` says how often offsets are committed

  kafka.properties."sasl.password"
    holds a secret
    put it under [kafka.secrets]: "sasl.password" = { file = "…" }

  input.topic = "card payments"
    is not a name that Kafka allows for a topic
    write letters, digits, `.`, `_` and `-`, at most 249 of them

  input.start = "erliest"
    is neither a place to start nor an instant
    did you mean "earliest"? write "latest", "earliest", "after_training" or an instant such as "2026-01-31T08:00:00Z"

  fields
    is missing: the model must know which fields to look at
    add a table [[fields]] for each, or let `outlierd init` propose them

  line.batch_age = 20
    has no unit
    write "1ms" to "10s", in ms, s, m, h or d

  line.thread
    is not a key of the configuration
    did you mean `line.threads`?"#;
    assert_eq!(parse(text).unwrap_err().to_string(), expected);
}

#[test]
fn a_syntax_error_says_line_and_column_and_not_the_line_itself() {
    let text = "[kafka.secrets]\n\"sasl.password\" = \"hunter2\nx = 1";
    let errors = parse(text).unwrap_err();
    let error = errors.0.first().unwrap();
    assert!(error.path.starts_with("configuration:2:"), "{}", error.path);
    assert!(!errors.to_string().contains("hunter2"), "{errors}");
}

#[test]
fn a_missing_file_points_at_init() {
    let errors = load(Path::new("/nowhere/outlierd.toml"), std::iter::empty()).unwrap_err();
    let error = errors.0.first().unwrap();
    assert_eq!(error.path, "/nowhere/outlierd.toml");
    assert!(error.remedy.contains("`outlierd init`"));
}

#[test]
fn relative_paths_start_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("outlierd.toml");
    let secret = "[kafka.secrets]\n'sasl.password' = { file = 'password' }";
    std::fs::write(&file, format!("{LEAST}{secret}")).unwrap();
    std::fs::write(folder.path().join("password"), "hunter2\n").unwrap();
    let config = load(&file, std::iter::empty()).unwrap();
    assert_eq!(config.model.path, folder.path().join("model.safetensors"));
    assert_eq!(config.kafka.secrets["sasl.password"].expose(), "hunter2");
}

#[test]
fn every_section_refuses_keys_that_it_does_not_know() {
    for section in [
        "kafka",
        "input",
        "output",
        "dead_letter",
        "model",
        "train",
        "detect",
        "line",
        "http",
        "log",
    ] {
        let text = match section {
            "kafka" => LEAST.replace("[kafka]", "[kafka]\nzzz = 1"),
            "input" => LEAST.replace("[input]", "[input]\nzzz = 1"),
            _ => format!("{LEAST}[{section}]\nzzz = 1"),
        };
        let errors = parse(&text).unwrap_err();
        assert_eq!(errors.0.first().unwrap().path, format!("{section}.zzz"));
    }
    assert_eq!(error_of("zzz = 1").path, "fields[0].zzz");
    assert_eq!(error_of("[zzz]\na = 1\nb = 2").path, "zzz");
}

#[test]
fn unknown_keys_get_a_suggestion() {
    for (more, suggestion) in [
        ("dirction = 'above'", "did you mean `fields[0].direction`?"),
        ("[lines]\nthreads = 1", "did you mean `line`?"),
        ("[log]\ngrace = 1", "did you mean `line.grace`?"),
        ("[http]\nzzz = 1", "remove it; known here: bind, token"),
        ("[[field]]\npath = 'b'", "did you mean `fields`?"),
    ] {
        assert_eq!(error_of(more).remedy, suggestion, "{more}");
    }
}

#[test]
fn keys_at_the_top_are_no_expressions() {
    assert!(parse("'fields[99999999999]' = 1").is_err());
    assert!(parse("'kafka.brokers' = 'a:1'").is_err());
    assert!(parse("kafka = 1\ninput = []\nfields = {}").is_err());
}

#[test]
fn values_out_of_range_are_refused() {
    for more in [
        "min_deviation = -1",
        "min_deviation = nan",
        "kind = 'categorical'\nmin_deviation = 1",
        "kind = 'timestamp'\ndirection = 'above'",
        "[[fields]]\npath = 'cpu.user'",
        "[output]\nredact = ['a', 'a']\nredact_key = { env = 'KEY' }",
        "[output]\nredact = ['card']",
        "[output]\ntopic = 'readings'",
        "[dead_letter]\ntopic = 'readings.outliers'",
        "[dead_letter]\npayload = true",
        "[model]\npath = ''",
        "[train]\ncalibration_share = 0.6",
        "[train]\nhidden = 3",
        "[train]\nlatent = 129",
        "[train]\nfloors = []",
        "[train]\nfloors = [0.2, 0.0]",
        "[train]\nfloors = [inf]",
        "[train]\nseed = -1",
        "[train]\nmax_rows = 1.5",
        "[detect]\nbudget = '51%'",
        "[line]\nbatch_rows = 65537",
        "[line]\nbatch_bytes = '512KiB'",
        "[line]\nthreads = [1]",
        "[http]\nbind = 'localhost:9464'",
        "[log]\nlevel = 'trace'",
    ] {
        let text = format!("{LEAST}{more}");
        let errors = Config::parse(&text, variables(&[("KEY", "0123456789abcdef")]));
        assert_eq!(errors.unwrap_err().0.len(), 1, "{more}");
    }
}

#[test]
fn a_redaction_key_must_not_be_guessable() {
    let text = format!("{LEAST}[output]\nredact = ['card']\nredact_key = {{ env = 'KEY' }}");
    let good = Config::parse(&text, variables(&[("KEY", "0123456789abcdef")])).unwrap();
    assert_eq!(good.output.redact_key.unwrap().expose(), "0123456789abcdef");
    let errors = Config::parse(&text, variables(&[("KEY", "0123456789")])).unwrap_err();
    assert_eq!(errors.0.len(), 1);
    assert!(!errors.to_string().contains("0123456789"));
}

#[test]
fn a_topic_whose_name_leaves_no_room_for_a_suffix_is_refused() {
    let text = LEAST.replace("readings", &"x".repeat(245));
    let paths: Vec<String> = parse(&text)
        .unwrap_err()
        .0
        .into_iter()
        .map(|e| e.path)
        .collect();
    assert_eq!(paths, ["output.topic", "dead_letter.topic"]);
}

proptest::proptest! {
    #[test]
    fn no_file_and_no_environment_panics(
        key in "[a-z_.\\[\\]0-9'\" -]{0,12}",
        value in "[\\[{'\"]?\\PC{0,12}[\\]}'\"]?",
        name in "OUTLIERD__(KAFKA|INPUT|FIELDS|LINE|KAFKA__SECRETS)(__\\PC{0,8}){0,3}",
    ) {
        let known = Config::keys();
        for text in [format!("{LEAST}{key} = {value}"), format!("{key} = {value}{LEAST}")] {
            drop(Config::parse(&text, [(name.clone(), value.clone())]));
        }
        let index = value.len() % known.len();
        let variable = source::variable(&known.get(index).unwrap().path);
        drop(Config::parse(LEAST, [(variable, value)]));
    }
}
