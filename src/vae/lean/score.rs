//! Scores rows: packs the weights once, then takes rows through the network block by block.

use pulp::Arch;

use super::cells::{Cells, Divergence, total};
use super::dense::Dense;
use super::density::Density;
use super::layout::{Layout, pack, unpack};
use super::scores::{Scores, Scratch};
use crate::vae::member::{Member, WeightError};
use crate::vae::mixture::Mixture;
use crate::vae::rows::{Rows, RowsError};
use crate::vae::shape::Shape;

/// Rows that go through the network together: whole tiles on every machine, and few enough for
/// their activations to stay in the innermost cache.
pub(super) const BLOCK: usize = 48;

/// A network made ready for scoring. It can be shared between threads; each brings its [`Scores`].
#[derive(Debug, Clone)]
pub struct Scorer {
    arch: Arch,
    pub(super) shape: Shape,
    pub(super) layout: Layout,
    /// Least variance of a Gaussian head.
    floor: f32,
    encoder: [Dense; 2],
    /// Heads x padded hidden units: what a missing head adds to the first layer.
    marks: Vec<f32>,
    /// The linear path to the code, with the code's bias; `code` adds to it.
    code_skip: Dense,
    code: Dense,
    decoder: [Dense; 2],
    /// The linear path to means and spreads, with their biases; `output` adds to it.
    output_skip: Dense,
    output: Dense,
    density: Option<Density>,
}

/// Row lengths of the working memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strides {
    pub columns: usize,
    pub cells: usize,
    pub hidden: usize,
    pub code: usize,
    pub output: usize,
}

impl Scorer {
    /// Packs the weights of `member`, a network of `shape`.
    ///
    /// # Errors
    /// The shape cannot be built, or the weights are not those of such a network.
    pub fn new(shape: &Shape, member: &Member) -> Result<Scorer, WeightError> {
        member.check(shape)?;
        let layout = Layout::new(shape);
        let (width, hidden, latent) = (shape.width(), shape.hidden, shape.latent);
        let units: Vec<usize> = (0..hidden).collect();
        let codes: Vec<usize> = (0..2 * latent).collect();
        let dense = |inputs: usize, name: &str, bias: &str, to: &[usize]| {
            let mut layer = Dense::new(inputs, to.len());
            layer.set_weights(member.values(name), to);
            layer.set_bias(member.values(bias), to);
            layer
        };
        let mut code_skip = Dense::new(width, 2 * latent);
        code_skip.set_weights(member.values("encoder.skip"), &codes[..latent]);
        code_skip.set_bias(member.values("encoder.code.bias"), &codes);
        let spread_at = layout.spread_at(shape);
        let outputs = layout.columns + layout.gaussians;
        let mut output_skip = Dense::new(latent, outputs);
        output_skip.set_weights(member.values("decoder.skip"), &layout.column_at);
        output_skip.set_bias(member.values("decoder.mean.bias"), &layout.column_at);
        output_skip.set_bias(member.values("decoder.spread.bias"), &spread_at);
        let mut output = Dense::new(hidden, outputs);
        output.set_weights(member.values("decoder.mean.weight"), &layout.column_at);
        output.set_weights(member.values("decoder.spread.weight"), &spread_at);
        let encoder = [
            dense(width, "encoder.first.weight", "encoder.first.bias", &units),
            dense(
                hidden,
                "encoder.second.weight",
                "encoder.second.bias",
                &units,
            ),
        ];
        Ok(Scorer {
            arch: Arch::new(),
            marks: marks(shape, member, encoder[0].outputs()),
            encoder,
            code_skip,
            code: dense(hidden, "encoder.code.weight", "", &codes),
            decoder: [
                dense(latent, "decoder.first.weight", "decoder.first.bias", &units),
                dense(
                    hidden,
                    "decoder.second.weight",
                    "decoder.second.bias",
                    &units,
                ),
            ],
            output_skip,
            output,
            floor: member.floor * member.floor,
            shape: shape.clone(),
            layout,
            density: None,
        })
    }

    /// Also scores codes, by `mixture`, the aggregated posterior of the same network.
    ///
    /// # Errors
    /// The mixture is over codes of another width.
    pub fn with_mixture(mut self, mixture: &Mixture) -> Result<Scorer, WeightError> {
        if mixture.latent() != self.shape.latent {
            return Err(WeightError::Mixture {
                found: mixture.latent(),
                wanted: self.shape.latent,
            });
        }
        self.density = Some(Density::new(mixture));
        Ok(self)
    }

