//! The model beside plain detectors, on a labelled file, through the real binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::harness::scores::model;
use super::harness::{Ended, outlierd};

/// A network that is trained in a second or two.
const CONFIGURATION: &str = "[kafka]\nbrokers = \"127.0.0.1:1\"\n[input]\ntopic = \"readings\"\n\
    [train]\nhidden = 16\nlatent = 2\nmax_steps = 150\nfloors = [0.2, 0.4]\n\
    [[fields]]\npath = \"x\"\n[[fields]]\npath = \"y\"\n[[fields]]\npath = \"z\"\n";

/// Readings of which y follows x and z follows both; every eighth one from row 200 on is of a
/// cluster that does not. Beside them a running number, a constant and a key.
fn readings() -> String {
    let mut text = "n,x,y,z,same,pump,label\n".to_owned();
    let noise = |row: u32, factor: u32| f64::from(row * factor % 97) / 97.0 - 0.5;
    for row in 0..400 {
        let odd = row > 200 && row % 8 == 0;
        let x = noise(row, 37) * 4.0;
        let (y, z) = match odd {
            true => (-2.0 * x + 3.0, 1.0),
            false => (2.0 * x, x * x),
        };
        let (y, z) = (y + noise(row, 53) * 0.2, z + noise(row, 71) * 0.2);
        let (n, pump) = (1000 + row, ["a", "b", "c"][row as usize % 3]);
        writeln!(text, "{n},{x:.4},{y:.4},{z:.4},7,{pump},{}", u8::from(odd)).unwrap();
    }
    text
}

