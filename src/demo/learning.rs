//! The demo's first half minute: collect, read back, train.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::source::Stream;
use super::{DemoError, Settings, Source};
use crate::config::Config;
use crate::daemon::{self, Signals};
use crate::detect::Model;
use crate::kafka::{Bounds, Connection, Reader};
use crate::registry::Stored;
use crate::training::{Collection, Place, Source as Origin, learn as train};

/// How long records are collected before they are learnt.
const COLLECT: Duration = Duration::from_secs(25);

/// Generated records and files come fast: this is enough of them.
const COLLECT_FAST: Duration = Duration::from_secs(20);

/// Collects records, reads them back from the topic, and trains on them.
pub(super) async fn learn(
    settings: &Settings,
    config: &Arc<Config>,
    stream: &mut Stream,
    signals: &mut Signals,
    say: fn(&str),
) -> Result<Model, DemoError> {
    collect(settings, stream, signals, say).await?;
    let stop = signals.clone();
    let config = Arc::clone(config);
    let trained = tokio::task::spawn_blocking(move || read_and_train(&config, &stop)).await;
    let (model, learnt) = trained.map_err(|error| DemoError::Broker(error.to_string()))??;
    if signals.raised() {
        return Err(DemoError::Stopped);
    }
    stream.learnt(learnt);
    Ok(model)
}

async fn collect(
    settings: &Settings,
    stream: &Stream,
    signals: &mut Signals,
    say: fn(&str),
) -> Result<(), DemoError> {
    let usual = if settings.source == Source::Host {
        COLLECT
    } else {
        COLLECT_FAST
    };
    // A short demo learns for a third of its time.
    let collect = settings.lasts.map_or(usual, |lasts| usual.min(lasts / 3));
    say(&format!(
        "learning what is ordinary for {:.0} s",
        collect.as_secs_f64()
    ));
    let bar = bar(collect.as_millis() as u64);
    let (began, progress) = (Instant::now(), stream.progress());
    let mut look = tokio::time::interval(Duration::from_millis(100));
    while began.elapsed() < collect && !progress.has_ended() {
        tokio::select! {
            _ = look.tick() => {}
            () = signals.times(1) => return Err(DemoError::Stopped),
        }
        bar.set_position(began.elapsed().as_millis() as u64);
        bar.set_message(format!("learning: {} records", progress.written()));
    }
    bar.finish_and_clear();
    Ok(())
}

/// The model, and the number of records that it was learnt from.
fn read_and_train(config: &Config, stop: &Signals) -> Result<(Model, u64), DemoError> {
    let reader = Reader::open(
        &Connection::new(&config.kafka),
        &config.input.topic,
        Bounds::default(),
    )?;
    let train_on = &config.train;
    let mut collection =
        Collection::new(&config.fields, &config.input, train_on.max_rows)?.seeded(train_on.seed);
    reader.read(|record| {
        if let Some(payload) = record.payload {
            let place = Place {
                partition: record.partition,
                offset: record.offset,
            };
            collection.add_from(place, payload, record.time_ms);
        }
    })?;
    let spans = reader.spans().iter();
    let origin = Origin {
        name: format!("topic {}", config.input.topic),
        offsets: spans
            .map(|span| (span.partition, span.first, span.next))
            .collect(),
    };
    let bar = bar(0);
    let model = train(collection, origin, &config.train, &mut |at| {
        bar.set_length(at.steps as u64);
        bar.set_position(at.step as u64);
        bar.set_message(format!("training: loss {:.2}", at.loss));
        if stop.raised() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    match model {
        Err(_) if stop.raised() => Err(DemoError::Stopped),
        model => Ok((model?, reader.offsets())),
    }
}

fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{msg:32} {wide_bar}") {
        bar.set_style(style);
    }
    bar
}

/// One sentence on what was learnt, and what it can attest.
pub(super) fn describe(stored: &Stored, config: &Config) -> String {
    let model = &stored.model;
    let unused: Vec<&str> = model.unused_fields().collect();
    let mut text = format!(
        "learnt {} fields from {} rows{}",
        config.fields.len() - unused.len(),
        model.provenance.rows,
        if model.calibration.cross_fitted {
            ", each calibrated by a network that had not seen it"
        } else {
            ""
        }
    );
    if !unused.is_empty() {
        text += &format!("; constant so far, so not used: {}", unused.join(", "));
    }
    if let Ok(policy) = daemon::policy(config, model) {
        let threshold = policy.threshold;
        text += &if threshold.attested() {
            format!(
                "; alert budget {:.1} % of the records",
                threshold.budget * 100.0
            )
        } else {
            format!(
                "; outliers are those odder than all {} rows",
                model.calibration.rows()
            )
        };
    }
    text
}
