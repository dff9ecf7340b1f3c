//! `[model]` and `[train]`: the model file, and how one is made.

use std::path::PathBuf;
use std::time::Duration;

use super::error::Wrong;
use super::name;
use super::quantity::{duration, number, one_of, whole};
use super::section::Section;
use super::source::Surroundings;

const MINUTE: Duration = Duration::from_secs(60);
const TEN_YEARS: Duration = Duration::from_secs(3650 * 86400);
const MOST_MEMBERS: usize = 16;

/// `[model]`: the model file, or the folder of models.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub path: PathBuf,
    /// Models, one of which serves; then `path` is not used.
    pub store: Option<StoreAddress>,
    /// How many models of the store stay that nobody needs.
    pub keep: usize,
}

/// Where models are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    Folder(PathBuf),
    /// A compacted topic of the cluster that the records come from.
    Topic(String),
    /// A bucket, and what the names of the models in it begin with: `s3://BUCKET/PREFIX`.
    Objects(String),
}

/// `[train]`: how a model is made.
#[derive(Debug, Clone, PartialEq)]
pub struct Train {
    /// Whether the training rows are known to hold no outliers.
    pub data: TrainingData,
    /// How far back the training rows reach.
    pub since: Duration,
    /// Rows that are learnt from at most: an even sample, where there are more.
    pub max_rows: usize,
    /// Share of the rows, in stretches over the whole time, that is held out for calibration.
    pub calibration_share: f64,
    /// Width of each hidden layer.
    pub hidden: usize,
    /// Width of the latent code.
    pub latent: usize,
    /// One ensemble member for each variance floor (a deviation, in scaled units).
    pub floors: Vec<f64>,
    /// Upper bound of the optimiser steps a member.
    pub max_steps: usize,
    pub seed: u64,
}

/// Whether the training rows are known to hold no outliers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingData {
    Clean,
    Unlabelled,
}

const TRAINING_DATA: [(&str, TrainingData); 2] = [
    ("clean", TrainingData::Clean),
    ("unlabelled", TrainingData::Unlabelled),
];

impl Model {
    pub(super) fn read(mut section: Section<'_>, surroundings: &Surroundings) -> Option<Self> {
        let path = section.or("path", "model.safetensors", file("model.safetensors"));
        let keep = section.or("keep", "10", whole(1..=10_000));
        let store = section.optional("store", address);
        section.finish();
        Some(Self {
            path: surroundings.folder.join(path?),
            store: store?.map(|address| match address {
                StoreAddress::Folder(folder) => {
                    StoreAddress::Folder(surroundings.folder.join(folder))
                }
                remote => remote,
            }),
            keep: keep?,
        })
    }
}

impl Train {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let data = section.or("data", "unlabelled", one_of(&TRAINING_DATA));
        let since = section.or("since", "7d", duration(MINUTE..=TEN_YEARS));
        let max_rows = section.or("max_rows", "200000", whole(100..=100_000_000));
        let shares = number(|share| (0.05..=0.5).contains(&share), "from 0.05 to 0.5");
        let calibration_share = section.or("calibration_share", "0.2", shares);
        let hidden = section.or("hidden", "64", whole(4..=1024));
        let latent = section.or("latent", "32", whole(1..=128));
        let deviations = number(|floor| floor > 0.0 && floor <= 10.0, "above 0, at most 10");
        let floors = section.list(
            "floors",
            "[0.1, 0.2, 0.4, 1.0]",
            1..=MOST_MEMBERS,
            deviations,
        );
        let max_steps = section.or("max_steps", "2000", whole(1..=1_000_000));
        // The model's manifest is JSON: larger numbers would not survive every reader of it.
        let seed = section.or("seed", "1", whole(0..=u64::from(u32::MAX)));
        section.finish();
        Some(Self {
            data: data?,
            since: since?,
            max_rows: max_rows?,
            calibration_share: calibration_share?,
            hidden: hidden?,
            latent: latent?,
            floors: floors?,
            max_steps: max_steps?,
            seed: seed?,
        })
    }
}

/// The path of a file, such as `example`.
pub(super) fn file(example: &str) -> impl Fn(&str) -> Result<PathBuf, Wrong> {
    move |text| {
        let good = !text.trim().is_empty() && !text.ends_with('/');
        good.then(|| PathBuf::from(text))
            .ok_or_else(|| Wrong::new("is not a file", format!("write a path such as {example:?}")))
    }
}

fn address(text: &str) -> Result<StoreAddress, Wrong> {
    let wrong = |problem: &str| {
        let remedy = "write the path of a folder such as \"models\", a topic as \"kafka://outlierd-models\", or a \
                      bucket as \"s3://bucket/models\"";
        Err(Wrong::new(problem, remedy))
    };
    match text.split_once("://") {
        Some(("kafka", topic)) => name::topic(topic).map(StoreAddress::Topic),
        Some(("s3", _)) if cfg!(not(feature = "s3")) => {
            let remedy = "build outlierd with `--features s3`";
            Err(Wrong::new("needs more than this build has", remedy))
        }
        Some(("s3", rest)) if !rest.is_empty() => Ok(StoreAddress::Objects(text.to_owned())),
        Some(_) => wrong("is no place for models that this outlierd knows"),
        None if text.trim().is_empty() => wrong("is no folder"),
        None => Ok(StoreAddress::Folder(PathBuf::from(text))),
    }
}
