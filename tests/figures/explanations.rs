//! Whether the field that was shifted is named first.
//!
//! Per set: a model is trained on the first half of the normal rows, known to be clean. Of the other normal rows those
//! with p > 0.1 are taken; one field of each is shifted by five of its deviations given all other fields, by a ridge
//! regression fitted on the training rows. Every field takes its turn. Three methods rank the fields of the same
//! shifted rows: the explanation, a linear-Gaussian oracle, and the z-scores.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nalgebra::{DMatrix, DVector};
use outlierd::config::{Field, Input, Kind, Train, TrainingData};
use outlierd::detect::{Detector, Model, Policy, sentence};
use outlierd::files;
use outlierd::registry;
use outlierd::training::{Collection, Source, learn};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Shifts a set at least; each field has as many as any other.
const SHIFTS: usize = 300;

/// Size of a shift, in deviations of the ridge residual.
const DEVIATIONS: f64 = 5.0;

/// What the ridge adds to the covariance of the standardised columns. P being the inverse of their sum, a field's
/// deviation given the others is 1 / sqrt(P_jj): it holds the residual of the ridge regression and the penalty. The same
/// P makes the shifts and the oracle. The issue names no penalty, but what the oracle and the z-score reach, .94 and .60.
/// In 10,000 shifts on each of the 12 sets, rows within 90 % of Mahalanobis distances: .001 gives .935 and .592, .002
/// .939 and .596, .003 .942 and .599, .005 .946 and .608, .01 .95 and .63, .1 .99 and .81. Of those that round to the
/// issue's figures this is the least, and so the hardest. Deviations of the residual without the penalty cannot be
/// meant: whatever the ridge up to .03 they give .91 and .59, and on `fault`, whose columns repeat each other, the
/// oracle itself then reaches .61.
const RIDGE: f64 = 0.002;

/// Rows with a p-value above this are ordinary enough to be shifted.
const ORDINARY: f64 = 0.1;

const MEAN_WANTED: f64 = 0.90;
const LEAST_WANTED: f64 = 0.75;

/// Small sets for a quick run.
const QUICK: [&str; 2] = ["Waveform", "thyroid"];

#[derive(clap::Args)]
pub struct Arguments {
    /// Keep trained models here, and take those that are there.
    #[arg(long)]
    models: Option<PathBuf>,
    /// These sets alone.
    #[arg(long)]
    only: Vec<String>,
    /// Of the training, the rows and the signs of the shifts.
    #[arg(long, default_value_t = 1)]
    seed: u32,
}

pub fn run(arguments: &Arguments, data: &Path, quick: bool) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(data.join("tabular"))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    say("set            fields   ours  named  oracle  z-score    ms");
    let mut all = Vec::new();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .replace(".csv.gz", "");
        let chosen = arguments.only.contains(&name)
            || (arguments.only.is_empty() && (!quick || QUICK.contains(&name.as_str())));
        if !chosen {
            continue;
        }
        let set = Set::read(&path)?;
        let model = trained(&set, &name, arguments)?;
        let hits = measure(&set, &model, arguments.seed)?;
        say(&format!("{name:14} {:>6} {}", set.fields, hits.line()));
        all.push((name, hits));
    }
    ensure!(!all.is_empty(), "no set was chosen");
    let mean =
        |of: fn(&Hits) -> f64| all.iter().map(|(_, hits)| of(hits)).sum::<f64>() / all.len() as f64;
    let mean = Hits {
        ours: mean(|hits| hits.ours),
        named: mean(|hits| hits.named),
        oracle: mean(|hits| hits.oracle),
        z_score: mean(|hits| hits.z_score),
        took: all.iter().map(|(_, hits)| hits.took).sum::<Duration>() / all.len() as u32,
    };
    say(&format!("mean                  {}", mean.line()));
    say(&format!(
        "wanted: {MEAN_WANTED} on average, {LEAST_WANTED} on each set"
    ));
    let short: Vec<&str> = all
        .iter()
        .filter(|(_, hits)| hits.ours < LEAST_WANTED)
        .map(|(name, _)| name.as_str())
        .collect();
    ensure!(
        short.is_empty(),
        "below {LEAST_WANTED}: {}",
        short.join(", ")
    );
    ensure!(
        quick || mean.ours >= MEAN_WANTED,
        "the mean is below {MEAN_WANTED}"
    );
    Ok(())
}

