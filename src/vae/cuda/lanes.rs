//! Scoring on a GPU: two lanes side by side, so that one copies while the other computes.

use candle_core::{CudaDevice, Error, Result, Tensor};

use super::staging::Staging;
use super::{Gpu, text};
use crate::vae::batched::{Batched, NUMBERS};
use crate::vae::lean::Scores;
use crate::vae::member::Member;
use crate::vae::mixture::Mixture;
use crate::vae::network::{Input, is_whole};
use crate::vae::networks::{Accelerator, Failure, Weighed};
use crate::vae::rows::Rows;
use crate::vae::shape::Shape;

/// A batch of fewer rows than this goes through one lane whole: each lane costs the start of its kernels.
const WORTH_TWO_LANES: usize = 4096;

/// A lane that cannot take so many rows at once is given up.
const LEAST_ROWS: usize = 64;

/// The networks of an ensemble on a GPU.
pub(in crate::vae) struct Lanes {
    gpu: Gpu,
    shape: Shape,
    networks: Vec<(Member, Mixture)>,
    /// Rows that a lane takes at once, at most.
    rows: usize,
    /// Made at the first batch, and anew after a failure.
    lanes: Option<[Lane; 2]>,
}

/// A queue of the GPU with the networks and the memory for one share of a batch.
struct Lane {
    shape: Shape,
    networks: Vec<Batched>,
    values: Staging,
    present: Staging,
    found: Staging,
    /// The marks of rows in which nothing is missing.
    ones: Tensor,
    held: Option<Held>,
}

/// The rows that a lane is at work on.
struct Held {
    first: usize,
    count: usize,
    /// Lives until it has been copied.
    _found: Tensor,
}

impl Lanes {
    pub fn new(gpu: Gpu, shape: &Shape, networks: &[Weighed<'_>]) -> Lanes {
        let networks = networks
            .iter()
            .map(|&(member, mixture)| (member.clone(), mixture.clone()));
        Lanes {
            rows: gpu.batch_rows().div_ceil(2).max(WORTH_TWO_LANES / 2),
            gpu,
            shape: shape.clone(),
            networks: networks.collect(),
            lanes: None,
        }
    }

    fn run(&mut self, rows: Rows<'_>, out: &mut [Scores]) -> Result<()> {
        let lane = || Lane::new(&self.gpu, &self.shape, &self.networks, self.rows);
        let lanes = match &mut self.lanes {
            Some(lanes) => lanes,
            none => none.insert([lane()?, lane()?]),
        };
        let share = rows.len().div_ceil(2).max(WORTH_TWO_LANES / 2);
        let size = share.min(self.rows);
        for (index, first) in (0..rows.len()).step_by(size).enumerate() {
            let lane = &mut lanes[index % 2];
            lane.finish(out)?;
            lane.start(rows, first, size.min(rows.len() - first))?;
        }
        lanes.iter_mut().try_for_each(|lane| lane.finish(out))
    }
}

impl Accelerator for Lanes {
    fn score(&mut self, rows: Rows<'_>, out: &mut [Scores]) -> std::result::Result<(), Failure> {
        for out in out.iter_mut() {
            out.fit_by_row(rows.len());
        }
        self.run(rows, out).map_err(|error| {
            self.lanes = None;
            failure(&error)
        })
    }

    fn halve(&mut self) -> Option<usize> {
        self.rows /= 2;
        (self.rows >= LEAST_ROWS).then_some(2 * self.rows)
    }
}

fn failure(error: &Error) -> Failure {
    let why = text(error);
    let short = ["OUT_OF_MEMORY", "ALLOC_FAILED"];
    match short.iter().any(|word| why.contains(word)) {
        true => Failure::Memory(why),
        false => Failure::Lost(why),
    }
}

impl Lane {
    fn new(gpu: &Gpu, shape: &Shape, networks: &[(Member, Mixture)], rows: usize) -> Result<Lane> {
        let queue = gpu.queue()?;
        let device: &CudaDevice = queue.as_cuda_device()?;
        let heads = shape.heads.len();
        let networks = networks
            .iter()
            .map(|(member, mixture)| Batched::new(shape, (member, mixture), &queue))
            .collect::<Result<Vec<_>>>()?;
        let found = rows * NUMBERS * networks.len();
        Ok(Lane {
            values: Staging::new(device, rows * shape.width())?,
            present: Staging::new(device, rows * heads)?,
            found: Staging::new(device, found)?,
            ones: Tensor::ones((rows, heads), candle_core::DType::F32, &queue)?,
            shape: shape.clone(),
            networks,
            held: None,
        })
    }

    /// Sets the GPU to work on some rows. Those before have been finished.
    fn start(&mut self, rows: Rows<'_>, first: usize, count: usize) -> Result<()> {
        let (width, heads) = (self.shape.width(), self.shape.heads.len());
        let values = &rows.values()[first * width..][..count * width];
        let present = &rows.present()[first * heads..][..count * heads];
        let whole = is_whole(present);
        let values = self.values.bring(values, (count, width))?;
        let present = match whole {
            true => self.ones.narrow(0, 0, count)?,
            false => self.present.bring(present, (count, heads))?,
        };
        let input = Input::new(values, present, whole)?;
        let found = self.networks.iter().map(|network| network.score(&input));
        let found = Tensor::cat(&found.collect::<Result<Vec<_>>>()?, 0)?;
        self.found.fetch(&found)?;
        self.held = Some(Held {
            first,
            count,
            _found: found,
        });
        Ok(())
    }

    /// Waits for the rows at work, if any, and puts what was found into their places.
    fn finish(&mut self, out: &mut [Scores]) -> Result<()> {
        let Some(Held { first, count, .. }) = &self.held else {
            return Ok(());
        };
        let (first, count) = (*first, *count);
        let found = self.found.wait(count * NUMBERS * self.networks.len())?;
        let networks = found.chunks_exact(NUMBERS * count);
        for (out, found) in out.iter_mut().zip(networks) {
            out.place_by_row(first, count, found);
        }
        self.held = None;
        Ok(())
    }
}
