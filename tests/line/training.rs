//! What `outlierd train` makes of files that are odd themselves, and that it makes the same of the
//! same.

use super::harness::records::ordinary;
use super::harness::{Ended, Setup, outlierd, outlierd_with};

/// A training that takes little: one network, few steps.
fn setup() -> Setup {
    Setup::new("127.0.0.1:1")
        .set("model", "path", "\"made.safetensors\"")
        .set("train", "floors", "[0.5]")
        .set("train", "max_steps", "60")
}

fn numeric(paths: &[&str]) -> String {
    let field = |path: &&str| format!("\n[[fields]]\npath = {path:?}\n");
    paths.iter().map(field).collect()
}

/// Trains on `text` as the file `name`.
fn train(setup: &Setup, name: &str, text: &str) -> Ended {
    let file = setup.path(name);
    std::fs::write(&file, text).unwrap();
    let config = setup.write();
    let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
    outlierd(&["train", "-c", config, "--from-file", file])
}

#[track_caller]
fn said(ended: &Ended) -> &str {
    assert!(ended.status.success(), "{}", ended.stderr);
    &ended.stdout
}

#[track_caller]
fn refused(ended: &Ended) -> &str {
    assert!(!ended.status.success(), "{}", ended.stdout);
    &ended.stderr
}

/// A header and `rows` rows of `x`, rising and falling, and `y`.
fn csv(rows: usize, y: impl Fn(usize) -> String) -> String {
    let row = |row: usize| format!("{:.3},{}\n", (row as f64 * 0.7).sin(), y(row));
    format!("x,y\n{}", (0..rows).map(row).collect::<String>())
}

#[test]
fn the_same_rows_make_the_same_file_whatever_its_path_and_the_threads() {
    let rows = ordinary(31, 900);
    let mut made = Vec::new();
    for (name, threads) in [("a.ndjson", "1"), ("b.ndjson", "4")] {
        let setup = setup().set("train", "floors", "[0.2, 1.0]").set(
            "model",
            "path",
            &format!("{:?}", format!("{name}.model")),
        );
        let file = setup.write_lines(name, &rows);
        let config = setup.write();
        let (config, file) = (config.to_str().unwrap(), file.to_str().unwrap());
        let environment = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"].map(|name| (name, threads));
        let ended = outlierd_with(&environment, &["train", "-c", config, "--from-file", file]);
        assert!(ended.status.success(), "{}", ended.stderr);
        made.push(std::fs::read(setup.path(&format!("{name}.model"))).unwrap());
    }
    assert!(made[0] == made[1], "the files differ");
}

#[test]
fn rows_beyond_the_cap_are_sampled_and_it_says_so() {
    let setup = setup()
        .fields(&numeric(&["x", "y"]))
        .set("train", "max_rows", "300");
    let ended = train(&setup, "rows.csv", &csv(1000, |row| (row % 17).to_string()));
    let said = said(&ended);
    assert!(said.contains("rows       300 in"), "{said}");
    assert!(
        said.contains("drawn evenly from 1000: train.max_rows = 300"),
        "{said}"
    );
    let model = setup.path("made.safetensors");
    let shown = outlierd(&["show", model.to_str().unwrap()]).stdout;
    assert!(shown.contains("drawn evenly from 1000"), "{shown}");
}

#[test]
fn the_rate_is_that_of_all_rows_and_not_of_the_sample() {
    let setup = setup()
        .fields(&numeric(&["x"]))
        .set("input", "time", "\"at\"")
        .set("train", "max_rows", "200");
    // One record a minute, two days and one minute long.
    let rows: Vec<String> = (0..2881)
        .map(|row| format!("{{\"x\":{},\"at\":{}}}", row % 23, 1_767_225_600 + 60 * row))
        .collect();
    said(&train(&setup, "rows.ndjson", &rows.join("\n")));
    let model = setup.path("made.safetensors");
    let shown = outlierd(&["show", model.to_str().unwrap()]).stdout;
    assert!(shown.contains("about 1440 records a day"), "{shown}");
    assert!(
        shown.contains("from 2026-01-01T00:00:00Z to 2026-01-03T00:00:00Z"),
        "{shown}"
    );
}

#[test]
fn empty_cells_nan_and_null_are_missing_and_are_counted() {
    let gaps = |row: usize| ["1.5", "", "NaN", "2.5", "nan"][row % 5].to_owned();
    let setup = setup().fields(&numeric(&["x", "y"]));
    let ended = train(&setup, "rows.csv", &csv(300, gaps));
    let said = said(&ended);
    assert!(said.contains("rows       300 in"), "{said}");
    assert!(said.contains("missing: y in 60.0 % of the rows"), "{said}");
    let null = |row: usize| if row.is_multiple_of(2) { "null" } else { "1.5" };
    let rows: Vec<String> = (0..300)
        .map(|row| format!("{{\"x\":{row},\"y\":{}}}", null(row)))
        .collect();
    let ended = train(&setup, "rows.ndjson", &rows.join("\n"));
    assert!(self::said(&ended).contains("missing: y in 50.0 % of the rows"));
}

