//! The shared model, and what `outlierd score` says of readings: the verdicts that the line must
//! come to.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;

use super::Setup;
use super::process::outlierd;
use super::records::{FIELDS, ordinary};

/// Rows that the model learns.
const ROWS: usize = 1500;

/// What `score` says of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub flagged: bool,
    pub score_bits: u32,
}

/// A tiny real model, trained once a process through the real binary.
pub fn model() -> &'static Path {
    static MODEL: OnceLock<PathBuf> = OnceLock::new();
    MODEL.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(std::process::id().to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let (config, rows, model) = (
            folder.join("train.toml"),
            folder.join("rows.ndjson"),
            folder.join("model.safetensors"),
        );
        let settings = "[kafka]\nbrokers = \"127.0.0.1:1\"\n[input]\ntopic = \"readings\"\n\
            [train]\nhidden = 16\nlatent = 3\nmax_steps = 200\n";
        std::fs::write(&config, format!("{settings}{FIELDS}")).unwrap();
        std::fs::write(&rows, ordinary(1, ROWS).join("\n")).unwrap();
        let ended = outlierd(&["train", "-c", text(&config), "--from-file", text(&rows)]);
        assert!(ended.status.success(), "{}", ended.stderr);
        model
    })
}

/// The verdicts of `outlierd score` on `rows`, by the budget of a setup.
pub fn verdicts(setup: &Setup, rows: &[String]) -> Vec<Verdict> {
    verdicts_by(model(), setup, rows)
}

/// As [`verdicts`], of the model in a file.
pub fn verdicts_by(model: &Path, setup: &Setup, rows: &[String]) -> Vec<Verdict> {
    let file = setup.write_lines("to-score.ndjson", rows);
    let ended = outlierd(&["score", text(&file), "-m", text(model), "--budget", "1%"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let verdict = |line: &str| {
        let shown: Value = serde_json::from_str(line).unwrap();
        Verdict {
            flagged: shown["flagged"].as_bool().unwrap(),
            score_bits: score_bits(&shown),
        }
    };
    let verdicts: Vec<Verdict> = ended.stdout.lines().map(verdict).collect();
    assert_eq!(verdicts.len(), rows.len());
    verdicts
}

/// The score of a message or of a line of `score`, as the bits that it was.
pub fn score_bits(shown: &Value) -> u32 {
    (shown["score"].as_f64().unwrap() as f32).to_bits()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
