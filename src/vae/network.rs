//! The network in candle: the encoder, the decoder and the linear paths past both.

use std::collections::BTreeMap;

use candle_core::{Device, Error, Result, Tensor, Var};
use candle_nn::ops::silu;

use super::member::Member;
use super::product;
use super::shape::Shape;

/// Bounds of the logarithm of the code's variance (deviations of 0.018 and 7.4), so that neither it
/// nor the divergence overflows, whatever comes in.
pub(super) const LOG_VARIANCE: (f32, f32) = (-8.0, 4.0);

/// A network on some device.
pub(super) struct Network {
    shape: Shape,
    floor: f32,
    /// What can be trained; nothing of a network that only scores.
    variables: BTreeMap<&'static str, Var>,
    encoder: [Layer; 3],
    encoder_skip: Tensor,
    decoder: [Layer; 3],
    decoder_skip: Tensor,
    /// None where no head is Gaussian.
    spread: Option<Layer>,
}

/// Rows on the device.
pub(super) struct Input {
    /// Rows x columns.
    pub values: Tensor,
    /// Rows x heads.
    pub present: Tensor,
    /// Rows x heads, 1 where the head is missing; none where none is.
    missing: Option<Tensor>,
}

/// The posterior of the code, rows x latent each.
pub(super) struct Code {
    pub mean: Tensor,
    pub log_variance: Tensor,
}

/// What the decoder says of a code.
pub(super) struct Output {
    /// Rows x columns: the expected number, or a logit.
    pub mean: Tensor,
    /// Rows x Gaussian heads: the variance before softplus.
    pub spread: Option<Tensor>,
}

struct Layer {
    weight: Tensor,
    bias: Tensor,
}

impl Layer {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.matmul(&self.weight)?.broadcast_add(&self.bias)
    }
}

impl Input {
    /// Takes `values`, rows x columns, and `present`, rows x heads; `whole` says that no head is
    /// missing.
    pub fn new(values: Tensor, present: Tensor, whole: bool) -> Result<Self> {
        Ok(Input {
            missing: if whole { None } else { Some((1.0 - &present)?) },
            values,
            present,
        })
    }

    /// Brings `rows` rows to `device`.
    pub fn of(
        shape: &Shape,
        rows: usize,
        values: &[f32],
        present: &[f32],
        device: &Device,
    ) -> Result<Self> {
        let whole = is_whole(present);
        let values = Tensor::from_slice(values, (rows, shape.width()), device)?;
        let present = Tensor::from_slice(present, (rows, shape.heads.len()), device)?;
        Input::new(values, present, whole)
    }
}

/// Whether these marks say that nothing is missing.
pub(super) fn is_whole(present: &[f32]) -> bool {
    // Block by block, each without a way out in the middle: that goes many marks at a time.
    let in_block = |block: &[f32]| {
        block
            .iter()
            .map(|&mark| u32::from(mark != 1.0))
            .sum::<u32>()
    };
    present.chunks(256).all(|block| in_block(block) == 0)
}

impl Code {
    /// A draw from the posterior by the reparametrisation of Kingma and Welling.
    pub fn sample(&self, noise: &Tensor) -> Result<Tensor> {
        &self.mean + (noise * (&self.log_variance * 0.5)?.exp()?)?
    }

    /// Kullback-Leibler divergence from the standard normal prior, by row, in nats.
    pub fn divergence(&self) -> Result<Tensor> {
        let variance = self.log_variance.exp()?;
        let terms = ((self.mean.sqr()? + variance)? - &self.log_variance)?;
        (terms - 1.0)?.sum(1)? * 0.5
    }
}

impl Network {
    /// Puts the weights of `member`, which must fit `shape`, on `device`, to be trained there.
    pub fn new(shape: &Shape, member: &Member, device: &Device) -> Result<Self> {
        let mut variables = BTreeMap::new();
        for (name, dims, values) in member.tensors() {
            let tensor = Tensor::from_slice(values, dims, device)?;
            variables.insert(name, Var::from_tensor(&tensor)?);
        }
        let weights = variables.iter();
        let weights = weights.map(|(&name, variable)| (name, variable.as_tensor().clone()));
        let mut network = Network::of(shape, member.floor, &weights.collect())?;
        network.variables = variables;
        Ok(network)
    }

    /// The same for scoring alone: nothing is kept that only gradients need.
    #[cfg(any(test, feature = "cuda"))]
    pub fn fixed(shape: &Shape, member: &Member, device: &Device) -> Result<Self> {
        let mut weights = BTreeMap::new();
        for (name, dims, values) in member.tensors() {
            weights.insert(name, Tensor::from_slice(values, dims, device)?);
        }
        Network::of(shape, member.floor, &weights)
    }

