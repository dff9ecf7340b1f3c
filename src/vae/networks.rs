//! The networks of an ensemble on their device, with the CPU behind it.

use super::device::{Device, Standing};
use super::lean::{Scorer, Scores};
use super::member::{Member, WeightError};
use super::mixture::Mixture;
use super::rows::{Rows, RowsError};
use super::shape::Shape;

/// One network with the density of its codes.
pub type Weighed<'a> = (&'a Member, &'a Mixture);

/// Scores whole batches somewhere else than on the CPU.
pub(super) trait Accelerator: Send {
    /// Scores `rows` under each network, each into its place in `out`. What is said by head, by column and by unit of
    /// the code is not brought back: those arrays become empty.
    fn score(&mut self, rows: Rows<'_>, out: &mut [Scores]) -> Result<(), Failure>;

    /// Has it take half as many rows at once from now on; none where they are too few for that already.
    fn halve(&mut self) -> Option<usize>;
}

/// Why an accelerator has not scored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(any(test, feature = "cuda")), expect(dead_code))]
pub(super) enum Failure {
    /// Its memory does not suffice: fewer rows at once may do.
    Memory(String),
    /// It is of no use any more.
    Lost(String),
}

/// The networks of an ensemble, made ready for scoring. One a thread.
pub struct Networks {
    shape: Shape,
    scorers: Vec<Scorer>,
    device: Device,
    accelerator: Option<Box<dyn Accelerator>>,
    /// Fewer rows stay on the CPU.
    least_rows: usize,
}

impl Networks {
    /// Networks of `shape` on `device`.
    ///
    /// # Errors
    /// The weights of one are not those of the shape.
    pub fn new(
        shape: &Shape,
        networks: &[Weighed<'_>],
        device: &Device,
    ) -> Result<Networks, WeightError> {
        let scorers = networks
            .iter()
            .map(|(member, mixture)| Scorer::new(shape, member)?.with_mixture(mixture));
        let scorers = scorers.collect::<Result<_, _>>()?;
        let (accelerator, least_rows) = match device.accelerator(shape, networks) {
            Some((accelerator, least_rows)) => (Some(accelerator), least_rows),
            None => (None, usize::MAX),
        };
        Ok(Networks {
            shape: shape.clone(),
            scorers,
            device: device.clone(),
            accelerator,
            least_rows,
        })
    }

    /// Scores `rows` under each network, each into its place in `out`, which has as many. Whatever becomes of the
    /// device, the rows are scored. Where a GPU scores them, what is said by head, by column and by unit of the code
    /// stays there: those arrays become empty.
    ///
    /// # Errors
    /// The rows were made for another shape.
    pub fn score(&mut self, rows: Rows<'_>, out: &mut [Scores]) -> Result<(), RowsError> {
        if rows.len() >= self.least_rows {
            rows.fit(&self.shape)?;
            while let Some(accelerator) = &mut self.accelerator {
                match accelerator.score(rows, out) {
                    Ok(()) => return Ok(()),
                    Err(failure) => self.give_way(failure),
                }
            }
        }
        for (scorer, out) in self.scorers.iter().zip(out) {
            scorer.score(rows, out)?;
        }
        Ok(())
    }

    /// Has the device take less at once, or leaves it.
    fn give_way(&mut self, failure: Failure) {
        let why = match failure {
            Failure::Memory(why) => {
                if let Some(rows) = self.accelerator.as_mut().and_then(|it| it.halve()) {
                    tracing::warn!(
                        rows,
                        "{} is short of memory ({why}): smaller batches from now on",
                        self.device
                    );
                    return self.device.worsen(Standing::Smaller { why });
                }
                why
            }
            Failure::Lost(why) => why,
        };
        tracing::error!(
            "{} failed ({why}): the CPU scores from now on, until a restart; nothing is lost",
            self.device
        );
        self.accelerator = None;
        self.device.worsen(Standing::Lost { why });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::vae::Head;

    /// An accelerator that answers 7 for every row, or fails as was planned.
    struct Planned {
        failures: Vec<Failure>,
        rows: usize,
        asked: Arc<Mutex<Vec<usize>>>,
    }

    impl Accelerator for Planned {
        fn score(&mut self, rows: Rows<'_>, out: &mut [Scores]) -> Result<(), Failure> {
            self.asked.lock().unwrap().push(self.rows);
            if !self.failures.is_empty() {
                return Err(self.failures.remove(0));
            }
            for out in out {
                out.nll = vec![7.0; rows.len()];
            }
            Ok(())
        }

        fn halve(&mut self) -> Option<usize> {
            self.rows /= 2;
            (self.rows >= 32).then_some(self.rows)
        }
    }

    struct Outcome {
        nll: Vec<f32>,
        on_the_cpu: Vec<f32>,
        asked: Vec<usize>,
        standing: Standing,
    }

    fn score(rows: usize, failures: Vec<Failure>) -> Outcome {
        let shape = Shape {
            heads: vec![Head::Gaussian; 2],
            hidden: 4,
            latent: 1,
        };
        let member = Member::untrained(&shape, 0.3, &mut ChaCha8Rng::seed_from_u64(1));
        let mixture = Mixture::from_parts(1, vec![1.0], vec![0.0], vec![1.0]).unwrap();
        let device = Device::cpu();
        let mut networks = Networks::new(&shape, &[(&member, &mixture)], &device).unwrap();
        let (values, present) = (vec![0.5; 2 * rows], vec![1.0; 2 * rows]);
        let rows = Rows::new(&shape, &values, &present).unwrap();
        let mut out = [Scores::new()];
        networks.score(rows, &mut out).unwrap();
        let on_the_cpu = out[0].nll.clone();
        let asked = Arc::default();
        networks.accelerator = Some(Box::new(Planned {
            failures,
            rows: 128,
            asked: Arc::clone(&asked),
        }));
        networks.least_rows = 10;
        networks.score(rows, &mut out).unwrap();
        let asked = asked.lock().unwrap().clone();
        Outcome {
            nll: out[0].nll.clone(),
            on_the_cpu,
            asked,
            standing: device.standing().borrow().clone(),
        }
    }

    #[test]
    fn whole_batches_go_to_the_device_and_few_rows_to_the_cpu() {
        let many = score(10, vec![]);
        assert_eq!(many.nll, [7.0; 10]);
        let few = score(9, vec![]);
        assert_eq!((few.nll, few.asked), (few.on_the_cpu, vec![]));
    }

    #[test]
    fn a_device_short_of_memory_gets_smaller_batches() {
        let full = || Failure::Memory("full".into());
        let found = score(10, vec![full(), full()]);
        assert_eq!(found.asked, [128, 64, 32]);
        assert_eq!(found.nll, [7.0; 10]);
        assert_eq!(found.standing, Standing::Smaller { why: "full".into() });
    }

    #[test]
    fn a_device_that_is_lost_or_too_small_leaves_the_rows_to_the_cpu() {
        let full = Failure::Memory("full".into());
        for failures in [
            vec![Failure::Lost("gone".into())],
            vec![full.clone(), full.clone(), full],
        ] {
            let asked = failures.len();
            let found = score(10, failures);
            assert_eq!(found.asked.len(), asked);
            assert_eq!(found.nll, found.on_the_cpu);
            assert!(matches!(found.standing, Standing::Lost { .. }));
        }
    }
}
