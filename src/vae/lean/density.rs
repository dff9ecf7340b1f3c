//! How odd a code is among the learnt ones: -ln of its density under the aggregated posterior.

use pulp::{Simd, WithSimd};

use super::cells::total;
use super::dense::Dense;
use super::math::exp;
use crate::vae::mixture::Mixture;

/// Logarithm of the density of a component that is only padding: exp makes nothing of it.
const NOWHERE: f32 = -1e30;

/// A mixture made ready for scoring, see [`Mixture::layer`].
#[derive(Debug, Clone)]
pub(super) struct Density {
    layer: Dense,
    latent: usize,
}

/// The memory for one block of rows.
#[derive(Debug, Clone, Default)]
pub(super) struct Room {
    /// Rows x (code, its squares).
    inputs: Vec<f32>,
    /// Rows x padded components: logarithms of weighted densities, then their shares.
    components: Vec<f32>,
}

impl Density {
    pub fn new(mixture: &Mixture) -> Density {
        let (latent, count) = (mixture.latent(), mixture.weights().len());
        let mut layer = Dense::new(2 * latent, count);
        let padded: Vec<usize> = (0..layer.outputs()).collect();
        layer.set_bias(&vec![NOWHERE; padded.len()], &padded);
        let components = &padded[..count];
        let (weights, bias) = mixture.layer();
        layer.set_weights(&weights, components);
        layer.set_bias(&bias, components);
        Density { layer, latent }
    }

    /// -ln of the density of each of `rows` codes; code r stands at r x `stride` in `codes`.
    pub fn surprise(
        &self,
        arch: pulp::Arch,
        rows: usize,
        codes: &[f32],
        stride: usize,
        room: &mut Room,
        out: &mut [f32],
    ) {
        let (inputs, outputs) = (2 * self.latent, self.layer.outputs());
        room.inputs.resize(rows * inputs, 0.0);
        room.components.resize(rows * outputs, 0.0);
        for (input, code) in room
            .inputs
            .chunks_exact_mut(inputs)
            .zip(codes.chunks(stride))
        {
            let (plain, squares) = input.split_at_mut(self.latent);
            plain.copy_from_slice(&code[..self.latent]);
            squares
                .iter_mut()
                .zip(plain)
                .for_each(|(square, value)| *square = *value * *value);
        }
        arch.dispatch(
            self.layer
                .pass(rows, &room.inputs, inputs, &mut room.components),
        );
        arch.dispatch(LogSumExp {
            rows: &mut room.components[..rows * outputs],
            width: outputs,
            out,
        });
    }
}

/// -ln of the sum of the exponentials of each row.
struct LogSumExp<'a> {
    rows: &'a mut [f32],
    width: usize,
    out: &'a mut [f32],
}

impl WithSimd for LogSumExp<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (row, out) in self.rows.chunks_exact_mut(self.width).zip(self.out) {
            let most = row.iter().copied().fold(f32::MIN, f32::max);
            for value in S::as_mut_simd_f32s(row).0 {
                *value = exp(simd, simd.sub_f32s(*value, simd.splat_f32s(most)));
            }
            *out = -(most + total(row).ln());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use pulp::Arch;

    use super::*;

    /// -ln of the density, term by term in double precision.
    fn exact(mixture: &Mixture, code: &[f32]) -> f64 {
        let latent = mixture.latent();
        let density: f64 = mixture
            .weights()
            .iter()
            .enumerate()
            .map(|(component, &weight)| {
                let at = component * latent..(component + 1) * latent;
                let terms = mixture.means()[at.clone()]
                    .iter()
                    .zip(&mixture.variances()[at]);
                let exponent: f64 = terms
                    .zip(code)
                    .map(|((&mean, &variance), &value)| {
                        let variance = f64::from(variance);
                        let square = (f64::from(value) - f64::from(mean)).powi(2);
                        -0.5 * (square / variance + (std::f64::consts::TAU * variance).ln())
                    })
                    .sum();
                f64::from(weight) * exponent.exp()
            })
            .sum();
        -density.ln()
    }

    #[test]
    fn the_density_is_that_of_the_mixture_on_every_path() {
        let mixture = Mixture::from_parts(
            2,
            vec![0.25, 0.7, 0.05],
            vec![0.0, 1.0, -2.0, 0.5, 3.0, 3.0],
            vec![0.1, 0.4, 1.0, 0.02, 0.3, 0.3],
        );
        let mixture = mixture.unwrap();
        let codes = [0.1, 0.9, -2.2, 0.4, 3.0, 2.5, -6.0, 4.0, 0.0, 0.0];
        for arch in [Arch::new(), Arch::Scalar] {
            let mut found = [0.0; 5];
            let mut room = Room::default();
            Density::new(&mixture).surprise(arch, 5, &codes, 2, &mut room, &mut found);
            for (code, found) in codes.chunks(2).zip(found) {
                let exact = exact(&mixture, code);
                let off = (f64::from(found) - exact).abs();
                assert!(off < 1e-4 * exact.abs().max(1.0), "{found} against {exact}");
            }
        }
    }
}
