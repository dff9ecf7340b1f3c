//! Training records from a topic or a file.

use std::path::Path;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Config;
use crate::files;
use crate::kafka::{Bounds, Connection, Reader};
use crate::training::{Collection, Source};

/// A bar on standard error; silent where that is no terminal.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    let style = ProgressStyle::with_template("{msg:32} {wide_bar} {pos}/{len} {elapsed}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// Reads the records within `bounds` of the input topic, with a consumer of no group.
pub(crate) fn from_topic(config: &Config, bounds: Bounds) -> anyhow::Result<(Collection, Source)> {
    let topic = &config.input.topic;
    let reader = Reader::open(&Connection::new(&config.kafka), topic, bounds)?;
    let mut collection = Collection::new(&config.fields, &config.input, config.train.max_rows)?;
    let bar = bar(reader.offsets(), "reading the topic");
    reader.read(|record| {
        if let Some(payload) = record.payload {
            collection.add(payload, record.time_ms);
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

/// Reads the records of a file.
pub(crate) fn from_file(config: &Config, path: &Path) -> anyhow::Result<(Collection, Source)> {
    let mut collection = Collection::new(&config.fields, &config.input, config.train.max_rows)?;
    let mut rows = files::open(path)?;
    let mut record = Vec::new();
    let bar = bar(0, "reading the file");
    while rows.next(&mut record)? {
        collection.add(&record, -1);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let name = path.file_name().context("a file has a name")?;
    let source = Source {
        name: format!("file {}", name.to_string_lossy()),
        offsets: vec![],
    };
    Ok((collection, source))
}
