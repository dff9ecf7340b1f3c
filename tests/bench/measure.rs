//! Repetitions of one stage, and their spread.

use std::time::{Duration, Instant};

use super::{allocations, clock};

const REPETITIONS: usize = 15;

/// Long enough for the clocks, short enough to fall between the turns of a busy machine.
const REPETITION: Duration = Duration::from_millis(40);

/// The middle and the ends of some measurements of one quantity.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Of at least one measurement.
    pub fn of(mut measurements: Vec<f64>) -> Spread {
        measurements.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| measurements.get(index).copied().unwrap_or(f64::NAN);
        Spread {
            median: at(measurements.len() / 2),
            least: at(0),
            most: at(measurements.len().wrapping_sub(1)),
        }
    }
}

/// What one stage costs a record.
#[derive(Debug, Clone)]
pub struct Stage {
    pub name: &'static str,
    pub wall_ns: Spread,
    pub cpu_ns: Spread,
    /// For each thousand records.
    pub allocations: f64,
}

/// Measures `round`, which takes `records` records through a stage on this thread.
pub fn stage(name: &'static str, records: usize, mut round: impl FnMut()) -> Stage {
    // Buffers grow and caches fill before anything counts.
    let began = Instant::now();
    round();
    let once = began.elapsed().max(Duration::from_nanos(100));
    let rounds = REPETITION.div_duration_f64(once).ceil().max(1.0) as usize;
    let mut wall = Vec::with_capacity(REPETITIONS);
    let mut cpu = Vec::with_capacity(REPETITIONS);
    let before = allocations::count();
    let count = (rounds * records) as f64;
    for _ in 0..REPETITIONS {
        let (began, began_cpu) = (Instant::now(), clock::thread_cpu());
        (0..rounds).for_each(|_| round());
        wall.push(began.elapsed().as_nanos() as f64 / count);
        cpu.push((clock::thread_cpu() - began_cpu) as f64 / count);
    }
    let allocated = (allocations::count() - before) as f64;
    Stage {
        name,
        wall_ns: Spread::of(wall),
        cpu_ns: Spread::of(cpu),
        allocations: allocated / (count * REPETITIONS as f64) * 1000.0,
    }
}
