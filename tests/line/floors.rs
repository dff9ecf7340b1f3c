//! Lower floors never use higher ones, and adapters keep their libraries to themselves.

use std::fs;
use std::path::{Path, PathBuf};

/// Floors in tenths, so that the domain can have floors of its own.
const FLOORS: [(&str, u32); 24] = [
    ("config", 0),
    ("metrics", 0),
    ("health", 0),
    ("planted", 0),
    ("record", 10),
    ("vae", 10),
    ("features", 11),
    ("detect", 12),
    ("generate", 13),
    ("kafka", 20),
    ("registry", 21),
    ("feedback", 21),
    ("http", 22),
    ("files", 20),
    ("plot", 20),
    ("pipeline", 30),
    ("training", 30),
    ("retrain", 31),
    ("daemon", 40),
    ("evaluate", 40),
    ("demo", 45),
    ("cli", 50),
    ("commands", 51),
    ("main", 52),
];

/// Libraries, and the one folder that may name each.
const LIBRARIES: [(&str, &str); 5] = [
    ("rdkafka", "kafka"),
    ("candle_", "vae"),
    ("axum", "http"),
    ("ureq", "http"),
    ("plotters", "plot"),
];

fn floor(module: &str) -> u32 {
    let found = FLOORS.iter().find(|(name, _)| *name == module);
    found
        .unwrap_or_else(|| panic!("{module} has no floor: add it here and in src/lib.rs"))
        .1
}

/// What is wrong with the file of `module` whose text is `source`.
fn violations(module: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in code(source) {
        for used in used_modules(line) {
            // Those of the ground stand side by side, and know each other's words.
            let allowed = used == module
                || floor(used) < floor(module)
                || (floor(used) == 0 && floor(module) == 0);
            if !allowed {
                found.push(format!(
                    "line {number}: {module} uses {used}, which is not below it"
                ));
            }
        }
        for (library, owner) in LIBRARIES {
            if module != owner && names(line, library) {
                found.push(format!(
                    "line {number}: {module} names {library}, which is {owner}'s"
                ));
            }
        }
    }
    found
}

/// Lines with their numbers, comments and what stands in quotation marks left out.
fn code(source: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = source
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The modules after each `crate::` or `outlierd::`; of `crate::{a, b}` all.
fn used_modules(line: &str) -> Vec<&str> {
    let mut used = Vec::new();
    for prefix in ["crate::", "outlierd::"] {
        for (at, _) in line.match_indices(prefix) {
            let rest = &line[at + prefix.len()..];
            if let Some(list) = rest.strip_prefix('{') {
                let list = list.split('}').next().unwrap_or_default();
                used.extend(list.split(',').map(|part| first_word(part.trim())));
            } else {
                used.push(first_word(rest));
            }
        }
    }
    used.retain(|module| module.starts_with(|c: char| c.is_ascii_lowercase()));
    used
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Whether the crate is named: `librdkafka` is none, and neither is what stands in a text.
fn names(line: &str, library: &str) -> bool {
    let code = line.split('"').step_by(2).collect::<String>();
    code.match_indices(library).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn no_file_uses_a_floor_that_is_not_below_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let files = sources(&root);
    assert!(files.len() > 50, "the sources are not where they were");
    for file in files {
        let name = file.strip_prefix(&root).unwrap();
        let first = name
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let module = first.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        let wrong = violations(module, &source);
        // A test may stand in for what is outside by whatever library it likes.
        let stands_in = |what: &String| name.ends_with("tests.rs") && what.contains(" names ");
        found.extend(
            wrong
                .into_iter()
                .filter(|what| !stands_in(what))
                .map(|what| format!("src/{}, {what}", name.display())),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_line_is_found() {
    for (module, line) in [
        ("record", "use crate::features::Table;"),
        ("vae", "    use crate::{config::Field, record::Decoder};"),
        ("kafka", "use crate::http;"),
        ("detect", "let member = crate::registry::load(path);"),
        ("pipeline", "use crate::training::learn;"),
        ("daemon", "use crate::demo;"),
        ("cli", "use crate::commands;"),
        ("pipeline", "use rdkafka::message::Message;"),
        ("detect", "use candle_core::Tensor;"),
        ("daemon", "use axum::Router;"),
        ("evaluate", "use plotters::prelude::*;"),
        ("plot", "use crate::evaluate::Ranking;"),
    ] {
        assert_eq!(violations(module, line).len(), 1, "{module}: {line}");
    }
    for (module, line) in [
        ("detect", "use crate::features::Encoding;"),
        ("demo", "use crate::daemon;"),
        ("commands", "use crate::cli;"),
        (
            "main",
            "outlierd::commands::dispatch(outlierd::cli::Cli::parse())",
        ),
        (
            "pipeline",
            "// use crate::daemon; librdkafka and rdkafka::Message",
        ),
        ("config", r#"let text = "see rdkafka";"#),
        ("pipeline", "let librdkafka = 1;"),
    ] {
        assert!(violations(module, line).is_empty(), "{module}: {line}");
    }
}