#[allow(clippy::print_stdout)]
fn say(line: &str) {
    println!("{line}");
}

impl Hits {
    fn line(&self) -> String {
        let Hits {
            ours,
            named,
            oracle,
            z_score,
            took,
        } = self;
        let milliseconds = took.as_secs_f64() * 1e3;
        format!("{ours:>6.3} {named:>6.3} {oracle:>7.3} {z_score:>8.3} {milliseconds:>5.2}")
    }
}

struct Set {
    fields: usize,
    train: Vec<Vec<f64>>,
    others: Vec<Vec<f64>>,
}

impl Set {
    fn read(path: &Path) -> anyhow::Result<Set> {
        let mut rows = files::open(path)?;
        let mut record = Vec::new();
        let mut normal: Vec<Vec<f64>> = vec![];
        while rows.next(&mut record)? {
            let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&record)?;
            if row.get("label").and_then(serde_json::Value::as_f64) == Some(0.0) {
                let cell = |index: usize| {
                    row.get(&format!("f{index}"))
                        .and_then(serde_json::Value::as_f64)
                };
                normal.push(
                    (0..row.len() - 1)
                        .map(|i| cell(i).context("a number is wanted"))
                        .collect::<Result<_, _>>()?,
                );
            }
        }
        let others = normal.split_off(normal.len() / 2);
        ensure!(!normal.is_empty(), "{} has no normal rows", path.display());
        Ok(Set {
            fields: normal[0].len(),
            train: normal,
            others,
        })
    }
}

fn trained(set: &Set, name: &str, arguments: &Arguments) -> anyhow::Result<Arc<Model>> {
    let path = arguments
        .models
        .as_ref()
        .map(|folder| folder.join(format!("{name}-{}.safetensors", arguments.seed)));
    if let Some(path) = path.as_ref().filter(|path| path.exists()) {
        return Ok(registry::load(path)?.model);
    }
    let fields: Vec<Field> = (0..set.fields)
        .map(|index| Field::open(format!("f{index}"), Kind::Numeric))
        .collect();
    let input = Input::of_records();
    let mut collection = Collection::new(&fields, &input, usize::MAX)?;
    for row in &set.train {
        let record: serde_json::Map<_, _> = row
            .iter()
            .enumerate()
            .map(|(i, &c)| (format!("f{i}"), c.into()))
            .collect();
        collection.add(&serde_json::to_vec(&record)?, -1);
    }
    let settings = Train {
        data: TrainingData::Clean,
        since: Duration::ZERO,
        max_rows: usize::MAX,
        calibration_share: 0.2,
        hidden: 64,
        latent: 32,
        floors: vec![0.1, 0.2, 0.4, 1.0],
        max_steps: 2000,
        seed: u64::from(arguments.seed),
    };
    let began = Instant::now();
    let source = Source {
        name: format!("file {name}"),
        offsets: vec![],
    };
    let model = learn(collection, source, &settings, &mut |_| {
        ControlFlow::Continue(())
    })?;
    eprintln!("{name}: trained in {:.1} s", began.elapsed().as_secs_f64());
    if let Some(path) = &path {
        registry::save(&model, path)?;
    }
    Ok(Arc::new(model))
}

/// A linear-Gaussian model of the training rows.
struct Linear {
    mean: Vec<f64>,
    deviation: Vec<f64>,
    precision: DMatrix<f64>,
    /// Deviation of the residual of each field on the others, in the field's own units.
    residual: Vec<f64>,
}