    /// Scores `rows` into `out`, whose former content is replaced. Allocates only when the batch is
    /// larger than any before.
    ///
    /// # Errors
    /// The rows were made for another shape.
    pub fn score(&self, rows: Rows<'_>, out: &mut Scores) -> Result<(), RowsError> {
        rows.fit(&self.shape)?;
        out.fit(rows.len(), &self.shape, &self.strides());
        for first in (0..rows.len()).step_by(BLOCK) {
            let count = BLOCK.min(rows.len() - first);
            self.load(rows, first, count, &mut out.scratch);
            self.encode(rows, first, count, out);
            self.finish(first, count, out);
        }
        Ok(())
    }

    /// Decodes `codes` (rows x latent, row-major) into `out`, whose former content is replaced:
    /// `expected` and `variance` are what the network expects at each code, and `code_nll` is how
    /// odd the code is. There is no record beside it, so that the likelihoods, the errors, the
    /// divergences and the variances of the codes are 0.
    ///
    /// A row that was scored is expected as it is here from its code, to the last bit.
    ///
    /// # Errors
    /// The numbers are not whole codes of the network.
    pub fn decode(&self, codes: &[f32], out: &mut Scores) -> Result<(), RowsError> {
        let latent = self.shape.latent;
        if !codes.len().is_multiple_of(latent) {
            return Err(RowsError::Codes {
                numbers: codes.len(),
                latent,
            });
        }
        let rows = codes.len() / latent;
        out.fit(rows, &self.shape, &self.strides());
        out.kl.fill(0.0);
        out.scratch.code_variance.fill(0.0);
        let stride = self.strides().code;
        for first in (0..rows).step_by(BLOCK) {
            let count = BLOCK.min(rows - first);
            for row in 0..count {
                out.scratch.code[row * stride..][..latent]
                    .copy_from_slice(&codes[(first + row) * latent..][..latent]);
            }
            self.finish(first, count, out);
        }
        Ok(())
    }

    /// The same scorer on other vectors than the machine's widest.
    #[cfg(test)]
    pub(super) fn on(self, arch: Arch) -> Self {
        Scorer { arch, ..self }
    }

    pub(super) fn strides(&self) -> Strides {
        Strides {
            columns: self.layout.columns,
            cells: self.layout.cells,
            hidden: self.encoder[0].outputs(),
            code: self.code.outputs(),
            output: self.output.outputs(),
        }
    }

    /// Packs the rows, and starts the first layer's sums with what the missing heads add.
    fn load(&self, rows: Rows<'_>, first: usize, count: usize, scratch: &mut Scratch) {
        let (width, heads) = (self.shape.width(), self.shape.heads.len());
        let Strides {
            columns,
            cells,
            hidden,
            ..
        } = self.strides();
        for row in 0..count {
            let values = &rows.values()[(first + row) * width..][..width];
            let present = &rows.present()[(first + row) * heads..][..heads];
            pack(
                &self.layout.column_runs,
                values,
                &mut scratch.values[row * columns..][..columns],
            );
            pack(
                &self.layout.head_runs,
                present,
                &mut scratch.present[row * cells..][..cells],
            );
            let sums = &mut scratch.hidden[0][row * hidden..][..hidden];
            self.encoder[0].write_bias(sums);
            if present.iter().all(|&mark| mark != 0.0) {
                continue;
            }
            for (mark, weights) in present.iter().zip(self.marks.chunks_exact(hidden)) {
                if *mark == 0.0 {
                    sums.iter_mut()
                        .zip(weights)
                        .for_each(|(sum, weight)| *sum += weight);
                }
            }
        }
    }

    fn encode(&self, rows: Rows<'_>, first: usize, count: usize, out: &mut Scores) {
        let (width, latent) = (self.shape.width(), self.shape.latent);
        let Strides {
            hidden,
            code: stride,
            ..
        } = self.strides();
        let Scratch {
            hidden: [one, two],
            code,
            code_variance,
            ..
        } = &mut out.scratch;
        let values = &rows.values()[first * width..][..count * width];
        let [first_layer, second_layer] = &self.encoder;
        self.arch.dispatch(
            first_layer
                .pass(count, values, width, one)
                .onto_output()
                .silu(),
        );
        self.arch
            .dispatch(second_layer.pass(count, one, hidden, two).silu());
        self.arch
            .dispatch(self.code_skip.pass(count, values, width, code));
        self.arch
            .dispatch(self.code.pass(count, two, hidden, code).onto_output());
        let (divergence, variance) = (&mut out.kl[first..], code_variance);
        let rows = count;
        self.arch.dispatch(Divergence {
            rows,
            latent,
            stride,
            code,
            variance,
            divergence,
        });
    }

