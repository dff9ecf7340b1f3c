//! The stream that is measured: flat JSON objects of 445 bytes on average, with 32 numbers that the
//! model sees, a key, a second string and a timestamp, which are passed over. All are different.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context;
use outlierd::config::{self, Config};
use outlierd::registry::{self, Stored};
use outlierd::training::{Collection, Source, learn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub const TOPIC: &str = "bench";
pub const OUTLIERS: &str = "bench.outliers";
pub const DEAD_LETTERS: &str = "bench.dead-letters";
pub const PARTITIONS: i32 = 8;

const NUMBERS: usize = 32;
const MACHINES: usize = 200;

/// What the numbers have in common: this many hidden causes.
const CAUSES: usize = 4;

/// Records to learn from.
const ROWS: usize = 20_000;

/// The record of one machine, with its Kafka key.
pub struct Record {
    pub key: String,
    pub payload: String,
}

/// `count` records, the same for the same seed.
pub fn records(seed: u64, count: usize) -> Vec<Record> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // What the causes do to the numbers is the same in every stream.
    let mut of_stream = ChaCha8Rng::seed_from_u64(0);
    let mut normal = || -> f64 { StandardNormal.sample(&mut of_stream) };
    let mixing: Vec<[f64; CAUSES]> = (0..NUMBERS)
        .map(|_| [0; CAUSES].map(|_| normal()))
        .collect();
    (0..count)
        .map(|index| record(&mut random, &mixing, index))
        .collect()
}

fn record(random: &mut ChaCha8Rng, mixing: &[[f64; CAUSES]], index: usize) -> Record {
    let mut normal = || -> f64 { StandardNormal.sample(random) };
    let causes = [0; CAUSES].map(|_| normal());
    let numbers: Vec<f64> = mixing
        .iter()
        .map(|mix| {
            let sum: f64 = mix
                .iter()
                .zip(causes)
                .map(|(weight, cause)| weight * cause)
                .sum();
            50.0 + 8.0 * sum + normal()
        })
        .collect();
    let key = format!("m-{:03}", random.random_range(0..MACHINES));
    let mut payload = format!(
        r#"{{"machine":"{key}","site":"north-{}","ts":"2026-03-01T12:{:02}:{:02}.{:03}Z""#,
        index % 7,
        index / 60_000 % 60,
        index / 1000 % 60,
        index % 1000
    );
    for (at, number) in numbers.iter().enumerate() {
        // Writing to a string cannot fail.
        write!(payload, r#","v{at}":{number:.2}"#).ok();
    }
    payload.push('}');
    Record { key, payload }
}

/// The configuration of a daemon that reads the stream.
pub fn config(folder: &Path, brokers: &str) -> anyhow::Result<Config> {
    let mut text = format!(
        r#"
        [kafka]
        brokers = "{brokers}"
        # Joining takes a tenth of a second instead of three, and the embedded broker answers an
        # idle fetch only when this wait is over.
        [kafka.properties]
        "group.protocol" = "consumer"
        "fetch.wait.max.ms" = "20"
        [input]
        topic = "{TOPIC}"
        group = "bench"
        start = "earliest"
        key = "machine"
        [output]
        topic = "{OUTLIERS}"
        [dead_letter]
        topic = "{DEAD_LETTERS}"
        [train]
        max_steps = 300
        [compute]
        device = "cpu"
        [http]
        bind = "127.0.0.1:0"
        "#
    );
    for number in 0..NUMBERS {
        write!(text, "[[fields]]\npath = \"v{number}\"\n")?;
    }
    let path = folder.join("outlierd.toml");
    std::fs::write(&path, text).context("writing the configuration")?;
    // So the line can be measured on a GPU: OUTLIERD__COMPUTE__DEVICE=cuda cargo bench --features cuda -- line
    let compute = std::env::vars().filter(|(name, _)| name.starts_with("OUTLIERD__COMPUTE__"));
    Ok(config::load(&path, compute)?)
}

/// A model of the stream. Its weights decide what is flagged, not how fast.
pub fn train(folder: &Path) -> anyhow::Result<Stored> {
    let config = config(folder, "nowhere:1")?;
    let mut collection = Collection::new(&config.fields, &config.input, ROWS)?;
    for record in records(1, ROWS) {
        collection.add(record.payload.as_bytes(), -1);
    }
    let model = learn(collection, Source::default(), &config.train, &mut |_| {
        ControlFlow::Continue(())
    })?;
    Ok(registry::save(&model, &config.model.path)?)
}
