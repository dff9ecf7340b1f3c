//! Made records with a field of every kind, whose relations are known.

use std::path::PathBuf;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::super::harness::Setup;
use super::succeed;

/// Records made, and records sampled.
pub const ROWS: usize = 4000;

/// The first second of the 28 days of the records: Monday, 2024-01-01T00:00:00Z.
pub const START: i64 = 1_704_067_200;
pub const DAYS: i64 = 28;

const FIELDS: &str = r#"
[[fields]]
path = "card.amount"
[[fields]]
path = "card.count"
[[fields]]
path = "load\\.one"
[[fields]]
path = "channel"
kind = "categorical"
[[fields]]
path = "present"
kind = "boolean"
[[fields]]
path = "time"
kind = "timestamp"
[[fields]]
path = "version"
"#;

/// Payments: the channel decides on the amount, the amount on the count, and the channel on
/// presence; the load goes its own way; most are made around three in the afternoon, and few on
/// Saturday and Sunday.
pub fn payments(seed: u64) -> Vec<String> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..ROWS).map(|_| payment(&mut random)).collect()
}

fn payment(random: &mut ChaCha8Rng) -> String {
    let normal = |random: &mut ChaCha8Rng| -> f64 { StandardNormal.sample(random) };
    let (channel, mean, presence) = match random.random_range(0..10) {
        0..6 => ("chip", 40.0, 0.95),
        6..9 => ("online", 80.0, 0.02),
        _ => ("tap \"n\" go", 25.0, 0.99),
    };
    let amount = mean + 8.0 * normal(random);
    let count = (amount / 8.0 + normal(random)).round().max(0.0);
    let load = 20.0 + 5.0 * normal(random);
    let present = random.random_bool(presence);
    let day = loop {
        let day = random.random_range(0..DAYS);
        if day % 7 < 5 || random.random_bool(0.2) {
            break day;
        }
    };
    let hour = (15.0 + 2.5 * normal(random)).rem_euclid(24.0);
    let seconds = START + day * 86_400 + (hour * 3600.0) as i64;
    let time = jiff::Timestamp::from_second(seconds).unwrap();
    format!(
        r#"{{"time":"{time}","card":{{"amount":{amount:.2},"count":{count}}},"load.one":{load},"channel":{},"present":{present},"version":3}}"#,
        serde_json::Value::from(channel)
    )
}

/// A model of `rows`, trained by the real binary.
pub fn trained(setup: &Setup, rows: &[String]) -> PathBuf {
    let config = setup.path("made.toml");
    let settings = "[kafka]\nbrokers = \"127.0.0.1:1\"\n[input]\ntopic = \"made\"\ntime = \"time\"\n\
        [train]\ndata = \"clean\"\nhidden = 32\nlatent = 8\nfloors = [0.1]\nmax_steps = 800\n";
    std::fs::write(&config, format!("{settings}{FIELDS}")).unwrap();
    let (rows, model) = (
        setup.write_lines("made.ndjson", rows),
        setup.path("made.safetensors"),
    );
    let [config, rows, output] = [&config, &rows, &model].map(|path| path.to_str().unwrap());
    succeed(&["train", "-c", config, "--from-file", rows, "-o", output]);
    model
}
