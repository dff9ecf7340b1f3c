#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::*;
use crate::config::Kind;

fn survey(rows: impl IntoIterator<Item = Value>) -> Report {
    let mut survey = Survey::new();
    for row in rows {
        survey.add(row.to_string().as_bytes());
    }
    survey.report()
}

#[track_caller]
fn field<'a>(report: &'a Report, path: &str) -> &'a FieldReport {
    let found = report.fields.iter().find(|field| field.path == path);
    found.expect("the report has the field")
}

/// Numbers that look random and are the same in every run, 0 to 1.
fn noise(i: usize) -> f64 {
    (i as f64 * 0.618_033_988_749_895).fract()
}

fn card(i: usize) -> String {
    let digits = format!("4000{:011}", i % 40);
    let found = (0..10).map(|check| format!("{digits}{check}"));
    found
        .into_iter()
        .find(|text| card::is_card_number(text))
        .unwrap()
}

fn transaction(i: usize) -> Value {
    json!({
        "id": format!("{:032x}", i * 7919),
        "number": 1_000_000 + (i * 7919) % 999_983,
        "at": 1_700_000_000_000_u64 + i as u64 * 1_000_000,
        "card": card(i),
        "pan": card(i).parse::<u64>().unwrap(),
        "amount": (noise(i) * 10_000.0).round() / 100.0,
        "country": (["de", "fr", "it"][i % 3]),
        "merchant_name": format!("merchant {}", (noise(i) * 90.0) as u32),
        "online": i.is_multiple_of(4),
        "chip": i % 2,
        "currency": "EUR",
        "total_seen": 17 * i,
        "note": format!("please deliver parcel {i} to the door"),
        "items": [1, 2, i],
        "gone": null,
        "geo": {"lat": if i.is_multiple_of(10) { Value::Null } else { json!(noise(i)) }},
        "born": format!("19{:02}-01-01", 10 + i * 31 % 80),
    })
}

#[test]
fn every_field_has_its_kind_and_its_suggestion() {
    let report = survey((0..600).map(transaction));
    use Reason::*;
    let include = Suggestion::Include;
    for (path, kind, suggestion) in [
        (
            "id",
            Some(Kind::Categorical),
            Suggestion::LeaveOut(Identifier),
        ),
        (
            "number",
            Some(Kind::Numeric),
            Suggestion::LeaveOut(Identifier),
        ),
        ("at", Some(Kind::Timestamp), include),
        (
            "card",
            Some(Kind::Categorical),
            Suggestion::LeaveOut(CardNumber),
        ),
        ("pan", Some(Kind::Numeric), Suggestion::LeaveOut(CardNumber)),
        ("amount", Some(Kind::Numeric), include),
        ("country", Some(Kind::Categorical), include),
        (
            "merchant_name",
            Some(Kind::Categorical),
            Suggestion::LeaveOut(ManyWords),
        ),
        ("online", Some(Kind::Boolean), include),
        ("chip", Some(Kind::Boolean), include),
        (
            "currency",
            Some(Kind::Categorical),
            Suggestion::LeaveOut(Constant),
        ),
        (
            "total_seen",
            Some(Kind::Numeric),
            Suggestion::LeaveOut(Counter),
        ),
        (
            "note",
            Some(Kind::Categorical),
            Suggestion::LeaveOut(FreeText),
        ),
        ("items", None, Suggestion::LeaveOut(Array)),
        ("gone", None, Suggestion::LeaveOut(AlwaysNull)),
        ("geo.lat", Some(Kind::Numeric), include),
        ("born", Some(Kind::Timestamp), include),
    ] {
        let field = field(&report, path);
        assert_eq!((field.kind, field.suggestion), (kind, suggestion), "{path}");
    }
    assert_eq!(report.fields.len(), 17);
    assert_eq!(report.key.as_deref(), Some("card"));
    assert_eq!(report.time.as_deref(), Some("at"));
    assert_eq!((report.filter, report.long), (None, None));
}