/// A folder with the readings and a configuration.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new() -> Files {
        let files = Files {
            folder: tempfile::tempdir().unwrap(),
        };
        files.write("readings.csv", &readings());
        files.write("small.toml", CONFIGURATION);
        files
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `outlierd evaluate` on a file of the folder; arguments that end in .csv or .toml are too.
    fn evaluate(&self, file: &str, arguments: &[&str]) -> Ended {
        let here = |name: &str| match name.ends_with(".csv") || name.ends_with(".toml") {
            true => text(&self.folder.path().join(name)),
            false => name.to_owned(),
        };
        let arguments = arguments.iter().copied();
        let arguments = ["evaluate", file].into_iter().chain(arguments).map(here);
        let arguments: Vec<String> = arguments.collect();
        outlierd(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[track_caller]
    fn refused(&self, file: &str, arguments: &[&str], status: i32, words: &[&str]) {
        let ended = self.evaluate(file, arguments);
        assert_eq!(ended.status.code(), Some(status), "{}", ended.stderr);
        for word in words {
            assert!(ended.stderr.contains(word), "{word:?} in {}", ended.stderr);
        }
        assert_eq!(ended.stdout, "");
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[track_caller]
fn json(ended: &Ended) -> Value {
    assert!(ended.status.success(), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

fn detector<'v>(document: &'v Value, name: &str) -> &'v Value {
    let detectors = document["detectors"].as_array().unwrap();
    let found = detectors.iter().find(|detector| detector["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {document}"))
}

#[test]
fn the_model_beats_chance_and_the_document_has_the_promised_keys() {
    let files = Files::new();
    let arguments = [
        "-c",
        "small.toml",
        "--detectors",
        "outlierd,members,knn,random",
        "--json",
        "--seeds",
        "2",
        "--budget",
        "5%",
    ];
    let found = json(&files.evaluate("readings.csv", &arguments));
    assert_eq!(
        keys(&found),
        [
            "anomalies",
            "detectors",
            "file",
            "protocol",
            "rows",
            "seeds"
        ]
    );
    assert_eq!(found["file"], "readings.csv");
    assert_eq!(found["protocol"], "forward");
    assert_eq!(
        (&found["rows"], &found["anomalies"]),
        (&120.into(), &15.into())
    );
    assert_eq!(found["seeds"], 2);
    for detector in found["detectors"].as_array().unwrap() {
        assert_eq!(
            keys(detector),
            [
                "ap",
                "auroc",
                "false_alarm_rate",
                "name",
                "precision",
                "recall",
                "score_us",
                "train_s"
            ]
        );
    }
    let ap = |name| detector(&found, name)["ap"].as_f64().unwrap();
    assert!(ap("outlierd") > 2.0 * ap("random"), "{found}");
    assert!(ap("knn") > 2.0 * ap("random"), "{found}");
    assert!(detector(&found, "member f=0.4")["recall"].is_null());
    let ours = detector(&found, "outlierd");
    for figure in ["auroc", "false_alarm_rate", "recall", "train_s", "score_us"] {
        assert!(ours[figure].is_f64(), "{figure} in {ours}");
    }
}

#[test]
fn fields_are_inferred_and_the_table_says_what_was_left_out() {
    let files = Files::new();
    files.write(
        "more.csv",
        &format!("{}4,5\n1400,high,2,3,7,a,0\n", readings()),
    );
    let arguments = [
        "--detectors",
        "z2,random",
        "--protocol",
        "contaminated",
        "--key",
        "pump",
    ];
    let ended = files.evaluate("more.csv", &arguments);
    assert!(ended.status.success(), "{}", ended.stderr);
    for said in [
        "inferred 3 numeric fields; left out n: it only counts up; same: it never changes\n",
        "more.csv: 2 rows left out, the first: ",
        "contaminated: 400 rows train, 400 are scored, 24 of them anomalies (prevalence 6.00 %)",
        "key AUROC",
    ] {
        assert!(ended.stdout.contains(said), "{said:?} in {}", ended.stdout);
    }
    let at = |name: &str| ended.stdout.find(&format!("\n{name} ")).unwrap();
    assert!(at("detector") < at("z2") && at("z2") < at("random"));
}

#[test]
fn a_file_can_be_held_against_another_and_a_model_against_a_file() {
    let files = Files::new();
    files.write("later.csv", &readings());
    let arguments = [
        "--test",
        "later.csv",
        "--detectors",
        "pca",
        "-c",
        "small.toml",
        "--json",
    ];
    let found = json(&files.evaluate("readings.csv", &arguments));
    assert_eq!(
        (&found["rows"], &found["anomalies"]),
        (&400.into(), &24.into())
    );

    let mut pumps = "pressure,flow,temperature,mode,open,broken\n".to_owned();
    for row in 0..60 {
        let odd = row % 10 == 0;
        let (pressure, flow) = if odd { (40.0, -3.0) } else { (4.0, 8.0) };
        writeln!(pumps, "{pressure},{flow},32,run,true,{odd}").unwrap();
    }
    files.write("pumps.csv", &pumps);
    let model = text(model());
    let arguments = ["--model", &model, "--label", "broken", "--json"];
    let found = json(&files.evaluate("pumps.csv", &arguments));
    assert_eq!(found["protocol"], "model");
    assert_eq!(
        (&found["rows"], &found["anomalies"]),
        (&60.into(), &6.into())
    );
    let ours = detector(&found, "outlierd");
    assert_eq!(
        (&ours["auroc"], &ours["recall"]),
        (&1.0.into(), &1.0.into())
    );
    assert!(ours["train_s"].is_null());
    let arguments = ["--model", &model, "--label", "broken", "--detectors", "knn"];
    files.refused("pumps.csv", &arguments, 64, &["--model", "add --protocol"]);
}

#[test]
fn what_cannot_be_compared_is_refused_with_a_remedy() {
    let files = Files::new();
    let readings = readings();
    files.write(
        "few.csv",
        &readings.lines().take(31).collect::<Vec<_>>().join("\n"),
    );
    files.write(
        "normal.csv",
        &readings.lines().take(201).collect::<Vec<_>>().join("\n"),
    );
    files.write("noise.csv", "{\n1,2\n");
    let label = ["--label", "odd"];
    files.refused(
        "readings.csv",
        &label,
        64,
        &["no column `odd`", "--label", "n, pump"],
    );
    let detectors = ["--detectors", "outlierd,lof"];
    files.refused("readings.csv", &detectors, 64, &["\"lof\"", "iforest"]);
    let protocol = ["--protocol", "backward"];
    files.refused(
        "readings.csv",
        &protocol,
        64,
        &["forward, one-class, contaminated"],
    );
    let budget = ["--budget", "1"];
    files.refused("readings.csv", &budget, 64, &["--budget \"1\"", "0.1%"]);
    let budget = ["--budget", "20/day"];
    files.refused("readings.csv", &budget, 64, &["name --time"]);
    let key = ["--key", "card"];
    files.refused("readings.csv", &key, 64, &["`card`", "check --key"]);
    let label = ["--label", "x", "-c", "small.toml"];
    files.refused(
        "readings.csv",
        &label,
        1,
        &["no usable row", "no `x` that is 0 or 1"],
    );
    files.refused(
        "normal.csv",
        &[],
        1,
        &["all 60 scored rows are normal", "--label"],
    );
    files.refused("few.csv", &[], 1, &["21 usable rows", "50 are the least"]);
    files.refused("noise.csv", &[], 1, &["noise.csv"]);
    files.refused("absent.csv", &[], 1, &["cannot read"]);
}
