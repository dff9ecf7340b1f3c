//! Training records from a topic or a file.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::cli::TrainingRecords;
use crate::config::Config;
use crate::detect::hex;
use crate::feedback::{Label, Labels};
use crate::files;
use crate::kafka::{Bounds, Connection, Reader};
use crate::retrain::Labelled;
use crate::training::{Collection, Place, Progress, Source};

/// A bar on standard error; silent where that is no terminal.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    let style =
        ProgressStyle::with_template("{msg:32} {wide_bar} {pos}/{len} {elapsed}, {eta} to go");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Shows how far a training is.
pub(crate) fn advance(bar: &ProgressBar, at: Progress) {
    bar.set_length(at.steps as u64);
    bar.set_position(at.step as u64);
    bar.set_message(format!("training, loss {:.3}", at.loss));
}

/// What a command is to learn from.
pub(crate) struct Material {
    pub(crate) collection: Collection,
    pub(crate) source: Source,
    /// Records among it that people have said something of.
    pub(crate) labelled: Labelled,
}

/// Reads what a command is to learn from.
pub(super) fn collect(config: &Config, records: &TrainingRecords) -> anyhow::Result<Material> {
    match &records.from_file {
        Some(path) => from_file(config, path),
        None => from_topic(config, bounds(records, config)?),
    }
}

/// The time range that was asked for; by default `train.since` back from now.
fn bounds(records: &TrainingRecords, config: &Config) -> anyhow::Result<Bounds> {
    let now = Timestamp::now();
    let from = match &records.from {
        Some(text) => time(text, now).context("--from")?,
        None => now - config.train.since,
    };
    let to = records.to.as_ref();
    let to = to.map(|text| time(text, now).context("--to")).transpose()?;
    anyhow::ensure!(
        to.is_none_or(|to| from < to),
        "--from {from} is not before --to {}: swap them",
        to.unwrap_or(now)
    );
    Ok(Bounds {
        from_ms: Some(from.as_millisecond()),
        to_ms: to.map(Timestamp::as_millisecond),
        newest: None,
        only: None,
    })
}

/// RFC 3339, or `-7d`: so long before `now`. Days have 24 hours.
pub(super) fn time(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let wanted = "a time as 2026-03-01T00:00:00Z, or one back from now as -7d or -90m, is wanted";
    if let Some(back) = text.strip_prefix('-') {
        let days = back
            .strip_suffix('d')
            .and_then(|days| days.parse::<u32>().ok());
        let back = match days {
            Some(days) => Duration::from_secs(u64::from(days) * 86_400),
            None => back
                .parse::<jiff::SignedDuration>()
                .ok()
                .and_then(|back| Duration::try_from(back).ok())
                .with_context(|| format!("{text:?}: {wanted}"))?,
        };
        return now
            .checked_sub(back)
            .with_context(|| format!("{text:?}: {wanted}"));
    }
    text.parse().with_context(|| format!("{text:?}: {wanted}"))
}

/// Reads the records within `bounds` of the input topic, with a consumer of no group.
pub(crate) fn from_topic(config: &Config, bounds: Bounds) -> anyhow::Result<Material> {
    let topic = &config.input.topic;
    let labels = Labels::read(config)?;
    let connection = Connection::new(&config.kafka);
    let reader = Reader::open(&connection, topic, bounds)?;
    // What a record is called is asked for only where somebody has spoken of one.
    let origin = (!labels.is_empty()).then(|| reader.origin(&connection));
    let origin = origin.transpose()?;
    let label = |place: Place| {
        let id = origin.as_ref()?.id(place.partition, place.offset);
        labels.get(&id)
    };
    let mut labelled = Labelled::default();
    let mut collection = empty(config)?;
    let (records, most) = (reader.offsets(), config.train.max_rows);
    if records > most as u64 {
        tracing::info!(
            "about {records} records lie in the time range: all are read, and {most} of them \
             (train.max_rows), evenly drawn, are learnt from; a later --from reads less"
        );
    }
    let bar = bar(records, "reading the topic");
    reader.read(|record| {
        if let Some(payload) = record.payload {
            let place = Place {
                partition: record.partition,
                offset: record.offset,
            };
            match label(place) {
                Some(Label::Confirmed) => labelled.confirmed.push(payload.to_vec()),
                label => {
                    collection.add_from(place, payload, record.time_ms);
                    if label.is_some() {
                        labelled.false_alarms.push(payload.to_vec());
                    }
                }
            }
        }
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    let offsets = reader
        .spans()
        .iter()
        .map(|span| (span.partition, span.first, span.next))
        .collect();
    let source = Source {
        name: format!("topic {topic}"),
        offsets,
    };
    Ok(Material {
        collection,
        source,
        labelled,
    })
}

/// Reads the records of a file. Its rows name it, as JSON lines: the same rows make the same model
/// under any path.
pub(crate) fn from_file(config: &Config, path: &Path) -> anyhow::Result<Material> {
    let mut collection = empty(config)?;
    let mut rows = files::open(path)?;
    let mut record = Vec::new();
    let mut digest = Sha256::new();
    let bar = bar(0, "reading the file");
    while rows.next(&mut record)? {
        collection.add(&record, -1);
        digest.update(&record);
        digest.update(b"\n");
        bar.inc(1);
    }
    bar.finish_and_clear();
    let source = Source {
        name: format!("file sha256:{}", hex(&digest.finalize()[..8])),
        offsets: vec![],
    };
    Ok(Material {
        collection,
        source,
        labelled: Labelled::default(),
    })
}

fn empty(config: &Config) -> anyhow::Result<Collection> {
    let train = &config.train;
    let collection = Collection::new(&config.fields, &config.input, train.max_rows)?;
    Ok(collection.seeded(train.seed))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_back_from_now() {
        let now: Timestamp = "2026-03-08T00:00:00Z".parse().unwrap();
        assert_eq!(
            time("-7d", now).unwrap().to_string(),
            "2026-03-01T00:00:00Z"
        );
        assert_eq!(
            time("-90m", now).unwrap().to_string(),
            "2026-03-07T22:30:00Z"
        );
        assert!(time("2026-03-01T00:00:00Z", now).unwrap() < now);
        let error = time("yesterday", now).unwrap_err();
        assert!(format!("{error:#}").contains("-7d"));
    }
}
