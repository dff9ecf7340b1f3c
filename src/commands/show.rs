//! `outlierd show`: what a model file says of itself.

use crate::cli;
use crate::registry::{self, Stored};

pub(super) fn run(arguments: &cli::Show) -> anyhow::Result<()> {
    print(&registry::load(&arguments.model)?, arguments.json)
}

pub(super) fn print(stored: &Stored, json: bool) -> anyhow::Result<()> {
    let manifest = &stored.manifest;
    if json {
        let mut shown = serde_json::to_value(manifest)?;
        shown["version"] = stored.version.clone().into();
        say!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(());
    }
    let model = &stored.model;
    let from = &model.provenance;
    say!(
        "version      {} ({} KiB, format {})",
        stored.version,
        stored.bytes / 1024,
        manifest.format
    );
    say!("trained      on {} rows of {}", from.rows, from.source);
    if from.usable > from.rows {
        say!("             drawn evenly from {}", from.usable);
    }
    if let (Some(first), Some(last)) = (&from.from, &from.to) {
        say!("             from {first} to {last}");
    }
    if let Some(rate) = from.records_per_day {
        say!("             about {rate:.0} records a day");
    }
    for (partition, first, next) in &from.offsets {
        say!(
            "             partition {partition}: offsets {first} to {next}, the last one excluded"
        );
    }
    say!("data         {:?}, seed {}", from.data, from.seed);
    say!(
        "network      {} columns, hidden {}, latent {}, {} member(s)",
        model.encoding.width(),
        model.shape.hidden,
        model.shape.latent,
        model.members.len()
    );
    say!(
        "held out     ELBO {:.3}, reconstruction error {:.3}, KL {:.3} a record",
        model.held_out.elbo,
        model.held_out.reconstruction_error,
        model.held_out.kl
    );
    let calibration = &model.calibration;
    say!("calibration  {calibration}");
    for p in [0.1, 0.01, 0.001] {
        if p >= calibration.resolution() {
            say!(
                "             score {:>8.2} at p {p}",
                calibration.score_at(p)
            );
        }
    }
    say!("schema       {}", manifest.schema_fingerprint);
    for field in &model.encoding.fields {
        let kind = format!("{:?}", field.kind).to_lowercase();
        let what = match field.parts.first() {
            None => "constant or absent in training: not used".into(),
            Some(crate::features::Part::Scaled {
                mean, deviation, ..
            }) => {
                format!("mean {mean:.4}, deviation {deviation:.4}")
            }
            Some(_) if !field.vocabulary.is_empty() => {
                format!(
                    "{} words: {}",
                    field.vocabulary.len(),
                    field.vocabulary.join(", ")
                )
            }
            Some(_) => String::new(),
        };
        say!("  {:28} {kind:12} {what}", field.path);
    }
    Ok(())
}
