//! `outlierd check`: what `run` would meet.

use crate::cli;
use crate::config::{Budget, Config, Start};
use crate::daemon;
use crate::kafka::{Bounds, Connection, Reader, partitions};
use crate::registry;
use crate::vae::Device;

use super::load;

pub(super) fn run(arguments: &cli::Check) -> anyhow::Result<()> {
    let config = load(&arguments.config.path)?;
    say!(
        "configuration  ok: {} fields of topic {}",
        config.fields.len(),
        config.input.topic
    );
    if !config.output.redact.is_empty() && config.dead_letter.payload {
        say!(
            "               note: dead letters carry the raw record, redacted fields included; \
             dead_letter.payload = \"none\" keeps them out"
        );
    }
    if arguments.offline {
        return Ok(());
    }
    let faults = check_cluster(&config)? + check_model(&config)? + check_device(&config)?;
    anyhow::ensure!(faults == 0, "{faults} fault(s) found, see above");
    say!("`outlierd run` would {}", plan(&config));
    Ok(())
}

/// Says each topic's state; returns the number of faults.
fn check_cluster(config: &Config) -> std::io::Result<usize> {
    let connection = Connection::new(&config.kafka);
    let mut faults = 0;
    let topics = [
        ("input", Some(&config.input.topic)),
        ("output", Some(&config.output.topic)),
        ("dead letters", Some(&config.dead_letter.topic)),
        ("audit", config.audit.topic.as_ref()),
    ];
    for (role, topic) in topics {
        let Some(topic) = topic else { continue };
        match partitions(&connection, topic) {
            Ok(count) => say!("{role:14} ok: {topic}, {count} partition(s)"),
            Err(fault) => {
                say!("{role:14} FAULT: {fault}");
                faults += 1;
                if matches!(fault, crate::kafka::TopicFault::Client(_)) {
                    // Nobody answers: asking for the other topics would only take longer.
                    return Ok(faults);
                }
            }
        }
    }
    if faults == 0 {
        faults += check_reading(config, &connection)?;
    }
    Ok(faults)
}

/// Reads one record, which needs the right to.
fn check_reading(config: &Config, connection: &Connection) -> std::io::Result<usize> {
    let newest = Bounds {
        newest: Some(1),
        ..Bounds::default()
    };
    let read = Reader::open(connection, &config.input.topic, newest)
        .map_err(anyhow::Error::from)
        .and_then(|reader| {
            let mut count = 0;
            reader.read(|_| count += 1)?;
            Ok(count)
        });
    match read {
        Ok(0) => say!(
            "reading        ok: {} holds no records now",
            config.input.topic
        ),
        Ok(_) => say!("reading        ok"),
        Err(error) => {
            say!("reading        FAULT: {}", super::explain(&error));
            return Ok(1);
        }
    }
    Ok(0)
}

fn check_model(config: &Config) -> std::io::Result<usize> {
    let fitted = registry::serving(config)
        .map_err(anyhow::Error::from)
        .and_then(|stored| Ok((daemon::policy(config, &stored.model)?, stored)));
    match fitted {
        Ok((policy, stored)) => {
            let from = &stored.model.provenance;
            let newest = from.to.as_ref().map(|to| format!(" up to {to}"));
            say!(
                "model          ok: {}, trained on {} rows{}; threshold p {:.5}{}{}",
                stored.version,
                from.rows,
                newest.unwrap_or_default(),
                policy.threshold.p,
                match config.detect.budget {
                    Budget::Share(_) => "",
                    Budget::PerDay(_) => " at the rate of training, and then by that of the topic",
                },
                if policy.threshold.attested() {
                    ""
                } else {
                    " (finer than its rows attest)"
                }
            );
            Ok(0)
        }
        Err(error) => {
            say!("model          FAULT: {}", super::explain(&error));
            Ok(1)
        }
    }
}

fn check_device(config: &Config) -> std::io::Result<usize> {
    match Device::open(&config.compute) {
        Ok(device) => {
            let reason = device.reason().map(|reason| format!(" ({reason})"));
            say!("device         ok: {device}{}", reason.unwrap_or_default());
            Ok(0)
        }
        Err(error) => {
            say!("device         FAULT: compute.device: {error}");
            Ok(1)
        }
    }
}

fn plan(config: &Config) -> String {
    let start = match config.input.start {
        Start::Latest => "the end".to_owned(),
        Start::Earliest => "the start".to_owned(),
        Start::AfterTraining => "the end of the training rows".to_owned(),
        Start::Time(time) => format!("the first record at or after {time}"),
    };
    format!(
        "read {} as group {} (from the committed offsets; without them, from {start}), publish \
         outliers to {} and dead letters to {}, and serve HTTP at {}",
        config.input.topic,
        config.input.group,
        config.output.topic,
        config.dead_letter.topic,
        config.http.bind
    )
}
