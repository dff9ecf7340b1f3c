#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

fn settings() -> Settings {
    Settings {
        customers: 200,
        terminals: 400,
        broken_share: 0.0,
        ..Settings::default()
    }
}

fn take(settings: Settings, count: usize) -> Vec<(Vec<u8>, Label)> {
    let mut transactions = Transactions::new(settings).unwrap();
    (0..count)
        .map(|_| {
            let mut record = Vec::new();
            let label = transactions.next(&mut record);
            (record, label)
        })
        .collect()
}

fn parsed(record: &[u8]) -> Value {
    serde_json::from_slice(record).unwrap()
}

fn seconds(record: &Value) -> i64 {
    let time: Timestamp = record["time"].as_str().unwrap().parse().unwrap();
    time.as_second()
}

#[test]
fn one_seed_gives_one_stream() {
    let other = Settings {
        seed: 2,
        ..settings()
    };
    assert_eq!(take(settings(), 500), take(settings(), 500));
    assert_ne!(take(settings(), 500), take(other, 500));
}

#[test]
fn broken_records_change_no_other() {
    let broken = take(
        Settings {
            broken_share: 0.2,
            ..settings()
        },
        2000,
    );
    let kinds: BTreeSet<_> = broken
        .iter()
        .filter_map(|(_, label)| label.broken)
        .collect();
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    for ((with, label), (without, _)) in broken.iter().zip(take(settings(), 2000)) {
        assert_eq!(label.broken.is_none(), *with == without);
    }
}

#[test]
fn a_record_holds_what_a_platform_sends_and_no_label() {
    let known = [
        "amount",
        "card_count_7d",
        "card_id",
        "card_mean_amount_7d",
        "card_number",
        "channel",
        "terminal_count_7d",
        "terminal_id",
        "time",
        "transaction_id",
    ];
    let mut names = BTreeSet::new();
    for (record, label) in take(settings(), 2000) {
        let record = parsed(&record);
        assert_eq!(record["card_id"], label.card_id);
        names.extend(record.as_object().unwrap().keys().cloned());
    }
    assert!(names.iter().eq(known), "{names:?}");
    for field in Transactions::fields() {
        assert!(names.contains(&field.path), "{}", field.path);
    }
    assert!(names.contains(Transactions::KEY) && names.contains(Transactions::TIME));
    assert!(names.contains(Transactions::REDACT[0]));
}

#[test]
fn event_time_never_goes_back_and_starts_after_the_warm_up() {
    let records = take(settings(), 3000);
    let times: Vec<i64> = records.iter().map(|(r, _)| seconds(&parsed(r))).collect();
    assert!(times.is_sorted());
    assert!(times[0] >= settings().start.as_second() + 28 * 86_400);
}

#[test]
fn histories_agree_with_a_count_over_the_stream() {
    let records: Vec<Value> = take(settings(), 5000)
        .iter()
        .map(|(record, _)| parsed(record))
        .collect();
    let week = 7 * 86_400;
    let full = seconds(&records[0]) + week + 86_400;
    let mut checked = 0;
    for (index, record) in records.iter().enumerate() {
        let now = seconds(record);
        if now < full || index % 7 != 0 {
            continue;
        }
        let before = |name: &str| {
            records[..index]
                .iter()
                .filter(|then| then[name] == record[name] && seconds(then) >= now - week)
                .collect::<Vec<_>>()
        };
        let card = before("card_id");
        assert_eq!(record["card_count_7d"], card.len());
        assert_eq!(record["terminal_count_7d"], before("terminal_id").len());
        let sum: f64 = card
            .iter()
            .map(|then| then["amount"].as_f64().unwrap())
            .sum();
        match record["card_mean_amount_7d"].as_f64() {
            Some(mean) => assert!((mean - sum / card.len() as f64).abs() < 0.006),
            None => assert!(card.is_empty()),
        }
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn the_share_of_fraud_is_the_handbooks() {
    let settings = Settings {
        broken_share: 0.0,
        ..Settings::default()
    };
    let mut counts: BTreeMap<Option<Pattern>, usize> = BTreeMap::new();
    for (record, label) in take(settings, 30_000) {
        *counts.entry(label.fraud).or_default() += 1;
        let amount = parsed(&record)["amount"].as_f64().unwrap();
        match label.fraud {
            Some(Pattern::LargeAmount) => assert!(amount > 220.0),
            Some(Pattern::LeakedCard) => assert_eq!(parsed(&record)["channel"], "online"),
            Some(Pattern::CompromisedTerminal) => {}
            None => assert!(amount <= 220.0),
        }
    }
    let fraud: usize = Pattern::ALL
        .iter()
        .map(|pattern| counts[&Some(*pattern)])
        .sum();
    let share = fraud as f64 / 30_000.0;
    // The handbook: less than 1%.
    assert!((0.004..0.01).contains(&share), "{share} {counts:?}");
}

#[test]
fn without_fraud_only_large_amounts_are_labelled() {
    let settings = Settings {
        fraud_scale: 0.0,
        ..settings()
    };
    let patterns: BTreeSet<Pattern> = take(settings, 5000)
        .into_iter()
        .filter_map(|(_, label)| label.fraud)
        .collect();
    assert!(
        patterns
            .iter()
            .all(|pattern| *pattern == Pattern::LargeAmount)
    );
}

#[test]
fn settings_out_of_range_are_refused_by_name() {
    let nobody = Settings {
        customers: 0,
        ..settings()
    };
    let broken = Settings {
        broken_share: f64::NAN,
        ..settings()
    };
    let message = |settings| Transactions::new(settings).err().unwrap().to_string();
    assert!(message(nobody).contains("customers"));
    assert!(message(broken).contains("broken_share"));
}

#[test]
fn one_customer_and_one_terminal_are_a_stream() {
    let settings = Settings {
        customers: 1,
        terminals: 1,
        ..settings()
    };
    assert_eq!(take(settings, 50).len(), 50);
}
