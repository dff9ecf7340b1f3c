//! `outlierd feed`: a file into a topic.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::Value;

use super::connection;
use super::material::bar;
use crate::cli;
use crate::files;
use crate::kafka::{Feeder, partitions};

/// How long the last acknowledgements may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(arguments: &cli::Feed) -> anyhow::Result<()> {
    if let Some(rate) = arguments.rate {
        anyhow::ensure!(rate > 0.0, "--rate {rate}: records a second, above 0");
    }
    if let Some(speed) = arguments.speed {
        anyhow::ensure!(speed > 0.0, "--speed {speed}: a factor above 0");
    }
    let connection = connection(&arguments.cluster);
    let mut rows = files::open(&arguments.file)?;
    partitions(&connection, &arguments.topic)?;
    let feeder = Feeder::new(&connection, &arguments.topic)?;
    let bar = bar(0, "feeding");
    let mut record = Vec::new();
    let mut pace = Pace::new();
    let mut sent = 0_u64;
    while rows.next(&mut record)? {
        let (key, time) = key_and_time(&record, arguments)?;
        if let Some(rate) = arguments.rate {
            pace.wait(sent as f64 / rate);
        } else if let (Some(speed), Some(time)) = (arguments.speed, time) {
            pace.wait_from(time / speed);
        }
        feeder.send(key.as_deref().map(str::as_bytes), Some(&record), None)?;
        sent += 1;
        bar.inc(1);
    }
    feeder.finish(PATIENCE)?;
    bar.finish_and_clear();
    say!("{sent} records fed to {}", arguments.topic);
    Ok(())
}

/// The key's text and the time, epoch seconds, if they are asked for.
fn key_and_time(
    record: &[u8],
    arguments: &cli::Feed,
) -> anyhow::Result<(Option<String>, Option<f64>)> {
    if arguments.key.is_none() && arguments.time.is_none() {
        return Ok((None, None));
    }
    let Ok(value) = serde_json::from_slice::<Value>(record) else {
        // Fed as it is: what to make of it is the reader's matter.
        return Ok((None, None));
    };
    let at = |path: &Option<String>| {
        let parts = path.as_ref()?.split('.');
        parts
            .into_iter()
            .try_fold(&value, |value, part| value.get(part))
    };
    let key = at(&arguments.key).map(|key| match key {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let time = match at(&arguments.time) {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => Some(
            crate::record::parse_time(text)
                .with_context(|| format!("--time: {text:?} is no time"))?,
        ),
        _ => None,
    };
    Ok((key, time))
}

/// Waits so that records leave at their times.
struct Pace {
    began: Instant,
    first: Option<f64>,
}

impl Pace {
    fn new() -> Pace {
        Pace {
            began: Instant::now(),
            first: None,
        }
    }

    /// Waits until `seconds` after the beginning.
    fn wait(&self, seconds: f64) {
        let at = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        std::thread::sleep(at.saturating_sub(self.began.elapsed()));
    }

    /// Waits until `seconds` after the first call's `seconds`.
    fn wait_from(&mut self, seconds: f64) {
        let first = *self.first.get_or_insert(seconds);
        self.wait((seconds - first).max(0.0));
    }
}
