//! `outlierd init`: a configuration from what a topic or file holds.

use std::path::Path;

use anyhow::Context;

use super::connection;
use crate::cli;
use crate::files;
use crate::kafka::{Bounds, Reader};
use crate::record::survey::{Report, Suggestion, Survey};

pub(super) fn run(arguments: &cli::Init) -> anyhow::Result<()> {
    let to_stdout = arguments.output == Path::new("-");
    anyhow::ensure!(
        to_stdout || arguments.force || !arguments.output.exists(),
        "{} exists already: name another file with --output, or overwrite it with --force",
        arguments.output.display()
    );
    let mut survey = Survey::new();
    let records = match &arguments.from_file {
        Some(path) => sample_file(path, arguments.sample, &mut survey)?,
        None => sample_topic(arguments, &mut survey)?,
    };
    anyhow::ensure!(
        records > 0,
        "there are no records to infer fields from: wait until the topic holds some, or give \
         --from-file"
    );
    let report = survey.report();
    let text = report.to_toml(&arguments.cluster.brokers, &arguments.topic);
    if to_stdout {
        return Ok(std::io::Write::write_all(
            &mut std::io::stdout(),
            text.as_bytes(),
        )?);
    }
    std::fs::write(&arguments.output, text)
        .with_context(|| format!("writing {}", arguments.output.display()))?;
    print_findings(&report)?;
    say!(
        "wrote {}: read it, then `outlierd check -c {0}` and `outlierd train -c {0}`",
        arguments.output.display()
    );
    Ok(())
}

fn sample_file(path: &Path, sample: usize, survey: &mut Survey) -> anyhow::Result<usize> {
    let mut rows = files::open(path)?;
    let mut record = Vec::new();
    let mut records = 0;
    while records < sample && !survey.is_full() && rows.next(&mut record)? {
        survey.add(&record);
        records += 1;
    }
    Ok(records)
}

fn sample_topic(arguments: &cli::Init, survey: &mut Survey) -> anyhow::Result<usize> {
    let connection = connection(&arguments.cluster);
    let newest = Bounds {
        newest: Some(arguments.sample),
        ..Bounds::default()
    };
    let reader = Reader::open(&connection, &arguments.topic, newest)?;
    let mut records = 0;
    reader.read(|record| {
        if let Some(payload) = record.payload {
            survey.add(payload);
            records += 1;
        }
    })?;
    Ok(records)
}

/// What was found, and what was left out and why.
fn print_findings(report: &Report) -> std::io::Result<()> {
    say!(
        "{} records, {} of them no JSON objects",
        report.rows,
        report.unreadable
    );
    if report.shapes.len() > 1 {
        say!("several record shapes in one topic:");
        for shape in &report.shapes {
            say!(
                "  {:5.1} %  {}",
                shape.share * 100.0,
                shape.paths.join(", ")
            );
        }
        match &report.filter {
            Some(filter) => {
                say!("chosen: where = {filter:?}; the others will be skipped as filtered")
            }
            None => say!("no condition tells them apart: set input.where by hand"),
        }
    }
    if let Some(long) = &report.long {
        say!(
            "each record seems to carry one metric, named by {} with its value in {}: outlierd wants all \
             readings of one moment in one record, and does not support this format yet",
            long.name,
            long.value
        );
    }
    say!("{} fields for the model", report.included().count());
    for field in &report.fields {
        if let Suggestion::LeaveOut(reason) = field.suggestion {
            say!("  left out: {} ({})", field.path, reason.as_str());
        }
    }
    Ok(())
}
