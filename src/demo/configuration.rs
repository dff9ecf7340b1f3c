//! The configuration that the demo runs with: what a user of such a stream would write.

use std::path::Path;
use std::time::Duration;

use super::host::HostSampler;
use super::source::{SourceError, survey_file};
use super::transactions::Transactions;
use super::{DEAD_LETTERS, INPUT, OUTLIERS, Settings, Source};
use crate::config::{
    Audit, Budget, Compute, Config, Copied, DeadLetter, Delivery, Detect, Device, Feedback, Field,
    Format, Gate, Http, Input, Kafka, Level, Line, Log, Model, OnDataLoss, Output, Policy, Retrain,
    Secret, Start, Train, TrainingData,
};
use crate::kafka::EmbeddedBroker;

/// Half a minute of a host's readings attest one record in a hundred and no more.
const HOST_BUDGET: Budget = Budget::Share(0.01);

/// Fraud is about 1 % of the generated transactions.
const TRANSACTIONS_BUDGET: Budget = Budget::Share(0.01);

const FILE_BUDGET: Budget = Budget::Share(0.01);

pub(super) fn of(
    settings: &Settings,
    broker: &EmbeddedBroker,
    folder: &Path,
) -> Result<Config, SourceError> {
    let choice = choose(settings)?;
    Ok(Config {
        kafka: Kafka {
            brokers: broker.bootstrap_servers().to_owned(),
            // Joining takes a tenth of a second instead of three, and the embedded broker answers
            // an idle fetch only when this wait is over.
            properties: [("group.protocol", "consumer"), ("fetch.wait.max.ms", "20")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            secrets: [].into(),
        },
        input: Input {
            topic: INPUT.into(),
            group: "demo".into(),
            start: Start::AfterTraining,
            on_data_loss: OnDataLoss::Halt,
            filter: None,
            key: choice.key,
            time: None,
            missing: Policy::Mask,
            wrong_type: Policy::DeadLetter,
            max_record_bytes: 1 << 20,
        },
        fields: choice.fields,
        output: Output {
            topic: OUTLIERS.into(),
            record: Copied::Full,
            redact: choice.redact.clone(),
            redact_key: (!choice.redact.is_empty())
                .then(|| Secret::new(format!("demo {}", std::process::id()))),
        },
        dead_letter: DeadLetter {
            topic: DEAD_LETTERS.into(),
            payload: choice.redact.is_empty(),
        },
        audit: Audit { topic: None },
        feedback: Feedback { topic: None },
        delivery: Delivery::AtLeastOnce,
        model: Model {
            path: folder.join("model.safetensors"),
            store: None,
            keep: 1,
        },
        train: Train {
            data: TrainingData::Unlabelled,
            since: Duration::from_secs(3600),
            max_rows: 200_000,
            calibration_share: 0.2,
            hidden: 64,
            latent: 8,
            floors: vec![0.2],
            max_steps: 2000,
            seed: settings.seed,
        },
        retrain: Retrain {
            bootstrap: false,
            when: vec![],
            on_drift: false,
            drift_for: Duration::ZERO,
            jitter: Duration::ZERO,
            leave_out_severity: 4.0,
            gate_share: 0.1,
            threads: 1,
            memory: None,
            cases: None,
            promote: true,
            shadow: None,
            gate: Gate {
                elbo_tolerance: 1.0,
                flag_rate_factor: 3.0,
                severity_shift: 0.5,
            },
        },
        detect: Detect {
            budget: choice.budget,
            episode_gap: Duration::from_secs(5),
        },
        line: Line {
            batch_rows: 1024,
            batch_bytes: 4 << 20,
            batch_age: Duration::from_millis(20),
            threads: 1,
            commit_interval: Duration::from_millis(200),
            grace: Duration::from_secs(10),
        },
        compute: Compute {
            device: Device::Cpu,
            batch_rows: 8192,
        },
        http: Http {
            bind: settings.http,
            token: None,
        },
        log: Log {
            level: Level::Warn,
            format: Format::Human,
        },
    })
}

/// What differs between the sources.
struct Choice {
    fields: Vec<Field>,
    key: Option<String>,
    redact: Vec<String>,
    budget: Budget,
}

fn choose(settings: &Settings) -> Result<Choice, SourceError> {
    Ok(match &settings.source {
        Source::Host => Choice {
            fields: host_fields()?,
            key: Some(HostSampler::KEY.into()),
            redact: vec![],
            budget: HOST_BUDGET,
        },
        Source::Transactions => Choice {
            fields: Transactions::fields(),
            key: Some(Transactions::KEY.into()),
            redact: Transactions::REDACT.map(str::to_owned).into(),
            budget: TRANSACTIONS_BUDGET,
        },
        Source::File(path) => Choice {
            fields: survey_file(path)?,
            key: None,
            redact: vec![],
            budget: FILE_BUDGET,
        },
    })
}

/// The fields that this host has: two readings tell.
fn host_fields() -> Result<Vec<Field>, SourceError> {
    let mut sampler = HostSampler::new()?;
    let mut samples = vec![Vec::new(); 2];
    for sample in &mut samples {
        std::thread::sleep(HostSampler::interval());
        sampler.sample(sample);
    }
    Ok(HostSampler::fields(&samples))
}