    fn of(shape: &Shape, floor: f32, weights: &BTreeMap<&'static str, Tensor>) -> Result<Self> {
        let take = |name: &'static str| match weights.get(name) {
            Some(weight) => Ok(weight.clone()),
            None => Err(Error::CannotFindTensor {
                path: name.to_owned(),
            }),
        };
        let layer = |weight, bias| {
            Ok::<_, Error>(Layer {
                weight: take(weight)?,
                bias: take(bias)?,
            })
        };
        let spread = weights
            .contains_key("decoder.spread.weight")
            .then(|| layer("decoder.spread.weight", "decoder.spread.bias"));
        Ok(Network {
            shape: shape.clone(),
            floor,
            encoder: [
                layer("encoder.first.weight", "encoder.first.bias")?,
                layer("encoder.second.weight", "encoder.second.bias")?,
                layer("encoder.code.weight", "encoder.code.bias")?,
            ],
            encoder_skip: take("encoder.skip")?,
            decoder: [
                layer("decoder.first.weight", "decoder.first.bias")?,
                layer("decoder.second.weight", "decoder.second.bias")?,
                layer("decoder.mean.weight", "decoder.mean.bias")?,
            ],
            decoder_skip: take("decoder.skip")?,
            spread: spread.transpose()?,
            variables: BTreeMap::new(),
        })
    }

    pub fn variables(&self) -> Vec<Var> {
        self.variables.values().cloned().collect()
    }

    /// The weights as they are now.
    pub fn member(&self) -> Result<Member> {
        let read = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
            let found = self.variables.get(name);
            let found = found.ok_or_else(|| Error::CannotFindTensor {
                path: name.to_owned(),
            })?;
            Ok((found.dims().to_vec(), found.flatten_all()?.to_vec1()?))
        };
        Member::from_tensors(&self.shape, self.floor, |name| read(name).ok()).map_err(Error::wrap)
    }

    pub fn encode(&self, input: &Input) -> Result<Code> {
        let [first, second, code] = &self.encoder;
        let hidden = silu(&self.first(first, input)?)?;
        let hidden = silu(&second.forward(&hidden)?)?;
        let code = code.forward(&hidden)?;
        let latent = self.shape.latent;
        let (least, most) = LOG_VARIANCE;
        Ok(Code {
            mean: (code.narrow(1, 0, latent)?
                + product::of_data(&input.values, &self.encoder_skip)?)?,
            log_variance: code.narrow(1, latent, latent)?.clamp(least, most)?,
        })
    }

    /// The first layer's sums. Where nothing is missing, the marks and their weights stay out of the
    /// product: in wide rows of single columns they are half of it.
    fn first(&self, layer: &Layer, input: &Input) -> Result<Tensor> {
        let sums = match &input.missing {
            Some(missing) => {
                let marked = Tensor::cat(&[&input.values, missing], 1)?;
                product::of_data(&marked, &layer.weight)?
            }
            None => {
                let of_values = layer.weight.narrow(0, 0, self.shape.width())?;
                product::of_data(&input.values, &of_values)?
            }
        };
        sums.broadcast_add(&layer.bias)
    }

    /// What the decoder says of `code`, rows x latent.
    pub fn decode(&self, code: &Tensor) -> Result<Output> {
        let [first, second, mean] = &self.decoder;
        let hidden = silu(&first.forward(code)?)?;
        let hidden = silu(&second.forward(&hidden)?)?;
        Ok(Output {
            mean: (mean.forward(&hidden)? + code.matmul(&self.decoder_skip)?)?,
            spread: self
                .spread
                .as_ref()
                .map(|layer| layer.forward(&hidden))
                .transpose()?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::vae::Head;

    fn code(mean: &[f32], log_variance: &[f32]) -> Code {
        let row =
            |values: &[f32]| Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap();
        Code {
            mean: row(mean),
            log_variance: row(log_variance),
        }
    }

    #[test]
    fn the_divergence_agrees_with_its_closed_form() {
        let (mean, log_variance) = ([0.5f32, -2.0], [0.3f32, -1.5]);
        let term = |m: f64, l: f64| 0.5 * (m * m + l.exp() - 1.0 - l);
        let expected = term(0.5, f64::from(0.3f32)) + term(-2.0, -1.5);
        let found = code(&mean, &log_variance)
            .divergence()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert!((f64::from(found[0]) - expected).abs() < 1e-6);
        let prior = code(&[0.0; 3], &[0.0; 3]).divergence().unwrap();
        assert_eq!(prior.to_vec1::<f32>().unwrap(), [0.0]);
    }

    #[test]
    fn weights_come_back_as_they_were_put_in() {
        for heads in [vec![Head::Gaussian, Head::Bernoulli], vec![Head::Bernoulli]] {
            let shape = Shape {
                heads,
                hidden: 4,
                latent: 2,
            };
            let member = Member::untrained(&shape, 0.1, &mut ChaCha8Rng::seed_from_u64(3));
            let network = Network::new(&shape, &member, &Device::Cpu).unwrap();
            assert_eq!(network.member().unwrap(), member);
        }
    }
}
