//! What is compared on which rows: everything that is settled before anything is trained.

use std::path::PathBuf;
use std::sync::Arc;

use super::fields::default_train;
use super::material::LeftOut;
use super::{
    EvaluationError, Fields, Labels, Lineup, Material, Protocol, Record, Roles, Split, Truth,
};
use crate::config::{Budget, Config, Field, Input, Train, TrainingData};
use crate::detect::Model;
use crate::training::LEAST_ROWS;

/// How a trial of a model without a protocol is called: all rows are scored.
const MODEL_ALONE: &str = "model";

/// What a user asks for.
#[derive(Debug, Clone)]
pub struct Request {
    pub file: PathBuf,
    /// Scored instead of rows of `file`, which trains.
    pub test: Option<PathBuf>,
    pub roles: Roles,
    /// `forward` if it is not given.
    pub protocol: Option<Protocol>,
    /// Whether the training rows are known to hold no anomalies, where the protocol leaves it open.
    pub clean: bool,
    pub seeds: u64,
    pub lineup: Option<Lineup>,
    pub budget: Budget,
    /// Judged as it is, without training.
    pub model: Option<Arc<Model>>,
    /// Fields and `[train]`; without it they are inferred.
    pub config: Option<Config>,
}

/// Detectors, rows and settings of a comparison.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Name of the file.
    pub name: String,
    /// Name of the protocol.
    pub protocol: &'static str,
    pub records: Vec<Record>,
    pub split: Split,
    pub fields: Vec<Field>,
    pub input: Input,
    /// Its seed is the first one.
    pub train: Train,
    pub seeds: u64,
    pub lineup: Lineup,
    pub budget: Budget,
    pub model: Option<Arc<Model>>,
    pub roles: Roles,
    /// What the user should know: inferred fields, rows that are left out.
    pub notes: Vec<String>,
}

impl Trial {
    /// Reads the files and settles which rows, fields and detectors take part.
    ///
    /// # Errors
    /// What is asked for contradicts itself, or the files cannot be read or do not carry it.
    pub fn prepare(request: Request) -> Result<Trial, EvaluationError> {
        request.check()?;
        let protocol = request.protocol.unwrap_or_default();
        let alone = request.model_alone();
        let labels = match (&request.test, protocol) {
            (Some(_), Protocol::Forward | Protocol::Contaminated) => Labels::Optional,
            _ => Labels::Needed,
        };
        let roles = &request.roles;
        let read = Material::read(&request.file, roles, labels)?;
        let mut fields = fields(&request, &read)?;
        let mut notes: Vec<String> = fields.said.take().into_iter().collect();
        let usable = |material: Material| {
            let kept = material.keep_usable(&fields.fields, &fields.input, roles)?;
            Ok::<_, EvaluationError>(kept)
        };
        let mut material = usable(read)?;
        notes.extend(said_of(&material));
        if protocol == Protocol::Forward && request.test.is_none() {
            in_the_order_of_time(&mut material.records);
        }
        let training = material.records.len();
        if let Some(test) = &request.test {
            let test = usable(Material::read(test, roles, Labels::Needed)?)?;
            notes.extend(said_of(&test));
            material.records.extend(test.records);
        }
        let anomalous: Vec<bool> = material.records.iter().map(|row| row.anomalous).collect();
        let split = match (alone, &request.test) {
            (true, _) => Split {
                train: vec![],
                test: (0..anomalous.len()).collect(),
            },
            (false, Some(_)) => protocol.split_as_given(&anomalous, training),
            (false, None) => protocol.split(&anomalous),
        };
        fields.train.data = data(protocol, request.clean, fields.train.data);
        let default = match alone {
            true => Lineup::of_the_model(),
            false => Lineup::parse("all")?,
        };
        let trial = Trial {
            name: material.name,
            protocol: if alone { MODEL_ALONE } else { protocol.name() },
            records: material.records,
            split,
            fields: fields.fields,
            input: fields.input,
            train: fields.train,
            seeds: request.seeds,
            lineup: request.lineup.unwrap_or(default),
            budget: request.budget,
            model: request.model,
            roles: request.roles,
            notes,
        };
        trial.check()?;
        Ok(trial)
    }

    /// The records that train, in their order.
    pub fn trained(&self) -> impl Iterator<Item = &Record> {
        self.split.train.iter().map(|&row| &self.records[row])
    }

    /// The records that are scored, in their order.
    pub fn tested(&self) -> impl Iterator<Item = &Record> {
        self.split.test.iter().map(|&row| &self.records[row])
    }

