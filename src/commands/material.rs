//! Training records from a topic or a file.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::detect::hex;
use crate::files;
use crate::kafka::{Bounds, Connection, Reader};
use crate::training::{Collection, Place, Source};

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

/// Reads the records within `bounds` of the input topic, with a consumer of no group.
pub(crate) fn from_topic(config: &Config, bounds: Bounds) -> anyhow::Result<(Collection, Source)> {
    let topic = &config.input.topic;
    let reader = Reader::open(&Connection::new(&config.kafka), topic, bounds)?;
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
            collection.add_from(place, payload, record.time_ms);
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
    Ok((collection, source))
}

/// Reads the records of a file. Its rows name it, as JSON lines: the same rows make the same model
/// under any path.
pub(crate) fn from_file(config: &Config, path: &Path) -> anyhow::Result<(Collection, Source)> {
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
    Ok((collection, source))
}

fn empty(config: &Config) -> anyhow::Result<Collection> {
    let train = &config.train;
    let collection = Collection::new(&config.fields, &config.input, train.max_rows)?;
    Ok(collection.seeded(train.seed))
}
