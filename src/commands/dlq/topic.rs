//! The dead-letter topic of a configuration, as it is now.

use std::path::Path;

use crate::cli;
use crate::commands::load;
use crate::config::Config;
use crate::kafka::{Bounds, Connection, Reader};
use crate::pipeline::{Filter, Letters};

/// The dead-letter topic of a configuration up to its end as it is now, and its letters without their records.
pub(super) struct DeadLetters {
    pub config: Config,
    pub connection: Connection,
    pub reader: Reader,
    pub letters: Letters,
}

pub(super) fn open(path: &Path) -> anyhow::Result<DeadLetters> {
    let config = load(path)?;
    let connection = Connection::new(&config.kafka);
    let reader = Reader::open(&connection, &config.dead_letter.topic, Bounds::default())?;
    let mut letters = Letters::default();
    reader.read(|read| letters.add(&read))?;
    Ok(DeadLetters {
        config,
        connection,
        reader,
        letters,
    })
}

pub(super) fn filter(chosen: &cli::Chosen) -> Filter {
    Filter {
        ids: Vec::new(),
        classes: chosen.classes.clone(),
        partition: chosen.partition,
        since: chosen.since,
        until: chosen.until,
    }
}
