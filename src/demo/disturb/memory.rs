//! Memory taken, held and given back.

use std::collections::TryReserveError;
use std::hint::black_box;
use std::io;

use super::turn::Turn;
use super::{DisturbError, MIB};

/// One allocation. The C library takes blocks above 32 MiB straight from the kernel and gives them
/// straight back, so that freeing shows in the host's readings.
const BLOCK: u64 = 64 * MIB;

/// Share of the turn in which the memory grows; it is held for the rest.
const GROWING: f64 = 0.5;

/// Writes to every page of `bytes` of new memory over the first half of the turn, holds it until the
/// end and frees it. Returns the bytes touched.
pub(super) fn touch(bytes: u64, turn: &Turn<'_>) -> Result<u64, DisturbError> {
    if bytes < MIB {
        return Err(DisturbError::NoRoom {
            what: "memory",
            needed: 10 * MIB,
        });
    }
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut touched = 0;
    loop {
        let due = turn.due(bytes, GROWING);
        while touched + MIB <= due && !turn.is_over() {
            grow(&mut blocks, bytes - touched).map_err(out_of_memory)?;
            touched += MIB;
        }
        if turn.is_over() {
            return Ok(touched);
        }
        turn.pause();
    }
}

/// One MiB more. Writing other bytes than zero makes the kernel hand out every page.
fn grow(blocks: &mut Vec<Vec<u8>>, left: u64) -> Result<(), TryReserveError> {
    if blocks
        .last()
        .is_none_or(|block| block.len() == block.capacity())
    {
        let mut block = Vec::new();
        block.try_reserve_exact(left.min(BLOCK).next_multiple_of(MIB) as usize)?;
        blocks.push(block);
    }
    if let Some(block) = blocks.last_mut() {
        let length = (block.len() + MIB as usize).min(block.capacity());
        block.resize(length, 0xA5);
        black_box(block.as_mut_slice());
    }
    Ok(())
}

fn out_of_memory(error: TryReserveError) -> DisturbError {
    DisturbError::at("take memory")(io::Error::new(io::ErrorKind::OutOfMemory, error))
}
