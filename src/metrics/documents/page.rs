//! `docs/metrics.md` is written from the declarations.

use std::fmt::Write;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;

use crate::metrics::{Declaration, Kind, Label, Metrics, Values};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");

const HEAD: &str = "# Metrics

Served at `/metrics` in Prometheus's text format. This page is written from the declarations in
`src/metrics/mod.rs`; a test compares the two (`OUTLIERD_BLESS=1 cargo test metrics` rewrites it).

Counters count from the start of the process. Every series of a closed label is there from the
start, at 0. No label holds a key or any text of a record.

| metric | type | unit | labels | meaning |
| --- | --- | --- | --- | --- |
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for declaration in Metrics::declarations() {
        writeln!(page, "{}", row(declaration)).unwrap();
    }
    page.push_str("\n## Values of the closed labels\n\n| metric | label | value | meaning |\n| --- | --- | --- | --- |\n");
    for declaration in Metrics::declarations() {
        for label in declaration.labels {
            page.push_str(&values(declaration, label));
        }
    }
    page.push_str("\n## Upper bounds of the histograms\n\n| metric | bounds |\n| --- | --- |\n");
    for declaration in Metrics::declarations() {
        if declaration.kind == Kind::Histogram {
            let bounds: Vec<String> = declaration.buckets.iter().map(f64::to_string).collect();
            writeln!(page, "| `{}` | {} |", declaration.name, bounds.join(", ")).unwrap();
        }
    }
    page.push_str("\n## The process\n\n| metric | meaning |\n| --- | --- |\n");
    for desc in ProcessCollector::for_self().desc() {
        writeln!(page, "| `{}` | {} |", desc.fq_name, desc.help).unwrap();
    }
    page
}

fn row(declaration: &Declaration) -> String {
    let labels = declaration.labels.iter().map(|label| match label.values {
        Values::Closed(_) => format!("`{}`", label.name),
        Values::Bounded(bound) => format!("`{}`: {bound}", label.name),
    });
    format!(
        "| `{}` | {} | {} | {} | {} |",
        declaration.name,
        declaration.kind.as_str(),
        declaration.unit,
        labels.collect::<Vec<_>>().join("; "),
        declaration.help
    )
}

fn values(declaration: &Declaration, label: &Label) -> String {
    let Values::Closed(values) = label.values else {
        return String::new();
    };
    let (metric, label) = (declaration.name, label.name);
    let rows = values.iter().map(|value| {
        format!(
            "| `{metric}` | `{label}` | `{}` | {} |\n",
            value.value, value.help
        )
    });
    rows.collect()
}

#[test]
fn the_metrics_page_equals_the_declarations() {
    let expected = page();
    if std::env::var_os("OUTLIERD_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(PATH, &expected).unwrap();
    }
    let written = std::fs::read_to_string(PATH).unwrap_or_default();
    assert!(
        written == expected,
        "docs/metrics.md is out of date: run OUTLIERD_BLESS=1 cargo test metrics"
    );
}

#[test]
fn every_name_follows_the_conventions_of_prometheus() {
    for declaration in Metrics::declarations() {
        let name = declaration.name;
        assert!(name.starts_with("outlierd_"), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            declaration.kind == Kind::Counter,
            "{name}"
        );
        assert_eq!(
            name.ends_with("_seconds"),
            declaration.unit == "seconds",
            "{name}"
        );
        assert_eq!(
            name.contains("_bytes"),
            declaration.unit == "bytes",
            "{name}"
        );
        assert!(
            declaration.help.ends_with('.'),
            "{name}: {}",
            declaration.help
        );
        assert!(
            !declaration.help.contains('|'),
            "{name} would break the table"
        );
        assert_eq!(
            declaration.buckets.is_empty(),
            declaration.kind != Kind::Histogram,
            "{name}"
        );
        assert!(declaration.buckets.is_sorted(), "{name}");
    }
}
