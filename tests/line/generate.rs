//! The other uses of a model: new records, codes, and records from codes.

mod made;
mod resemblance;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::harness::records::{ordinary, readings};
use super::harness::scores::{model, verdicts};
use super::harness::{Ended, Setup, outlierd};

/// The tests' model, as an argument.
fn path() -> &'static str {
    model().to_str().unwrap()
}

#[track_caller]
fn succeed(arguments: &[&str]) -> Ended {
    let ended = outlierd(arguments);
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    ended
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn sample(count: &str, more: &[&str]) -> String {
    succeed(&[&["sample", "-m", path(), "-n", count], more].concat()).stdout
}

#[test]
fn the_same_seed_gives_the_same_records_and_a_longer_sample_begins_with_them() {
    let many = sample("300", &[]);
    assert_eq!(sample("300", &["--seed", "1"]), many);
    assert_eq!(many.lines().count(), 300);
    assert!(many.starts_with(&sample("20", &[])));
    assert_ne!(sample("300", &["--seed", "2"]), many);
    assert_ne!(sample("300", &["--member", "4"]), many);
    let first = &lines(&many)[0];
    assert!(first["pressure"].is_f64() && first["open"].is_boolean());
    let modes = ["idle", "run", "boost"].map(Value::from);
    assert!(
        lines(&many)
            .iter()
            .all(|line| modes.contains(&line["mode"]))
    );
}

#[test]
fn csv_holds_the_same_records() {
    let objects = lines(&sample("40", &[]));
    let csv = sample("40", &["--format", "csv"]);
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let names = ["pressure", "flow", "temperature", "mode", "open"];
    assert_eq!(rows.headers().unwrap(), names.as_slice());
    for (object, row) in objects.iter().zip(rows.records()) {
        for (name, text) in names.iter().zip(&row.unwrap()) {
            let value = &object[*name];
            let written = value.as_str().map_or_else(|| value.to_string(), Into::into);
            assert_eq!(text, written);
        }
    }
}

#[test]
fn codes_come_with_the_verdict_of_score_and_decode_to_what_encode_says() {
    let setup = Setup::new("127.0.0.1:1");
    let rows = readings(81, 300, 25);
    let file = setup.write_lines("rows.ndjson", &rows);
    let encoded = succeed(&["encode", "-m", path(), file.to_str().unwrap(), "--errors"]);
    let codes = lines(&encoded.stdout);
    assert_eq!(codes.len(), 300);
    for (index, (code, verdict)) in codes.iter().zip(verdicts(&setup, &rows)).enumerate() {
        assert_eq!(code["row"], index + 1);
        assert_eq!(code["code"].as_array().unwrap().len(), 3);
        assert_eq!(code["deviation"].as_array().unwrap().len(), 3);
        let score = code["score"].as_f64().unwrap() as f32;
        assert_eq!(score.to_bits(), verdict.score_bits);
    }

    let file = setup.path("codes");
    std::fs::write(&file, &encoded.stdout).unwrap();
    let decoded = succeed(&["decode", "-m", path(), file.to_str().unwrap()]).stdout;
    let back = lines(&decoded);
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    assert_eq!(back.len(), rows.len());
    for field in ["pressure", "flow", "temperature"] {
        let pairs = rows.iter().zip(&back);
        let off =
            pairs.map(|(row, back)| row[field].as_f64().unwrap() - back[field].as_f64().unwrap());
        let mean = off.map(f64::abs).sum::<f64>() / 300.0;
        let said = format!("{field}: off by {mean:.4} on average");
        assert!(encoded.stderr.contains(&said), "{said}: {}", encoded.stderr);
    }
    for field in ["mode", "open"] {
        let wrong = rows
            .iter()
            .zip(&back)
            .filter(|(row, back)| row[field] != back[field]);
        let said = format!(
            "{field}: another value in {:.2} %",
            wrong.count() as f64 / 3.0
        );
        assert!(encoded.stderr.contains(&said), "{said}: {}", encoded.stderr);
    }
}

#[test]
fn codes_as_columns_through_standard_input_decode_as_those_of_lines() {
    let setup = Setup::new("127.0.0.1:1");
    let file = setup.write_lines("rows.ndjson", &ordinary(82, 30));
    let encode = [
        "encode",
        "-m",
        path(),
        file.to_str().unwrap(),
        "--member",
        "2",
    ];
    let decode = ["decode", "-m", path(), "--member", "2"];
    let piped = |codes: &str, arguments: &[&str]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outlierd"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(codes.as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let from_lines = piped(&succeed(&encode).stdout, &decode);
    let columns = succeed(&[&encode[..], &["--format", "csv"]].concat()).stdout;
    assert!(columns.starts_with("row,member,p,score,code_1,code_2,code_3,deviation_1,"));
    assert_eq!(piped(&columns, &[&decode[..], &["-"]].concat()), from_lines);
    assert_eq!(from_lines.lines().count(), 30);
}

#[test]
fn a_row_that_cannot_be_read_has_no_code_and_decodes_to_nothing() {
    let setup = Setup::new("127.0.0.1:1");
    let mut rows = ordinary(83, 5);
    rows[2] = r#"{"pressure":"high"}"#.into();
    let file = setup.write_lines("rows.ndjson", &rows);
    let shown = succeed(&["encode", "-m", path(), file.to_str().unwrap()]).stdout;
    assert_eq!(lines(&shown)[2]["rejected"], "type_mismatch");
    let codes = setup.path("codes.ndjson");
    std::fs::write(&codes, shown).unwrap();
    let decoded = succeed(&["decode", "-m", path(), codes.to_str().unwrap()]);
    assert_eq!(decoded.stdout.lines().count(), 4);
    assert!(
        decoded.stderr.contains("1 rows had no code"),
        "{}",
        decoded.stderr
    );
}

#[test]
fn what_cannot_be_done_is_said_with_the_reason() {
    let setup = Setup::new("127.0.0.1:1");
    let codes = |name: &str, line: &str| {
        let file = setup.write_lines(name, &[line.to_owned()]);
        file.to_str().unwrap().to_owned()
    };
    let (short, text) = (
        codes("short", r#"{"code":[1,2]}"#),
        codes("text", r#"{"code":[1,"x",3]}"#),
    );
    let far = codes("far", r#"{"code":[3e38,3e38,3e38]}"#);
    let (model, no_model) = (path(), "no-such.safetensors");
    for (arguments, reason) in [
        (
            vec!["sample", "-m", model, "-n", "0"],
            "-n 0: how many records, at least 1",
        ),
        (
            vec!["sample", "-m", no_model, "-n", "1"],
            "there is no model at no-such.safetensors",
        ),
        (
            vec!["sample", "-m", model, "-n", "1", "--member", "9"],
            "there is no member 9: this model has 4",
        ),
        (
            vec!["encode", "-m", model, &far, "--member", "0"],
            "there is no member 0",
        ),
        (
            vec!["encode", "-m", model, "no-such.csv"],
            "cannot read no-such.csv",
        ),
        (
            vec!["decode", "-m", model, &short],
            "short at line 1: the code has 2 numbers, and those of this model have 3",
        ),
        (
            vec!["decode", "-m", model, &text],
            "\"x\" in the code is no number",
        ),
        (
            vec!["decode", "-m", model, &far],
            "code 1 is so far from all others",
        ),
    ] {
        let ended = outlierd(&arguments);
        assert!(!ended.status.success(), "{arguments:?}");
        assert!(
            ended.stderr.contains(reason),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

#[test]
fn an_early_end_of_the_reader_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_outlierd"))
        .args(["sample", "-m", path(), "-n", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    assert!(first.starts_with('{'));
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
