//! The same networks say the same of the same rows on every device, within a tolerance.
//!
//! Where there is no GPU, candle on the CPU stands for it: the operations are the same, and so is what is asked of them.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use candle_core::Device as Tensors;

use super::batched::{Batched, NUMBERS};
use super::network::Input;
use super::samples::{Table, member};
use super::{Head, Member, Mixture, Scorer, Scores, Shape};

/// |a - b| <= 1e-4 max(1, |a|).
const TOLERANCE: f32 = 1e-4;

const ROWS: usize = 700;

/// Every kind of head, alone and beside others.
fn kinds() -> Vec<Vec<Head>> {
    let classes = |classes| Head::Categorical { classes };
    let mixed = [
        Head::Gaussian,
        classes(5),
        Head::Bernoulli,
        Head::Gaussian,
        classes(2),
    ];
    vec![
        vec![Head::Gaussian; 33],
        vec![Head::Bernoulli; 7],
        vec![classes(2), classes(20)],
        mixed.repeat(6),
    ]
}

/// Some heads missing, none, and all.
fn masks(shape: &Shape) -> [Table; 3] {
    let some = Table::new(shape, ROWS, 6);
    let mut whole = some.clone();
    whole.present.fill(1.0);
    let mut nothing = some.clone();
    nothing.present.fill(0.0);
    nothing.values.fill(0.0);
    [some, whole, nothing]
}

fn mixture() -> Mixture {
    let means = [0.0, 0.5, -1.0, 2.0, -2.0, 1.0].to_vec();
    Mixture::from_parts(3, vec![0.7, 0.3], means, vec![0.4; 6]).unwrap()
}

fn on_the_cpu(shape: &Shape, member: &Member, table: &Table) -> Scores {
    let mut scores = Scores::new();
    let scorer = Scorer::new(shape, member).unwrap();
    let scorer = scorer.with_mixture(&mixture()).unwrap();
    scorer.score(table.rows(shape), &mut scores).unwrap();
    scores
}

/// Holds what `other` says of each table under each network to what the CPU says.
fn agree(mut other: impl FnMut(&Shape, &Member, &Table) -> Scores) {
    for heads in kinds() {
        let shape = Shape {
            heads,
            hidden: 11,
            latent: 3,
        };
        let member = member(&shape, 5);
        for table in masks(&shape) {
            let (wanted, found) = (
                on_the_cpu(&shape, &member, &table),
                other(&shape, &member, &table),
            );
            for (what, wanted, found) in [
                ("nll", &wanted.nll, &found.nll),
                ("kl", &wanted.kl, &found.kl),
                ("error", &wanted.squared_error, &found.squared_error),
                ("code nll", &wanted.code_nll, &found.code_nll),
            ] {
                assert_eq!(found.len(), ROWS, "{what}");
                for (row, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                    assert!(
                        (wanted - found).abs() <= TOLERANCE * wanted.abs().max(1.0),
                        "{what} of row {row}: {found}, on the CPU {wanted}"
                    );
                }
            }
        }
    }
}

#[test]
fn whole_batches_in_candle_score_as_the_cpu_does() {
    agree(|shape, member, table| {
        let networks = Batched::new(shape, (member, &mixture()), &Tensors::Cpu).unwrap();
        let (values, present) = (&table.values, &table.present);
        let input = Input::of(shape, ROWS, values, present, &Tensors::Cpu).unwrap();
        let found = networks.score(&input).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(found.len(), NUMBERS * ROWS);
        let mut scores = Scores::new();
        scores.fit_by_row(ROWS);
        scores.place_by_row(0, ROWS, &found);
        scores
    });
}

#[cfg(feature = "cuda")]
mod on_a_gpu {
    use std::time::{Duration, Instant};

    use candle_core::{DType, Tensor};

    use super::*;
    use crate::vae::{Device, Networks, Standing};

    /// What `device` says, which must be the GPU.
    fn score(device: &Device, shape: &Shape, member: &Member, table: &Table) -> Scores {
        let mut networks = Networks::new(shape, &[(member, &mixture())], device).unwrap();
        let mut out = [Scores::new()];
        networks.score(table.rows(shape), &mut out).unwrap();
        let [out] = out;
        out
    }

    #[test]
    fn whole_batches_on_a_gpu_score_as_the_cpu_does() {
        for batch_rows in [64, 512, 65_536] {
            let Some(device) = Device::gpu_of_a_test(batch_rows) else {
                return;
            };
            agree(|shape, member, table| {
                let found = score(&device, shape, member, table);
                assert!(found.expected.is_empty(), "it was not the GPU");
                found
            });
            assert_eq!(*device.standing().borrow(), Standing::Works);
        }
    }

    fn wide() -> (Shape, Member, Table) {
        let shape = Shape {
            heads: vec![Head::Gaussian; 512],
            hidden: 256,
            latent: 3,
        };
        let member = member(&shape, 5);
        let table = Table::new(&shape, 16_384, 6);
        (shape, member, table)
    }

    /// Takes all but `left` bytes of the GPU's memory, for as long as the result lives.
    fn fill(queue: &Tensors, left: usize) -> Vec<Tensor> {
        let mut taken = Vec::new();
        let mut size = 8_usize << 30;
        while size > left {
            match Tensor::zeros(size / 4, DType::F32, queue) {
                Ok(tensor) => taken.push(tensor),
                Err(_) => size /= 2,
            }
        }
        queue.synchronize().unwrap();
        taken
    }

    /// Alone in its process: others would find the memory taken.
    #[test]
    #[ignore = "takes all memory of a GPU"]
    fn a_gpu_short_of_memory_gets_smaller_batches_and_says_the_same() {
        let Some(device) = Device::gpu_of_a_test(32_768) else {
            return;
        };
        let (shape, member, table) = wide();
        let wanted = on_the_cpu(&shape, &member, &table);
        let queue = device.queue().unwrap();
        let taken = fill(&queue, 256 << 20);
        assert!(!taken.is_empty());
        let found = score(&device, &shape, &member, &table);
        let standing = device.standing().borrow().clone();
        eprintln!("{standing:?}");
        assert_ne!(standing, Standing::Works);
        for (wanted, found) in wanted.nll.iter().zip(&found.nll) {
            assert!((wanted - found).abs() <= TOLERANCE * wanted.abs().max(1.0));
        }
    }

    /// Alone in its process: a kernel that traps takes every queue with it.
    #[test]
    #[ignore = "ends the use of a GPU in this process"]
    fn a_gpu_that_is_lost_leaves_the_rows_to_the_cpu() {
        let Some(device) = Device::gpu_of_a_test(8192) else {
            return;
        };
        let (shape, member, table) = wide();
        let mut networks = Networks::new(&shape, &[(&member, &mixture())], &device).unwrap();
        let mut out = [Scores::new()];
        networks.score(table.rows(&shape), &mut out).unwrap();
        assert!(out[0].expected.is_empty(), "it was not the GPU");
        crate::vae::cuda::trap(&device.queue().unwrap());
        let began = Instant::now();
        networks.score(table.rows(&shape), &mut out).unwrap();
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_eq!(out[0].nll, on_the_cpu(&shape, &member, &table).nll);
        let standing = device.standing().borrow().clone();
        eprintln!("{standing:?}");
        assert!(matches!(standing, Standing::Lost { .. }));
        // And goes on so.
        networks.score(table.rows(&shape), &mut out).unwrap();
        assert!(!out[0].expected.is_empty());
    }
}