#[test]
fn nan_that_json_does_not_know_and_infinity_make_unusable_rows() {
    let setup = setup().fields(&numeric(&["x", "y"]));
    let rows: Vec<String> = (0..300)
        .map(|row| {
            format!(
                "{{\"x\":{row},\"y\":{}}}",
                if row == 7 { "NaN" } else { "1" }
            )
        })
        .collect();
    let ended = train(&setup, "rows.ndjson", &rows.join("\n"));
    let found = said(&ended);
    assert!(found.contains("rows       299 in"), "{found}");
    assert!(found.contains("unusable: 1 "), "{found}");
    let infinite = |row: usize| {
        if row == 9 {
            "inf".into()
        } else {
            (row % 7).to_string()
        }
    };
    let ended = train(&setup, "rows.csv", &csv(300, infinite));
    let found = said(&ended);
    assert!(
        found.contains("unusable: 1 type_mismatch; the first: "),
        "{found}"
    );
    assert!(found.contains("expected a number"), "{found}");
}

#[test]
fn constant_and_absent_fields_are_named_and_left_out() {
    let setup = setup().fields(&numeric(&["x", "y", "z"]));
    let ended = train(&setup, "rows.csv", &csv(300, |_| "7".into()));
    let said = said(&ended);
    assert!(said.contains("fields     1 in 1 columns"), "{said}");
    assert!(
        said.contains("in no row, so not used: z; check the paths"),
        "{said}"
    );
    assert!(said.contains("so not used: y\n"), "{said}");
}

#[test]
fn fifty_rows_and_one_field_make_a_model_that_claims_no_more_than_they_attest() {
    let setup = setup().fields(&numeric(&["x"]));
    let ended = train(&setup, "rows.csv", &csv(50, |_| "1".into()));
    let said = said(&ended);
    assert!(said.contains("cross-fitted in blocks of time"), "{said}");
    assert!(
        said.contains("the budget is finer than these rows can attest"),
        "{said}"
    );
}

#[test]
fn a_flag_that_is_seldom_set_is_learnt_alone() {
    let setup = setup().fields("\n[[fields]]\npath = \"on\"\nkind = \"boolean\"\n");
    for every in [20, 399] {
        let rows: Vec<String> = (1..=400)
            .map(|row| format!("{{\"on\":{}}}", row % every == 0))
            .collect();
        said(&train(&setup, "rows.ndjson", &rows.join("\n")));
    }
}

#[test]
fn what_cannot_be_learnt_is_refused_with_a_remedy() {
    let setup = setup().fields(&numeric(&["x", "y"]));
    for (name, text, words) in [
        (
            "none.csv",
            String::new(),
            "there is no record to learn from",
        ),
        (
            "header.csv",
            "x,y\n".into(),
            "there is no record to learn from",
        ),
        (
            "none.ndjson",
            "\n\n".into(),
            "there is no record to learn from",
        ),
        (
            "few.csv",
            csv(49, |_| "1".into()),
            "49 usable rows are too few to learn from, 50 are the least; of 49 records, 0 were \
             unusable and 0 did not match input.where",
        ),
        (
            "wrong.csv",
            csv(80, |_| "high".into()),
            "of 80 records, 80 were unusable (the first: ",
        ),
        (
            "constant.csv",
            format!("x,y\n{}", "3,4\n".repeat(100)),
            "no field varies in the training rows: x, y are constant: there is nothing to learn",
        ),
        (
            "other.csv",
            format!("a,b\n{}", "3,4\n".repeat(100)),
            "no field varies in the training rows: x, y are in no row",
        ),
    ] {
        let ended = train(&setup, name, &text);
        let said = refused(&ended);
        assert!(said.contains(words), "{name}: {said}");
        assert_eq!(ended.status.code(), Some(1), "{name}");
    }
}

#[test]
fn one_word_for_all_rows_is_refused_as_well() {
    let setup = setup().fields(
        "\n[[fields]]\npath = \"x\"\nkind = \"categorical\"\n[[fields]]\npath = \"y\"\nkind = \"boolean\"\n",
    );
    let ended = train(
        &setup,
        "rows.csv",
        &format!("x,y\n{}", "a,true\n".repeat(100)),
    );
    assert!(
        refused(&ended).contains("x, y are constant"),
        "{}",
        ended.stderr
    );
}

/// A limit on the size of files stands in for a full disk: writing fails in the middle, in the same place of the code.
#[test]
fn a_disk_that_is_full_leaves_the_old_model_as_it_was() {
    let setup = setup().fields(&numeric(&["x", "y"]));
    let text = csv(600, |row| format!("{row}"));
    said(&train(&setup, "rows.csv", &text));
    let model = setup.path("made.safetensors");
    let before = std::fs::read(&model).unwrap();
    let files = || std::fs::read_dir(model.parent().unwrap()).unwrap().count();
    let count = files();
    let (config, rows) = (setup.path("outlierd.toml"), setup.path("rows.csv"));
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ; ulimit -f 4; exec \"$@\"")
        .args(["sh", env!("CARGO_BIN_EXE_outlierd"), "train", "-c"])
        .arg(&config)
        .arg("--from-file")
        .arg(&rows)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("made.safetensors"), "{told}");
    assert!(told.contains("File too large"), "{told}");
    assert!(
        std::fs::read(&model).unwrap() == before,
        "the model has changed"
    );
    assert_eq!(files(), count, "something is left over");
}
