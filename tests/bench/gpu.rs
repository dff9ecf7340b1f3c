//! A GPU beside one core: the same networks, the same rows, the transfers included.

use std::time::{Duration, Instant};

use anyhow::Context;
use outlierd::config::{self, Compute, TrainingData};
use outlierd::vae::{
    Device, Head, Member, Mixture, Networks, Recipe, Rows, Scores, Shape, Training,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Networks to measure.
struct Kind {
    name: &'static str,
    columns: usize,
    hidden: usize,
    latent: usize,
    /// Networks in the ensemble.
    members: usize,
}

const KINDS: [Kind; 4] = [
    Kind::new("a", 32, 64, 8, 1),
    // What `train` makes of 32 numbers by default.
    Kind::new("four", 32, 64, 32, 4),
    Kind::new("b", 128, 256, 16, 1),
    Kind::new("c", 1024, 512, 32, 1),
];

impl Kind {
    const fn new(
        name: &'static str,
        columns: usize,
        hidden: usize,
        latent: usize,
        members: usize,
    ) -> Kind {
        Kind {
            name,
            columns,
            hidden,
            latent,
            members,
        }
    }
}

const BATCHES: [usize; 6] = [64, 256, 1024, 4096, 16_384, 65_536];

/// Batches that optimisation steps are measured with.
const STEPS_OF: [usize; 3] = [128, 1024, 8192];

/// The line's, for several threads side by side.
const SERVING: usize = 8192;

const THREADS: [usize; 3] = [1, 2, 4];

/// Long enough for the clocks of the GPU to rise.
const ENOUGH: Duration = Duration::from_millis(400);

const LEAST_ROUNDS: usize = 3;

struct Subject {
    members: usize,
    shape: Shape,
    member: Member,
    mixture: Mixture,
    values: Vec<f32>,
    present: Vec<f32>,
}

/// Prints the tables; says so and does nothing else where there is no GPU.
pub fn measure() -> anyhow::Result<()> {
    let gpu = match open(SERVING) {
        Ok(gpu) => gpu,
        Err(error) => {
            println!("gpu: skipped, {error}");
            return Ok(());
        }
    };
    println!("{gpu} beside one core, thousands of rows a second");
    println!("scoring, one thread, transfers included");
    println!("shape    rows       core        gpu   times");
    for kind in KINDS {
        let (name, subject) = (kind.name, Subject::new(&kind)?);
        for rows in BATCHES {
            // Beyond this a core's rate no longer changes, and takes long.
            let core = subject.scoring(&Device::cpu(), rows.min(4096))?;
            let there = subject.scoring(&open(rows)?.for_any_rows(), rows)?;
            line(name, rows, core, there);
        }
    }
    println!("scoring on the gpu, batches of {SERVING} rows, threads");
    for kind in KINDS {
        let (name, subject) = (kind.name, Subject::new(&kind)?);
        for threads in THREADS {
            let rate = subject.scoring_side_by_side(&gpu, threads)?;
            println!("{name:5} {threads:7} {:21.1}", rate / 1e3);
        }
    }
    println!("training, one network");
    for kind in KINDS {
        let (name, subject) = (kind.name, Subject::new(&kind)?);
        for rows in STEPS_OF {
            let core = subject.training(&Device::cpu(), rows)?;
            line(name, rows, core, subject.training(&gpu, rows)?);
        }
    }
    Ok(())
}

fn open(batch_rows: usize) -> anyhow::Result<Device> {
    Ok(Device::open(&Compute {
        device: config::Device::Cuda(0),
        batch_rows,
    })?)
}

fn line(name: &str, rows: usize, core: f64, gpu: f64) {
    let (core, gpu) = (core / 1e3, gpu / 1e3);
    println!(
        "{name:5} {rows:7} {core:10.1} {gpu:10.1} {:7.1}",
        gpu / core
    );
}

impl Subject {
    /// A network that was trained for one step, and random rows, as many as the largest batch.
    fn new(kind: &Kind) -> anyhow::Result<Subject> {
        let &Kind {
            columns,
            hidden,
            latent,
            members,
            ..
        } = kind;
        let shape = Shape {
            heads: vec![Head::Gaussian; columns],
            hidden,
            latent,
        };
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let most = BATCHES.last().copied().unwrap_or(SERVING);
        let values: Vec<f32> = (0..most * columns)
            .map(|_| random.random_range(-2.0..2.0))
            .collect();
        let present = vec![1.0; values.len()];
        let recipe = recipe(128, &Device::cpu());
        let rows = Rows::new(&shape, &values[..128 * columns], &present[..128 * columns])?;
        let mut training = Training::new(rows, &shape, &recipe)?;
        training.step(0.0)?;
        let member = training.member()?;
        drop(training);
        let mixture = Mixture::from_parts(
            latent,
            vec![1.0 / 16.0; 16],
            vec![0.1; 16 * latent],
            vec![1.0; 16 * latent],
        );
        Ok(Subject {
            members,
            shape,
            member,
            mixture: mixture.context("no mixture")?,
            values,
            present,
        })
    }

    fn rows(&self, count: usize) -> anyhow::Result<Rows<'_>> {
        let numbers = count * self.shape.width();
        Ok(Rows::new(
            &self.shape,
            &self.values[..numbers],
            &self.present[..numbers],
        )?)
    }

    fn networks(&self, device: &Device) -> anyhow::Result<Networks> {
        let networks = vec![(&self.member, &self.mixture); self.members];
        Ok(Networks::new(&self.shape, &networks, device)?)
    }

    /// Rows a second, in batches of `count`.
    fn scoring(&self, device: &Device, count: usize) -> anyhow::Result<f64> {
        let (mut networks, rows) = (self.networks(device)?, self.rows(count)?);
        let mut out = vec![Scores::new(); self.members];
        Ok(count as f64 * rate(|| Ok(networks.score(rows, &mut out)?))?)
    }

    /// Rows a second over `threads` threads, each with batches of its own.
    fn scoring_side_by_side(&self, device: &Device, threads: usize) -> anyhow::Result<f64> {
        std::thread::scope(|scope| {
            let work = || self.scoring(device, SERVING);
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let rates = workers.into_iter().map(|worker| match worker.join() {
                Ok(rate) => rate,
                Err(_) => anyhow::bail!("a thread panicked"),
            });
            rates.sum()
        })
    }

    /// Rows a second of optimisation steps over `count` rows each.
    fn training(&self, device: &Device, count: usize) -> anyhow::Result<f64> {
        let recipe = recipe(count, device);
        let mut training = Training::new(self.rows(SERVING)?, &self.shape, &recipe)?;
        Ok(count as f64 * rate(|| Ok(training.step(0.5).map(|_| ())?))?)
    }
}

fn recipe(batch: usize, device: &Device) -> Recipe {
    Recipe {
        batch,
        device: device.clone(),
        ..Recipe::new(SERVING, 0.2, TrainingData::Unlabelled, 1000, 1)
    }
}

/// Rounds a second: the median of at least [`LEAST_ROUNDS`], over at least [`ENOUGH`].
fn rate(mut round: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    // Kernels are loaded, buffers grow.
    round()?;
    round()?;
    let (began, mut took) = (Instant::now(), Vec::new());
    while took.len() < LEAST_ROUNDS || began.elapsed() < ENOUGH {
        let round_began = Instant::now();
        round()?;
        took.push(round_began.elapsed().as_secs_f64());
    }
    took.sort_unstable_by(f64::total_cmp);
    Ok(1.0 / took[took.len() / 2])
}