    /// The way of a block from its codes on.
    fn finish(&self, first: usize, count: usize, out: &mut Scores) {
        self.place(first, count, out);
        self.expand(count, &mut out.scratch);
        self.likelihood(count, &mut out.scratch);
        self.store(first, count, out);
    }

    /// How odd the codes of a block are among the learnt ones.
    fn place(&self, first: usize, count: usize, out: &mut Scores) {
        let stride = self.strides().code;
        let Scratch { code, room, .. } = &mut out.scratch;
        let surprise = &mut out.code_nll[first..first + count];
        match &self.density {
            Some(density) => density.surprise(self.arch, count, code, stride, room, surprise),
            None => surprise.fill(0.0),
        }
    }

    /// Takes the codes of a block through the decoder.
    pub(super) fn expand(&self, count: usize, scratch: &mut Scratch) {
        let Strides {
            hidden,
            code: stride,
            ..
        } = self.strides();
        let Scratch {
            hidden: [one, two],
            code,
            output,
            ..
        } = scratch;
        let [first_layer, second_layer] = &self.decoder;
        self.arch
            .dispatch(first_layer.pass(count, code, stride, one).silu());
        self.arch
            .dispatch(second_layer.pass(count, one, hidden, two).silu());
        self.arch
            .dispatch(self.output_skip.pass(count, code, stride, output));
        self.arch
            .dispatch(self.output.pass(count, two, hidden, output).onto_output());
    }

    /// The likelihood of the packed rows of a block under what the decoder says.
    pub(super) fn likelihood(&self, count: usize, scratch: &mut Scratch) {
        self.arch
            .dispatch(cells(&self.layout, self.floor, count, scratch));
    }

    fn store(&self, first: usize, count: usize, out: &mut Scores) {
        let (width, heads) = (self.shape.width(), self.shape.heads.len());
        let latent = self.shape.latent;
        let Strides {
            columns,
            cells,
            code,
            output,
            ..
        } = self.strides();
        let Layout {
            column_runs,
            head_runs,
            ..
        } = &self.layout;
        let scratch = &out.scratch;
        for row in 0..count {
            let place = first + row;
            let surprise = &scratch.surprise[row * cells..][..cells];
            let squared = &scratch.squared[row * cells..][..cells];
            let mean = &scratch.output[row * output..][..columns];
            let variance = &scratch.variance[row * columns..][..columns];
            let posterior = &scratch.code[row * code..][..latent];
            let spread = &scratch.code_variance[row * code + latent..][..latent];
            out.code[place * latent..][..latent].copy_from_slice(posterior);
            out.code_variance[place * latent..][..latent].copy_from_slice(spread);
            out.nll[place] = total(surprise);
            out.squared_error[place] = total(squared);
            unpack(
                head_runs,
                surprise,
                &mut out.head_nll[place * heads..][..heads],
            );
            unpack(
                head_runs,
                squared,
                &mut out.head_squared[place * heads..][..heads],
            );
            unpack(
                column_runs,
                mean,
                &mut out.expected[place * width..][..width],
            );
            unpack(
                column_runs,
                variance,
                &mut out.variance[place * width..][..width],
            );
        }
    }
}

/// The rows of the first layer that belong to the missing marks, padded to `hidden`.
fn marks(shape: &Shape, member: &Member, hidden: usize) -> Vec<f32> {
    let first = member.values("encoder.first.weight");
    let mut marks = Vec::with_capacity(shape.heads.len() * hidden);
    for row in first.chunks_exact(shape.hidden).skip(shape.width()) {
        marks.extend_from_slice(row);
        marks.resize(marks.len() + hidden - shape.hidden, 0.0);
    }
    marks
}

fn cells<'a>(layout: &'a Layout, floor: f32, rows: usize, scratch: &'a mut Scratch) -> Cells<'a> {
    Cells {
        layout,
        rows,
        floor,
        values: &scratch.values,
        present: &scratch.present,
        output: &mut scratch.output,
        variance: &mut scratch.variance,
        surprise: &mut scratch.surprise,
        squared: &mut scratch.squared,
    }
}
