//! The sensors of a pump whose load goes up and down.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::super::{DemoError, INPUT};
use crate::kafka::{Connection, Feeder};

pub(super) const FIELDS: [&str; 4] = ["temperature", "pressure", "flow", "vibration"];

/// Records a second.
const RATE: f64 = 1000.0;

/// How much of the load stays from one reading to the next.
const INERTIA: f64 = 0.9;

pub(super) struct Pump {
    random: ChaCha8Rng,
    load: f64,
}

impl Pump {
    pub(super) fn new(seed: u64) -> Pump {
        Pump {
            random: ChaCha8Rng::seed_from_u64(seed),
            load: 0.0,
        }
    }

    fn noise(&mut self, deviation: f64) -> f64 {
        let drawn: f64 = StandardNormal.sample(&mut self.random);
        drawn * deviation
    }

    /// A reading in a room that is so much warmer.
    fn reading(&mut self, warmer: f64) -> [f64; 4] {
        self.load = INERTIA * self.load + self.noise((1.0 - INERTIA * INERTIA).sqrt());
        let load = self.load;
        [
            60.0 + 8.0 * load + warmer + self.noise(1.0),
            4.0 + 0.5 * load + self.noise(0.06),
            120.0 + 15.0 * load + self.noise(2.0),
            2.0 + 0.2 * load.abs() + self.noise(0.05),
        ]
    }

    /// Writes readings as fast as they are taken.
    pub(super) fn write(&mut self, connection: &Connection, count: usize) -> Result<(), DemoError> {
        let feeder = Feeder::new(connection, INPUT)?;
        for number in 0..count {
            feeder.send(Some(&key(number)), Some(&line(self.reading(0.0))), None)?;
        }
        Ok(feeder.finish(Duration::from_secs(10))?)
    }

    /// Writes readings at their pace until it is stopped.
    pub(super) fn start(mut self, connection: &Connection) -> Result<Running, DemoError> {
        let feeder = Feeder::new(connection, INPUT)?;
        let warmth = Arc::new(Warmth::default());
        let kept = Arc::clone(&warmth);
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let mut number = 0;
            while !kept.ended.load(Ordering::Acquire) {
                let due = began + Duration::from_secs_f64(number as f64 / RATE);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let reading = line(self.reading(kept.degrees()));
                if let Err(error) = feeder.send(Some(&key(number)), Some(&reading), None) {
                    tracing::warn!("the pump ended: {error}");
                    return;
                }
                number += 1;
            }
        });
        Ok(Running { warmth, thread })
    }
}

/// A pump that is read.
pub(super) struct Running {
    warmth: Arc<Warmth>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Has the room get warmer, from now on and evenly.
    pub(super) fn warm(&self, degrees: f64, within: Duration) {
        let from = Instant::now();
        let mut warming = self.warmth.lock();
        *warming = Some(Warming {
            from,
            degrees,
            within,
        });
    }

    pub(super) fn stop(self) {
        self.warmth.ended.store(true, Ordering::Release);
        self.thread.join().ok();
    }
}

#[derive(Default)]
struct Warmth {
    ended: AtomicBool,
    warming: Mutex<Option<Warming>>,
}

struct Warming {
    from: Instant,
    degrees: f64,
    within: Duration,
}

impl Warmth {
    fn lock(&self) -> MutexGuard<'_, Option<Warming>> {
        self.warming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much warmer the room is by now.
    fn degrees(&self) -> f64 {
        self.lock().as_ref().map_or(0.0, |warming| {
            let passed = warming.from.elapsed().div_duration_f64(warming.within);
            warming.degrees * passed.min(1.0)
        })
    }
}

fn key(number: usize) -> Vec<u8> {
    format!("pump-{}", number % 8).into_bytes()
}

fn line(reading: [f64; 4]) -> Vec<u8> {
    let [temperature, pressure, flow, vibration] = reading;
    format!(
        "{{\"temperature\":{temperature:.3},\"pressure\":{pressure:.4},\"flow\":{flow:.3},\"vibration\":{vibration:.4}}}"
    )
    .into_bytes()
}

/// Readings of a pump that loses its flow and shakes.
pub(super) fn write_broken(path: &Path, count: usize) -> std::io::Result<()> {
    let mut pump = Pump::new(99);
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for number in 0..count {
        let mut reading = pump.reading(0.0);
        let worn = number as f64 / count as f64;
        reading[2] -= 80.0 * worn;
        reading[3] += 4.0 * worn + pump.noise(worn);
        file.write_all(&line(reading))?;
        file.write_all(b"\n")?;
    }
    file.flush()
}
