//! Whether the autoencoder is right: ln p(x) on MNIST beside the literature's.
//!
//! The protocol of Burda, Grosse and Salakhutdinov (2015): one stochastic layer of 50, two hidden
//! layers of 200, Bernoulli pixels drawn anew from the grey values at every use, ln p(x) of the 10,000
//! test images by importance sampling with 5000 codes. The network, the likelihood and the training
//! are the program's own. Two things differ from the paper's: hidden units are SiLU rather than tanh
//! and linear paths lead past them, and no pixel's probability is beyond 0.001 and 0.999.

use std::io::{Write, stdout};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use outlierd::config::TrainingData;
use outlierd::vae::{Head, Member, Recipe, Rows, Scorer, Scores, Shape, Training};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::images::Images;

/// The same network fully trained, 3,280 passes: Burda et al. 2015, table 1; and the replication
/// github.com/nbip/IWAE.
const PUBLISHED: (f64, f64) = (-86.76, -86.35);

/// What `--quick` must reach in half a minute of training: it says that learning works.
const QUICK_FLOOR: f64 = -125.0;

/// Test images that a thread takes at a time.
const CHUNK: usize = 10;

const PROGRESS_EVERY: Duration = Duration::from_secs(10);

#[derive(clap::Args)]
pub struct Arguments {
    /// How long to train.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Test images, evenly spaced over all of them.
    #[arg(long, default_value_t = 10_000)]
    images: usize,
    /// Codes for each test image.
    #[arg(long, default_value = "5000")]
    samples: NonZeroUsize,
    /// After this many minutes of scoring, the images that are done must do.
    #[arg(long, default_value_t = 30.0)]
    scoring_minutes: f64,
    /// Threads for training and for scoring.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Images a step.
    #[arg(long, default_value_t = 200)]
    batch: usize,
    /// Adam's step size at the start; it falls to 0 along a cosine.
    #[arg(long, default_value_t = 3e-3)]
    rate: f64,
    /// Decides the weights, the noise and the pixels that are drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub fn run(arguments: &Arguments, data: &Path, quick: bool) -> anyhow::Result<()> {
    let file = |name: &str| data.join("images").join(name);
    if !file("train-images-idx3-ubyte.gz").is_file() {
        eprintln!("skipped: no MNIST in {}", data.join("images").display());
        return Ok(());
    }
    let train = Images::read(&file("train-images-idx3-ubyte.gz"))?;
    let test = Images::read(&file("t10k-images-idx3-ubyte.gz"))?;
    let shape = Shape {
        heads: vec![Head::Bernoulli; train.pixels],
        hidden: 200,
        latent: 50,
    };
    let (minutes, images, samples) = if quick {
        (0.5, 200, NonZeroUsize::MIN.saturating_add(199))
    } else {
        (arguments.minutes, arguments.images, arguments.samples)
    };
    let limit = Duration::try_from_secs_f64(60.0 * minutes).context("--minutes")?;
    let trained = learn(arguments, &shape, &train, limit)?;
    let chosen = test.spread(images);
    let found = score(arguments, &shape, &trained.member, &chosen, samples)?;
    let (mean, error) = mean_and_error(&found);
    writeln!(
        stdout(),
        "mnist: ln p(x) {mean:.2} +- {error:.2} nats ({} of {} images, {samples} codes each, {} steps of {} in {:.1} min); \
         published after 3,280 passes: {} and {}",
        found.len(),
        chosen.len(),
        trained.steps,
        arguments.batch,
        limit.as_secs_f64() / 60.0,
        PUBLISHED.0,
        PUBLISHED.1,
    )?;
    ensure!(
        !quick || mean > QUICK_FLOOR,
        "ln p(x) is below {QUICK_FLOOR}"
    );
    Ok(())
}

struct Trained {
    member: Member,
    steps: usize,
}

