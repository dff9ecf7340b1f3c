//! Busy cores.

use std::hint::black_box;
use std::thread;

use super::DisturbError;
use super::turn::Turn;

/// Rounds between two looks at the clock: some tens of microseconds.
const ROUNDS: u64 = 20_000;

/// Spins `threads` threads until the turn is over. No bytes are moved.
pub(super) fn spin(threads: usize, turn: &Turn<'_>) -> Result<u64, DisturbError> {
    thread::scope(|scope| {
        for _ in 0..threads {
            thread::Builder::new()
                .name("demo-spin".to_owned())
                .spawn_scoped(scope, || spin_one(turn))
                .map_err(DisturbError::at("start a thread that spins"))?;
        }
        Ok(0)
    })
}

fn spin_one(turn: &Turn<'_>) {
    let mut state = 1_u64;
    while !turn.is_over() {
        for _ in 0..ROUNDS {
            state = black_box(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            );
        }
    }
}
