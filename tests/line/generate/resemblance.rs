//! Sampled records beside those that were learnt.

use serde_json::Value;

use super::super::harness::Setup;
use super::made::{DAYS, ROWS, START, payments, trained};
use super::{lines, succeed};

/// Five standard errors of the difference of two means of [`ROWS`] values, in deviations:
/// 5 sqrt(2 / 4000). Those of a deviation and of a correlation are no more.
const CHANCE: f64 = 0.112;

/// Five standard errors of the difference of two shares: at most 5 sqrt(2 / 4000) / 2.
const SHARE: f64 = 0.056;

/// What the network itself may be off by: its likelihood has a deviation of 0.1 at least, and a few
/// Gaussians stand for the codes.
const MODEL: f64 = 0.05;

/// The numbers of `rows` at a path.
fn column(rows: &[Value], pointer: &str) -> Vec<f64> {
    let number = |row: &Value| match row.pointer(pointer) {
        Some(Value::Bool(flag)) => f64::from(u8::from(*flag)),
        Some(number) => number.as_f64().unwrap(),
        None => panic!("{row} has no {pointer}"),
    };
    rows.iter().map(number).collect()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count;
    (mean, variance.sqrt())
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let ((mean_a, spread_a), (mean_b, spread_b)) = (moments(a), moments(b));
    let products = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b));
    products.sum::<f64>() / a.len() as f64 / (spread_a * spread_b)
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(q * (sorted.len() - 1) as f64).round() as usize]
}

/// Epoch seconds.
fn times(rows: &[Value]) -> Vec<i64> {
    let time = |row: &Value| -> jiff::Timestamp { row["time"].as_str().unwrap().parse().unwrap() };
    rows.iter().map(|row| time(row).as_second()).collect()
}

/// Rows for which `is` holds, as a share.
fn share<T>(rows: &[T], is: impl Fn(&T) -> bool) -> f64 {
    rows.iter().filter(|row| is(row)).count() as f64 / rows.len() as f64
}

#[track_caller]
fn near(found: f64, wanted: f64, allowed: f64, what: &str) {
    eprintln!("{what}: {found:.3}, learnt {wanted:.3}");
    assert!(
        (found - wanted).abs() <= allowed,
        "{what}: {found} against {wanted}"
    );
}

#[test]
fn sampled_records_resemble_those_that_were_learnt() {
    let setup = Setup::new("127.0.0.1:1");
    let learnt = payments(1);
    let model = trained(&setup, &learnt);
    let count = ROWS.to_string();
    let sampled = succeed(&["sample", "-m", model.to_str().unwrap(), "-n", &count]);
    assert!(
        sampled
            .stderr
            .contains("without version, constant or absent in training")
    );
    let learnt = lines(&learnt.join("\n"));
    let sampled = lines(&sampled.stdout);
    assert_eq!(sampled.len(), ROWS);

    numbers_resemble(&sampled, &learnt);
    words_and_flags_resemble(&sampled, &learnt);
    times_resemble(&times(&sampled), &times(&learnt));

    // To the model its own records are no odder than those that it learnt. They are a little less
    // odd than those that calibrate it, which it has not seen.
    let text: Vec<String> = sampled.iter().map(Value::to_string).collect();
    let file = setup.write_lines("sampled.ndjson", &text);
    let [file, model] = [&file, &model].map(|path| path.to_str().unwrap());
    let scored = lines(&succeed(&["score", file, "-m", model]).stdout);
    for q in [0.1, 0.5] {
        let found = share(&scored, |row| row["p"].as_f64().unwrap() <= q);
        assert!(found <= q + SHARE, "p up to {q} in {found} of the records");
    }
}

fn numbers_resemble(sampled: &[Value], learnt: &[Value]) {
    let numbers = ["/card/amount", "/card/count", "/load.one"];
    for pointer in numbers {
        let (found, wanted) = (column(sampled, pointer), column(learnt, pointer));
        let ((mean, spread), (wanted_mean, unit)) = (moments(&found), moments(&wanted));
        near(
            (mean - wanted_mean) / unit,
            0.0,
            CHANCE + MODEL,
            &format!("mean of {pointer}"),
        );
        near(
            spread / unit,
            1.0,
            CHANCE + MODEL,
            &format!("deviation of {pointer}"),
        );
        // As shares and not as values: between two groups a value tells little.
        for q in [0.05, 0.25, 0.5, 0.75, 0.95] {
            let value = quantile(&wanted, q);
            let below = |values: &[f64]| share(values, |other| *other < value);
            let what = format!("share of {pointer} below its {q} quantile");
            near(below(&found), below(&wanted), SHARE + MODEL, &what);
        }
        let (low, high) = (quantile(&wanted, 0.0), quantile(&wanted, 1.0));
        assert!(found.iter().all(|value| (low..=high).contains(value)));
    }
    let whole = |value: &f64| value.fract() == 0.0;
    assert!(column(sampled, "/card/count").iter().all(whole));
    let cents = |value: &f64| (value * 100.0).round() / 100.0 == *value;
    assert!(column(sampled, "/card/amount").iter().all(cents));
    assert!(sampled.iter().all(|row| row.get("version").is_none()));

    let all = [&numbers[..], &["/present"]].concat();
    for (index, a) in all.iter().enumerate() {
        for b in &all[index + 1..] {
            let of = |rows: &[Value]| correlation(&column(rows, a), &column(rows, b));
            near(
                of(sampled),
                of(learnt),
                CHANCE + MODEL,
                &format!("correlation of {a} and {b}"),
            );
        }
    }
}

fn words_and_flags_resemble(sampled: &[Value], learnt: &[Value]) {
    for channel in ["chip", "online", "tap \"n\" go"] {
        let of = |rows: &[Value]| share(rows, |row| row["channel"] == channel);
        near(
            of(sampled),
            of(learnt),
            SHARE + MODEL,
            &format!("share of {channel}"),
        );
        let present = |rows: &[Value]| {
            let rows: Vec<&Value> = rows
                .iter()
                .filter(|row| row["channel"] == channel)
                .collect();
            share(&rows, |row| row["present"] == true)
        };
        near(
            present(sampled),
            present(learnt),
            SHARE + MODEL,
            &format!("presence with {channel}"),
        );
    }
    let known = |row: &&Value| {
        learnt
            .iter()
            .any(|other| other["channel"] == row["channel"])
    };
    assert!(sampled.iter().all(|row| known(&row)));
}

fn times_resemble(sampled: &[i64], learnt: &[i64]) {
    let end = START + DAYS * 86_400;
    assert!(sampled.iter().all(|time| (START..end).contains(time)));
    for hours in [0..9, 9..12, 12..15, 15..18, 18..24] {
        let of = |times: &[i64]| share(times, |time| hours.contains(&(time % 86_400 / 3600)));
        near(
            of(sampled),
            of(learnt),
            SHARE + MODEL,
            &format!("share of the hours {hours:?}"),
        );
    }
    let weekend = |times: &[i64]| share(times, |time| (time - START) / 86_400 % 7 >= 5);
    near(
        weekend(sampled),
        weekend(learnt),
        SHARE + MODEL,
        "share of the weekend",
    );
    for week in 0..4 {
        let of = |times: &[i64]| share(times, |time| (time - START) / (7 * 86_400) == week);
        near(
            of(sampled),
            of(learnt),
            SHARE + MODEL,
            &format!("share of week {week}"),
        );
    }
}