/// Trains until `limit` is over; the schedule follows the clock.
fn learn(
    arguments: &Arguments,
    shape: &Shape,
    images: &Images,
    limit: Duration,
) -> anyhow::Result<Trained> {
    let recipe = Recipe {
        learning_rate: arguments.rate,
        last_rate: 0.0,
        batch: arguments.batch,
        parts: arguments.threads.max(1),
        drawn: true,
        // The evidence lower bound itself.
        beta: 1.0,
        warmup: 0.05,
        // Bounds none but the first gradients, of hundreds of nats.
        clip: 200.0,
        // The variance floor has no meaning here: no head is Gaussian.
        ..Recipe::new(
            images.count(),
            1.0,
            TrainingData::Clean,
            usize::MAX,
            arguments.seed,
        )
    };
    let present = vec![1.0; images.values.len()];
    let rows = Rows::new(shape, &images.values, &present)?;
    let mut training = Training::new(rows, shape, &recipe)?;
    let start = Instant::now();
    let (mut steps, mut told) = (0, start);
    let (mut bounds, mut divergences, mut since) = (0.0, 0.0, 0.0);
    while start.elapsed() < limit {
        let along = start.elapsed().as_secs_f64() / limit.as_secs_f64();
        let progress = training.step(along)?;
        steps = progress.step;
        bounds += f64::from(progress.elbo);
        divergences += f64::from(progress.divergence);
        since += 1.0;
        if told.elapsed() >= PROGRESS_EVERY {
            eprintln!(
                "{:6.0} s, step {steps} ({:.1} a second, pass {:.1}): bound {:.2}, divergence {:.2} nats",
                start.elapsed().as_secs_f64(),
                since / told.elapsed().as_secs_f64(),
                (steps * arguments.batch) as f64 / images.count() as f64,
                bounds / since,
                divergences / since,
            );
            (told, bounds, divergences, since) = (Instant::now(), 0.0, 0.0, 0.0);
        }
    }
    let member = training.member()?;
    Ok(Trained { member, steps })
}

/// ln p(x) of `images`, or of as many as there was time for.
fn score(
    arguments: &Arguments,
    shape: &Shape,
    member: &Member,
    images: &[&[f32]],
    samples: NonZeroUsize,
) -> anyhow::Result<Vec<f64>> {
    let limit = Duration::try_from_secs_f64(60.0 * arguments.scoring_minutes);
    let (start, limit) = (Instant::now(), limit.context("--scoring-minutes")?);
    let scorer = Scorer::new(shape, member)?;
    let chunks: Vec<&[&[f32]]> = images.chunks(CHUNK).collect();
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<Vec<f64>> {
        let (mut scores, mut found) = (Scores::new(), Vec::new());
        while start.elapsed() < limit {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            let Some(images) = chunks.get(chunk) else {
                break;
            };
            // The pixels and codes of an image do not depend on which thread it falls to.
            let mut random = ChaCha8Rng::seed_from_u64(arguments.seed);
            random.set_stream(1 + chunk as u64);
            let grey = images.iter().flat_map(|image| image.iter());
            let values: Vec<f32> = grey
                .map(|&grey| f32::from(u8::from(random.random::<f32>() < grey)))
                .collect();
            let present = vec![1.0; values.len()];
            let rows = Rows::new(shape, &values, &present)?;
            found.extend(scorer.log_likelihood(rows, samples, &mut random, &mut scores)?);
            if chunk.is_multiple_of((chunks.len() / 20).max(1)) {
                eprintln!(
                    "{:6.0} s, scoring chunk {chunk} of {}",
                    start.elapsed().as_secs_f64(),
                    chunks.len()
                );
            }
        }
        Ok(found)
    };
    let mut found = Vec::with_capacity(images.len());
    thread::scope(|scope| {
        let workers: Vec<_> = (0..arguments.threads.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        for worker in workers {
            let part = worker
                .join()
                .map_err(|_| anyhow!("a scoring thread panicked"))?;
            found.extend(part?);
        }
        anyhow::Ok(())
    })?;
    ensure!(found.len() > 1, "no image was scored in time");
    Ok(found)
}

/// The mean, and its standard error over the images.
fn mean_and_error(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let squares = numbers.iter().map(|number| (number - mean).powi(2));
    (mean, (squares.sum::<f64>() / (count - 1.0) / count).sqrt())
}
