//! What a training step descends: the evidence lower bound of some rows, or their squared error.

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, bail};

use super::batches::Batch;
use super::likelihood::Likelihood;
use super::member::Member;
use super::network::{Input, Network};
use super::recipe::{Objective, Recipe};
use super::shape::Shape;

/// The loss of one network.
pub(super) struct Loss<'a> {
    shape: &'a Shape,
    objective: Objective,
    device: Device,
    pub network: Network,
    likelihood: Likelihood,
}

/// The terms of the loss, each with one number a row, in nats.
pub(super) struct Terms {
    /// Negative log-likelihood by the one code that is drawn; the squared error where that is descended.
    pub surprise: Tensor,
    /// Divergence of the code from its prior.
    pub divergence: Tensor,
}

/// What some of the rows of a step add to it: sums over them, in shares of the whole step.
pub(super) struct Part {
    pub loss: f32,
    pub surprise: f32,
    pub divergence: f32,
    pub gradients: GradStore,
}

impl<'a> Loss<'a> {
    /// Starts from the weights of `member`, which must fit `shape`.
    pub fn new(shape: &'a Shape, recipe: &Recipe, member: &Member) -> Result<Self> {
        let device = recipe.device.queue()?;
        Ok(Loss {
            network: Network::new(shape, member, &device)?,
            likelihood: Likelihood::new(shape, recipe.floor, recipe.epsilon, &device)?,
            objective: recipe.objective,
            device,
            shape,
        })
    }

    pub fn terms(&self, batch: Batch) -> Result<Terms> {
        let Batch {
            rows,
            values,
            present,
            noise,
        } = batch;
        let input = Input::of(self.shape, rows, &values, &present, &self.device)?;
        let code = self.network.encode(&input)?;
        let surprise = match self.objective {
            Objective::Elbo => {
                let noise = Tensor::from_vec(noise, (rows, self.shape.latent), &self.device)?;
                let output = self.network.decode(&code.sample(&noise)?)?;
                self.likelihood
                    .surprise(&input.values, &input.present, &output)?
            }
            Objective::SquaredError => {
                let output = self.network.decode(&code.mean)?;
                self.likelihood
                    .squared_error(&input.values, &input.present, &output)?
            }
        };
        Ok(Terms {
            surprise,
            divergence: code.divergence()?,
        })
    }

    /// The part of `batch` in a step of `rows` rows, with the divergence weighed by `beta`.
    pub fn part(&self, batch: Batch, rows: usize, beta: f64) -> Result<Part> {
        let terms = self.terms(batch)?;
        let share = 1.0 / rows as f64;
        let surprise = (terms.surprise.sum_all()? * share)?;
        let divergence = (terms.divergence.sum_all()? * share)?;
        let loss = (&surprise + (&divergence * beta)?)?;
        let gradients = loss.backward()?;
        // Read together: each reading waits for the device.
        let read = Tensor::stack(&[loss, surprise, divergence], 0)?.to_vec1::<f32>()?;
        let [loss, surprise, divergence] = read[..] else {
            bail!("three sums became {}", read.len());
        };
        Ok(Part {
            loss,
            surprise,
            divergence,
            gradients,
        })
    }
}
