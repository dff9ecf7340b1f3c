//! The dashboard and the alerts name only metrics, labels and label values that exist.

use std::collections::BTreeSet;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;

use crate::metrics::{Kind, Label, Metrics, Values};

const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/grafana-dashboard.json");
const ALERTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/alerts.yml");

/// Labels that Prometheus adds.
const ADDED: &[&str] = &["instance", "job", "le"];

/// The series names of every metric, with the labels of each.
fn series() -> Vec<(String, &'static [Label])> {
    let mut series: Vec<(String, &'static [Label])> = Vec::new();
    for declaration in Metrics::declarations() {
        let suffixes: &[&str] = match declaration.kind {
            Kind::Histogram => &["_bucket", "_sum", "_count"],
            Kind::Counter | Kind::Gauge => &[""],
        };
        for suffix in suffixes {
            series.push((format!("{}{suffix}", declaration.name), declaration.labels));
        }
    }
    for desc in ProcessCollector::for_self().desc() {
        series.push((desc.fq_name.clone(), &[]));
    }
    series
}

fn dashboard_expressions() -> Vec<String> {
    let text = std::fs::read_to_string(DASHBOARD).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut expressions = Vec::new();
    collect_expressions(&dashboard, &mut expressions);
    expressions
}

fn collect_expressions(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value.as_str()) {
                    ("expr", Some(expression)) => into.push(expression.to_owned()),
                    // A variable's query; a data source's is a bare name.
                    ("query", Some(query)) if query.contains('(') => into.push(query.to_owned()),
                    _ => collect_expressions(value, into),
                }
            }
        }
        serde_json::Value::Array(values) => {
            for value in values {
                collect_expressions(value, into);
            }
        }
        _ => {}
    }
}

/// The `expr` of every rule: on the same line, or folded (`>-`) on the deeper lines below.
fn alert_expressions() -> Vec<String> {
    let text = std::fs::read_to_string(ALERTS).unwrap();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut lines = text.lines().peekable();
    let mut expressions = Vec::new();
    while let Some(line) = lines.next() {
        let Some(rest) = line.trim_start().strip_prefix("expr:") else {
            continue;
        };
        let mut expression = rest.trim().trim_start_matches(">-").to_owned();
        while let Some(folded) = lines.next_if(|next| indent(next) > indent(line)) {
            expression.push(' ');
            expression.push_str(folded.trim());
        }
        expressions.push(expression);
    }
    expressions
}

fn expressions() -> Vec<String> {
    [dashboard_expressions(), alert_expressions()].concat()
}

/// The metric names in `expression`, each with what stands between the braces behind it.
fn selectors(expression: &str) -> Vec<(&str, &str)> {
    let part_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut selectors = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(part_of_a_name) {
        let word = &rest[start..];
        let end = word.find(|c| !part_of_a_name(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        rest = after;
        if name.starts_with("outlierd_") || name.starts_with("process_") {
            let inside = after
                .strip_prefix('{')
                .and_then(|open| open.split_once('}'));
            selectors.push((name, inside.map_or("", |(matchers, _)| matchers)));
        }
    }
    selectors
}

/// What is wrong with one matcher, `label="value"` or `label=~"one|other"`.
fn fault(matcher: &str, labels: &[Label]) -> Option<String> {
    let (name, value) = matcher.split_once('=')?;
    let name = name.trim().trim_end_matches('!');
    if ADDED.contains(&name) {
        return None;
    }
    let Some(label) = labels.iter().find(|label| label.name == name) else {
        return Some(format!("no label {name}"));
    };
    let Values::Closed(known) = label.values else {
        return None;
    };
    let wanted = value.trim_start_matches('~').trim().trim_matches('"');
    wanted
        .split('|')
        .find(|wanted| known.iter().all(|known| known.value != *wanted))
        .map(|wanted| format!("no value {wanted} of {name}"))
}

/// The labels in every `by (…)` and `on (…)`.
fn grouped_by(expression: &str) -> Vec<&str> {
    let behind = |word| expression.split(word).skip(1);
    behind("by (")
        .chain(behind("on ("))
        .filter_map(|group| group.split_once(')'))
        .flat_map(|(labels, _)| labels.split(',').map(str::trim))
        .filter(|label| !label.is_empty())
        .collect()
}

fn faults(expression: &str) -> Vec<String> {
    let series = series();
    let mut faults = Vec::new();
    for (name, matchers) in selectors(expression) {
        let Some((_, labels)) = series.iter().find(|(known, _)| known == name) else {
            faults.push(format!("no metric {name}"));
            continue;
        };
        let matchers = matchers.split(',').filter(|matcher| !matcher.is_empty());
        faults.extend(matchers.filter_map(|matcher| fault(matcher, labels)));
    }
    for label in grouped_by(expression) {
        let known = |label_of: &Label| label_of.name == label;
        if !ADDED.contains(&label) && !series.iter().any(|(_, labels)| labels.iter().any(known)) {
            faults.push(format!("no label {label} to group by"));
        }
    }
    faults
}

fn is_balanced(expression: &str) -> bool {
    let mut open = Vec::new();
    let mut quoted = false;
    for c in expression.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(c) => return false,
            _ => {}
        }
    }
    open.is_empty() && !quoted
}

#[test]
fn the_dashboard_and_the_alerts_name_only_what_exists() {
    let expressions = expressions();
    assert!(expressions.len() > 20, "expressions were found");
    for expression in expressions {
        let faults = faults(&expression);
        assert!(faults.is_empty(), "{faults:?} in {expression}");
        assert!(!selectors(&expression).is_empty() || expression.starts_with("up{"));
    }
}

#[test]
fn the_expressions_are_balanced() {
    for expression in expressions() {
        assert!(is_balanced(&expression), "{expression}");
    }
}

#[test]
fn the_checks_themselves_find_faults() {
    assert_eq!(
        faults("rate(outlierd_nothing[5m])"),
        ["no metric outlierd_nothing"]
    );
    assert_eq!(faults("outlierd_score"), ["no metric outlierd_score"]);
    assert_eq!(
        faults("outlierd_ready{stage=\"score\"}"),
        ["no label stage"]
    );
    assert_eq!(
        faults("outlierd_records_total{disposition=~\"normal|odd\",job=\"x\"}"),
        ["no value odd of disposition"]
    );
    assert_eq!(
        faults("sum by (job, colour) (outlierd_ready)"),
        ["no label colour to group by"]
    );
    assert!(faults("rate(outlierd_score_bucket{le=\"1\"}[5m])").is_empty());
    assert!(!is_balanced("sum(rate(x[5m])"));
    assert!(!is_balanced("sum(x{y=\"z})"));
    assert!(is_balanced("sum(x{y=\"(\"}) > 0"));
}

/// Every panel has its own id and stands on a place of its own.
#[test]
fn the_panels_of_the_dashboard_do_not_overlap() {
    let text = std::fs::read_to_string(DASHBOARD).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(
            ids.insert(panel["id"].as_u64().unwrap()),
            "{}",
            panel["title"]
        );
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
    assert!(ids.len() >= 12);
}