#[test]
fn ranges_words_and_gaps_are_measured() {
    let report = survey((0..600).map(transaction));
    let latitude = field(&report, "geo.lat");
    assert!((latitude.missing - 0.1).abs() < 1e-9);
    let Values::Numbers { min, median, max } = latitude.values else {
        panic!("{latitude:?}")
    };
    assert!(min < 0.01 && (median - 0.5).abs() < 0.01 && max > 0.99);
    let words = ["de", "fr", "it"].map(|word| (word.to_owned(), 200));
    assert_eq!(
        field(&report, "country").values,
        Values::Words(words.to_vec())
    );
    assert_eq!(field(&report, "online").values, Values::Booleans(0.25));
    assert_eq!(field(&report, "chip").values, Values::Booleans(0.5));
    let items = Values::Arrays {
        shortest: 3,
        longest: 3,
    };
    assert_eq!(field(&report, "items").values, items);
}

#[test]
fn timestamps_of_a_few_hours_are_left_out_but_still_the_time() {
    let report = survey(
        (0..50).map(|i| json!({"ts": format!("2024-01-01T{:02}:00:00Z", i / 5), "x": noise(i)})),
    );
    let time = field(&report, "ts");
    assert_eq!(time.kind, Some(Kind::Timestamp));
    assert_eq!(time.suggestion, Suggestion::LeaveOut(Reason::ShortPeriod));
    assert_eq!(report.time.as_deref(), Some("ts"));
}

#[test]
fn a_numeric_key_is_no_measurement() {
    let report = survey((0..90).map(|i| json!({"machine_id": i % 9 * 13, "x": noise(i)})));
    assert_eq!(report.key.as_deref(), Some("machine_id"));
    let key = field(&report, "machine_id");
    assert_eq!(key.suggestion, Suggestion::LeaveOut(Reason::Key));
}

#[test]
fn records_that_are_no_objects_are_counted() {
    let mut survey = Survey::new();
    for bytes in ["{\"a\":1}", "[1]", "{", "7"] {
        survey.add(bytes.as_bytes());
    }
    let report = survey.report();
    assert_eq!((report.rows, report.unreadable), (1, 3));
    assert!(Survey::new().report().fields.is_empty());
}

