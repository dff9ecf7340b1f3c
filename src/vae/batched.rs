//! Scoring in candle: whole batches as tensors, which is how a GPU does it.

use candle_core::{Device, Result, Tensor};

use super::likelihood::Likelihood;
use super::mixture::Mixture;
use super::network::{Input, Network};
use super::networks::Weighed;
use super::shape::Shape;

/// Numbers that scoring says of a row under one network.
pub(super) const NUMBERS: usize = 4;

/// One network with its likelihood and the density of its codes, on one device.
pub(super) struct Batched {
    network: Network,
    likelihood: Likelihood,
    density: Density,
}

impl Batched {
    /// Puts a network, whose weights must fit `shape`, on `device`.
    pub fn new(shape: &Shape, (member, mixture): Weighed<'_>, device: &Device) -> Result<Self> {
        Ok(Batched {
            network: Network::fixed(shape, member, device)?,
            likelihood: Likelihood::new(shape, member.floor, 0.0, device)?,
            density: Density::new(mixture, device)?,
        })
    }

    /// One vector, [`NUMBERS`] x rows: the negative log-likelihood of every row at the mean code, then every
    /// divergence, every squared error, and -ln of the density of every mean code. Nats, and scaled units.
    pub fn score(&self, input: &Input) -> Result<Tensor> {
        let code = self.network.encode(input)?;
        let output = self.network.decode(&code.mean)?;
        let (values, present) = (&input.values, &input.present);
        let found = [
            self.likelihood.surprise(values, present, &output)?,
            code.divergence()?,
            self.likelihood.squared_error(values, present, &output)?,
            self.density.surprise(&code.mean)?,
        ];
        Tensor::cat(&found, 0)
    }
}

/// The density of codes as a layer over them and their squares, see [`Mixture::layer`].
struct Density {
    weights: Tensor,
    bias: Tensor,
}

impl Density {
    fn new(mixture: &Mixture, device: &Device) -> Result<Self> {
        let (weights, bias) = mixture.layer();
        let components = bias.len();
        Ok(Density {
            weights: Tensor::from_vec(weights, (2 * mixture.latent(), components), device)?,
            bias: Tensor::from_vec(bias, components, device)?,
        })
    }

    /// -ln of the density by row of `codes`, rows x latent.
    fn surprise(&self, codes: &Tensor) -> Result<Tensor> {
        let inputs = Tensor::cat(&[codes, &codes.sqr()?], 1)?;
        let exponents = inputs.matmul(&self.weights)?.broadcast_add(&self.bias)?;
        exponents.log_sum_exp(1)?.neg()
    }
}