impl Linear {
    fn fit(rows: &[Vec<f64>]) -> anyhow::Result<Linear> {
        let (n, d) = (rows.len() as f64, rows[0].len());
        let mean: Vec<f64> = (0..d)
            .map(|j| rows.iter().map(|r| r[j]).sum::<f64>() / n)
            .collect();
        let deviation: Vec<f64> = (0..d)
            .map(|j| (rows.iter().map(|r| (r[j] - mean[j]).powi(2)).sum::<f64>() / n).sqrt())
            .map(|dev| if dev > 1e-12 { dev } else { 1.0 })
            .collect();
        let z = DMatrix::from_fn(rows.len(), d, |i, j| (rows[i][j] - mean[j]) / deviation[j]);
        let covariance = z.transpose() * &z / n + DMatrix::identity(d, d) * RIDGE;
        let precision = covariance
            .try_inverse()
            .context("the covariance has no inverse")?;
        let residual = (0..d)
            .map(|j| deviation[j] / precision[(j, j)].sqrt())
            .collect();
        Ok(Linear {
            mean,
            deviation,
            precision,
            residual,
        })
    }

    fn z(&self, row: &[f64]) -> Vec<f64> {
        (0..row.len())
            .map(|j| (row[j] - self.mean[j]) / self.deviation[j])
            .collect()
    }

    /// The deviation of each field from what the others say, in units of its own conditional deviation.
    fn conditional(&self, row: &[f64]) -> Vec<f64> {
        let r = &self.precision * DVector::from_vec(self.z(row));
        (0..row.len())
            .map(|j| r[j].abs() / self.precision[(j, j)].sqrt())
            .collect()
    }
}

/// How often each method ranked the shifted field first, and how long an explanation took.
struct Hits {
    ours: f64,
    /// The sentence has the shifted field.
    named: f64,
    oracle: f64,
    z_score: f64,
    took: Duration,
}

fn measure(set: &Set, model: &Arc<Model>, seed: u32) -> anyhow::Result<Hits> {
    let linear = Linear::fit(&set.train)?;
    let mut detector = Detector::new(Arc::clone(model), Arc::new(Policy::open(set.fields)))?;
    let cells: Vec<f64> = set.others.iter().flatten().copied().collect();
    let scored = detector.score(&cells)?.iter().zip(&set.others);
    let mut rows: Vec<&Vec<f64>> = scored
        .filter(|(scored, _)| scored.p > ORDINARY)
        .map(|(_, row)| row)
        .collect();
    ensure!(!rows.is_empty(), "no normal row has a p above {ORDINARY}");
    let mut random = ChaCha8Rng::seed_from_u64(u64::from(seed));
    rows.shuffle(&mut random);
    let seen = model
        .encoding
        .fields
        .iter()
        .enumerate()
        .filter(|(_, field)| !field.parts.is_empty());
    let fields: Vec<usize> = seen.map(|(index, _)| index).collect();
    let shifts = SHIFTS.div_ceil(fields.len()) * fields.len();
    let mut hits = Hits {
        ours: 0.0,
        named: 0.0,
        oracle: 0.0,
        z_score: 0.0,
        took: Duration::ZERO,
    };
    for shift in 0..shifts {
        let field = fields[shift % fields.len()];
        let mut row = rows[shift % rows.len()].clone();
        let sign = if random.random::<bool>() { 1.0 } else { -1.0 };
        row[field] += sign * DEVIATIONS * linear.residual[field];
        detector.score(&row)?;
        let began = Instant::now();
        let explanation = detector.explanation(0, &row);
        hits.took += began.elapsed() / shifts as u32;
        let path = &model.encoding.fields[field].path;
        let said = sentence(&explanation.reasons, explanation.latent);
        let first = explanation.reasons.first();
        for (sum, hit) in [
            (
                &mut hits.ours,
                first.is_some_and(|reason| reason.field == *path),
            ),
            (
                &mut hits.named,
                said.split("; ")
                    .any(|phrase| phrase.starts_with(&format!("{path} is "))),
            ),
            (
                &mut hits.oracle,
                largest(&fields, &linear.conditional(&row)) == Some(field),
            ),
            (
                &mut hits.z_score,
                largest(&fields, &linear.z(&row)) == Some(field),
            ),
        ] {
            *sum += f64::from(u8::from(hit)) / shifts as f64;
        }
    }
    Ok(hits)
}

/// The field with the largest of `sizes`, signs aside.
fn largest(fields: &[usize], sizes: &[f64]) -> Option<usize> {
    fields
        .iter()
        .copied()
        .max_by(|&a, &b| sizes[a].abs().total_cmp(&sizes[b].abs()))
}