    #[must_use]
    pub fn anomalies(&self) -> usize {
        self.tested().filter(|record| record.anomalous).count()
    }

    /// What is known of the scored rows.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let keyed = self.roles.key.is_some();
        let timed = self.roles.time.is_some();
        let key = |record: &Record| record.key.as_deref().map(ToOwned::to_owned);
        let tested = || self.tested();
        Truth {
            anomalous: tested().map(|record| record.anomalous).collect(),
            keys: tested().filter(|_| keyed).map(key).collect(),
            times: tested()
                .filter(|_| timed)
                .map(|record| record.time.unwrap_or_default())
                .collect(),
        }
    }

    fn check(&self) -> Result<(), EvaluationError> {
        let rows = self.split.train.len();
        let trains = self.model.is_none() || self.lineup.needs_training_rows();
        if trains && rows < LEAST_ROWS {
            return Err(EvaluationError::TooFewRows { rows });
        }
        let (rows, anomalies) = (self.split.test.len(), self.anomalies());
        if anomalies > 0 && anomalies < rows {
            return Ok(());
        }
        let more = self
            .records
            .iter()
            .any(|row| row.anomalous == (anomalies == 0));
        Err(EvaluationError::OneClass {
            rows,
            class: if anomalies == 0 {
                "normal"
            } else {
                "anomalies"
            },
            elsewhere: match more && self.protocol == Protocol::Forward.name() {
                true => "; there are others among the training rows, so try another --protocol",
                false => "",
            },
        })
    }
}

impl Request {
    fn model_alone(&self) -> bool {
        self.model.is_some() && self.protocol.is_none() && self.test.is_none()
    }

    fn check(&self) -> Result<(), EvaluationError> {
        let usage = |what: &str| Err(EvaluationError::Usage(what.to_owned()));
        let trains = self
            .lineup
            .as_ref()
            .is_some_and(Lineup::needs_training_rows);
        if self.model_alone() && trains {
            return usage(
                "--model judges a trained model on all rows, which leaves none to fit other detectors \
                 on: add --protocol or --test, or leave out --detectors",
            );
        }
        if self.clean && self.protocol == Some(Protocol::Contaminated) {
            return usage(
                "--clean says that the training rows hold no anomalies, and --protocol contaminated \
                 trains on all of them: leave one of the two out",
            );
        }
        if self.model.is_some() && self.config.is_some() {
            return usage("--model brings its own fields: leave --config out");
        }
        if matches!(self.budget, Budget::PerDay(_)) && self.roles.time.is_none() {
            return usage(
                "--budget as a number a day needs the rate of records: name --time, or write a share \
                 such as \"1%\"",
            );
        }
        if self.seeds == 0 {
            return usage("--seeds 0 runs nothing: write 1 or more");
        }
        Ok(())
    }
}

fn fields(request: &Request, material: &Material) -> Result<Fields, EvaluationError> {
    let roles = &request.roles;
    match (&request.model, &request.config) {
        (Some(model), _) => Fields::of_model(model, default_train()?, roles),
        (None, Some(config)) => Fields::of_configuration(config, roles),
        (None, None) => Fields::infer(material, roles),
    }
}

/// What the training rows are known to be: the protocol says, else the user.
fn data(protocol: Protocol, clean: bool, configured: TrainingData) -> TrainingData {
    match protocol {
        Protocol::OneClass => TrainingData::Clean,
        Protocol::Contaminated => TrainingData::Unlabelled,
        Protocol::Forward if clean => TrainingData::Clean,
        Protocol::Forward => configured,
    }
}

/// Rows of the same time keep the order of the file.
fn in_the_order_of_time(records: &mut [Record]) {
    if records.iter().all(|record| record.time.is_some()) {
        let time = |record: &Record| record.time.unwrap_or_default();
        records.sort_by(|a, b| time(a).total_cmp(&time(b)));
    }
}

fn said_of(material: &Material) -> Option<String> {
    let LeftOut {
        unusable,
        first,
        filtered,
    } = &material.left_out;
    let first = first.as_deref().unwrap_or_default();
    let rows = |count: usize| if count == 1 { "row" } else { "rows" };
    let mut said = Vec::new();
    if *unusable > 0 {
        said.push(format!(
            "{unusable} {} left out, the first: {first}",
            rows(*unusable)
        ));
    }
    if *filtered > 0 {
        said.push(format!("{filtered} {} skipped by `where`", rows(*filtered)));
    }
    (!said.is_empty()).then(|| format!("{}: {}", material.name, said.join("; ")))
}