#[test]
fn shapes_are_told_apart_by_a_word() {
    let report = survey((0..300).map(|i| match i % 3 {
        0 => json!({"kind": "status", "site": "a", "up": true, "uptime": i}),
        // One optional field makes no other shape.
        1 => json!({"kind": "reading", "site": "a", "x": noise(i), "y": i % 7, "z": noise(i + 5)}),
        _ => json!({"kind": "reading", "site": "a", "x": noise(i), "y": i % 7}),
    }));
    assert_eq!(report.shapes.len(), 2);
    assert!((report.shapes[0].share - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(report.filter.as_deref(), Some("kind = \"reading\""));
    assert_eq!(report.surveyed, 200);
    assert!(report.fields.iter().all(|field| field.path != "up"));
    assert!((field(&report, "z").missing - 0.5).abs() < 1e-9);
}

#[test]
fn shapes_without_such_a_word_are_told_apart_by_a_path() {
    let report = survey((0..300).map(|i| match i % 3 {
        0 => json!({"site": "a", "up": true, "uptime": i}),
        _ => json!({"site": "a", "x": noise(i), "y": i % 7}),
    }));
    assert_eq!(report.filter.as_deref(), Some("x exists"));
}

#[test]
fn a_rare_shape_is_noise() {
    let report = survey((0..300).map(|i| match i {
        7 => json!({"hello": "world"}),
        _ => json!({"x": noise(i), "y": i % 7}),
    }));
    assert_eq!((report.shapes.len(), report.filter), (1, None));
}

#[test]
fn the_long_format_is_recognised() {
    let rows = (0..300).map(|i| {
        json!({"ts": 1_700_000_000 + i, "host": format!("h{}", i % 4),
               "metric": (["load", "temp", "load"][i % 3]), "value": noise(i)})
    });
    let report = survey(rows);
    let long = report.long.clone().unwrap();
    assert_eq!(
        (long.name.as_str(), long.value.as_str()),
        ("metric", "value")
    );
    assert_eq!(report.key.as_deref(), Some("host"));
    let text = report.to_toml("localhost:9092", "metrics");
    assert!(text.contains("#where = 'metric = \"load\"'"), "{text}");
    let wide =
        survey((0..300).map(
            |i| json!({"metric": (["a", "b"][i % 2]), "value": noise(i), "volts": noise(i + 1)}),
        ));
    assert_eq!(wide.long, None);
}

#[test]
fn a_path_that_is_both_value_and_object_stays_once() {
    let report = survey((0..100).map(|i| match i % 5 {
        0 => json!({"a": 1, "b": 2, "c": 3, "d": 4, "x": i}),
        _ => json!({"a": 1, "b": 2, "c": 3, "d": 4, "x": {"y": i}}),
    }));
    let paths: Vec<_> = report
        .fields
        .iter()
        .map(|field| field.path.as_str())
        .collect();
    assert_eq!(paths, ["a", "b", "c", "d", "x.y"]);
}

#[test]
fn the_configuration_holds_what_was_found_and_hides_what_is_private() {
    let mut rows: Vec<Value> = (0..600).map(transaction).collect();
    rows.push(json!({"key.with \"marks\"": 1}));
    rows.push(json!({"hostile": "line\nbreak = true\n[kafka]"}));
    let report = survey(rows);
    let text = report.to_toml("localhost:9092", "payments");
    let table: ::toml::Table = ::toml::from_str(&text).unwrap();
    assert_eq!(table["kafka"]["brokers"].as_str(), Some("localhost:9092"));
    assert_eq!(table["input"]["topic"].as_str(), Some("payments"));
    assert_eq!(table["input"]["key"].as_str(), Some("card"));
    assert_eq!(table["input"]["time"].as_str(), Some("at"));
    assert_eq!(table["output"]["topic"].as_str(), Some("payments.outliers"));
    let fields = table["fields"].as_array().unwrap();
    let paths: Vec<_> = fields
        .iter()
        .map(|field| field["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "amount", "at", "born", "chip", "country", "geo.lat", "online"
        ]
    );
    for shown in [
        "#path = \"merchant_name\"",
        "missing in 10 %",
        "median",
        "#redact = [\"card\", \"pan\"]",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(
        !text.contains("4000000") && !text.contains("parcel"),
        "{text}"
    );
}

#[test]
fn words_with_line_breaks_stay_inside_their_comment() {
    let words = ["one\ntopic = \"evil\"", "two"];
    let report = survey((0..40).map(|i| json!({"w\u{2028}w": words[i % 2], "x": noise(i)})));
    let text = report.to_toml("localhost:9092", "in");
    let table: ::toml::Table = ::toml::from_str(&text).unwrap();
    assert_eq!(table["input"]["topic"].as_str(), Some("in"));
    assert_eq!(table["fields"].as_array().unwrap().len(), 2);
}

#[test]
fn the_configuration_is_accepted_as_it_stands() {
    let mut rows: Vec<Value> = (0..600).map(transaction).collect();
    rows.extend((0..300).map(|i| json!({"a b.c\"d'`": "x\\y\"", "m": i, "hello": [1]})));
    let report = survey(rows);
    let text = report.to_toml("localhost:9092", "payments");
    let config = crate::config::Config::parse(&text, []).expect("it is accepted");
    crate::record::Decoder::new(&config.fields, &config.input).unwrap();
    let rows = (0..900).map(|i| match i % 3 {
        0 => transaction(i),
        _ => json!({"a b.c\"d'`": "x\\y\"", "m": noise(i), "k'": "\"'", "n.n": noise(i + 3)}),
    });
    let report = survey(rows);
    let text = report.to_toml("localhost:9092", "payments");
    let config = crate::config::Config::parse(&text, []).expect("it is accepted");
    let mut decoder = crate::record::Decoder::new(&config.fields, &config.input).unwrap();
    let row = json!({"a b.c\"d'`": "x\\y\"", "m": 0.5, "k'": "\"'", "n.n": 0.25}).to_string();
    let mut cells = vec![0.0; config.fields.len()];
    let mut words = crate::record::Vocabularies::learning(9);
    let decoded = decoder
        .decode(row.as_bytes(), &mut words, &mut cells)
        .unwrap();
    assert!(!decoded.filtered);
    assert_eq!(cells, [0.5, 0.25]);
}
