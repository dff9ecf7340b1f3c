//! `outlierd feedback`: what an outlier was.

use std::time::Duration;

use anyhow::Context;

use super::load;
use crate::cli;
use crate::feedback::{Feedback, is_id};
use crate::kafka::{Connection, Feeder, partitions};

/// How long the acknowledgement may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(arguments: &cli::Feedback) -> anyhow::Result<()> {
    let config = load(&arguments.config.path)?;
    let topic = config.feedback.topic.as_ref().context(
        "nobody listens: set feedback.topic = \"NAME\" in the configuration, and make that topic with \
         cleanup.policy=compact",
    )?;
    anyhow::ensure!(
        is_id(&arguments.id),
        "{:?} is no id of an outlier: write the `id` of its message, 32 hexadecimal digits",
        arguments.id
    );
    let told = Feedback {
        id: arguments.id.clone(),
        label: arguments.label,
        note: arguments.note.clone(),
    };
    let connection = Connection::new(&config.kafka);
    partitions(&connection, topic)?;
    let feeder = Feeder::new(&connection, topic)?;
    let message = serde_json::to_vec(&told)?;
    feeder.send(Some(arguments.id.as_bytes()), Some(&message), None)?;
    feeder.finish(PATIENCE)?;
    say!("noted in {topic}: the next retrain goes by it");
    Ok(())
}
