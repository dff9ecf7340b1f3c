//! The process in which records are tried that may have ended another one.

use std::io::{Read, Write};
use std::sync::Arc;

use anyhow::Context;

use super::policy;
use crate::config::Config;
use crate::detect::Episodes;
use crate::kafka::Origin;
use crate::pipeline::{self, Judge, Messages, Redaction};
use crate::registry::Stored;

/// Judges the records on `input` one at a time as the line would, and says on `output` after each that it is still alive.
///
/// # Errors
/// When the model does not fit the configuration, or a pipe breaks.
pub fn probe(
    config: &Config,
    stored: &Stored,
    input: impl Read,
    output: impl Write,
) -> anyhow::Result<()> {
    let policy = Arc::new(policy(config, &stored.model)?);
    let mut judge = Judge::new(&config.fields, &config.input, &stored.model, &policy, None)?;
    let mut messages = Messages::new(
        // Nobody reads the messages: they are only made.
        Origin {
            cluster: String::new(),
            topic: config.input.topic.clone(),
            topic_id: None,
        },
        Redaction::new(&config.output, &config.input, &config.fields),
        config.dead_letter.payload,
        Episodes::new(config.detect.episode_gap),
        &stored.model,
        &stored.version,
    );
    pipeline::probe(&mut judge, &mut messages, input, output).context("trying records")
}
