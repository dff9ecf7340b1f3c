//! A dense layer over a block of rows: y[r] = bias + x[r] W, in place, with its activation.
//!
//! Every output is one chain of multiply-adds over the inputs in their order, whatever the tile it
//! is computed in. That is why a row's bits do not depend on the block it stands in.

use pulp::{Simd, WithSimd};

use super::math::silu;

/// Outputs are padded to whole lines: two AVX2 vectors, one of AVX-512, four of NEON.
pub(super) const LINE: usize = 16;

/// `count` rounded up to whole lines.
pub(super) fn padded(count: usize) -> usize {
    count.next_multiple_of(LINE)
}

/// Sixteen outputs' weights for one input. Aligned, so that no load crosses a cache line.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const ZEROS: Line = Line([0.0; LINE]);

/// The weights of a layer: for each line of outputs, the inputs one after another.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    inputs: usize,
    weights: Vec<Line>,
    bias: Vec<Line>,
}

impl Dense {
    /// A layer without any weight yet. `outputs` is rounded up to whole lines.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        let lines = outputs.div_ceil(LINE);
        Dense {
            inputs,
            weights: vec![ZEROS; lines * inputs],
            bias: vec![ZEROS; lines],
        }
    }

    /// Outputs with their padding: the stride of what [`Forward`] writes.
    pub fn outputs(&self) -> usize {
        self.bias.len() * LINE
    }

    /// Sets the weights of every input (inputs x `to.len()`, row-major; the first `inputs` rows are
    /// read) on the outputs `to`.
    pub fn set_weights(&mut self, weights: &[f32], to: &[usize]) {
        for (input, row) in weights
            .chunks_exact(to.len().max(1))
            .take(self.inputs)
            .enumerate()
        {
            for (&output, &weight) in to.iter().zip(row) {
                self.weights[output / LINE * self.inputs + input].0[output % LINE] = weight;
            }
        }
    }

    /// Sets the biases of the outputs `to`.
    pub fn set_bias(&mut self, bias: &[f32], to: &[usize]) {
        for (&output, &bias) in to.iter().zip(bias) {
            self.bias[output / LINE].0[output % LINE] = bias;
        }
    }

    /// One pass of `rows` rows from `input`, row r at r x `stride`, to `output`, row r at r x
    /// [`Dense::outputs`].
    pub fn pass<'a>(
        &'a self,
        rows: usize,
        input: &'a [f32],
        stride: usize,
        output: &'a mut [f32],
    ) -> Forward<'a> {
        let (start, finish) = (Start::Bias, Finish::Plain);
        Forward {
            layer: self,
            rows,
            input,
            stride,
            output,
            start,
            finish,
        }
    }

    /// Writes the biases to one row of outputs.
    pub fn write_bias(&self, row: &mut [f32]) {
        for (out, bias) in row.chunks_exact_mut(LINE).zip(&self.bias) {
            out.copy_from_slice(&bias.0);
        }
    }
}

/// What a sum starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Bias,
    Output,
}

/// What is done with a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    Plain,
    Silu,
}

/// A pass of rows through a layer, to be dispatched.
pub(super) struct Forward<'a> {
    layer: &'a Dense,
    rows: usize,
    input: &'a [f32],
    stride: usize,
    output: &'a mut [f32],
    start: Start,
    finish: Finish,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    /// Tiles as large as the registers allow: 12 sums in flight hide the latency of the
    /// multiply-adds, and weights and inputs fit beside them. Where a line is one vector, two lines
    /// share each input: six rows and two lines take 8 loads for 12 multiply-adds, and twelve rows of
    /// one line would take 13.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match S::F32_LANES {
            16 => self.tiles::<S, 6, 1, 2>(simd),
            8 => self.tiles::<S, 6, 2, 1>(simd),
            4 => self.tiles::<S, 4, 4, 1>(simd),
            _ => self.tiles::<S, 1, LINE, 1>(simd),
        }
    }
}

impl Forward<'_> {
    /// Adds to what stands in the output already, rather than to the bias.
    pub fn onto_output(self) -> Self {
        Forward {
            start: Start::Output,
            ..self
        }
    }

    pub fn silu(self) -> Self {
        Forward {
            finish: Finish::Silu,
            ..self
        }
    }

    /// Tiles of `ROWS` rows and `LINES` lines of `VECTORS` vectors, then the lines that are left.
    #[inline(always)]
    fn tiles<S: Simd, const ROWS: usize, const VECTORS: usize, const LINES: usize>(
        &mut self,
        simd: S,
    ) {
        let mut line = 0;
        while line + LINES <= self.layer.bias.len() {
            self.column::<S, ROWS, VECTORS, LINES>(simd, line);
            line += LINES;
        }
        while line < self.layer.bias.len() {
            self.column::<S, ROWS, VECTORS, 1>(simd, line);
            line += 1;
        }
    }

    /// All rows of `LINES` lines: tiles of `ROWS` rows, then the rows that are left.
    #[inline(always)]
    fn column<S: Simd, const ROWS: usize, const VECTORS: usize, const LINES: usize>(
        &mut self,
        simd: S,
        line: usize,
    ) {
        let mut row = 0;
        while row + ROWS <= self.rows {
            self.tile::<S, ROWS, VECTORS, LINES>(simd, line, row);
            row += ROWS;
        }
        while row < self.rows {
            self.tile::<S, 1, VECTORS, LINES>(simd, line, row);
            row += 1;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const ROWS: usize, const VECTORS: usize, const LINES: usize>(
        &mut self,
        simd: S,
        line: usize,
        row: usize,
    ) {
        let (count, outputs) = (self.layer.inputs, self.layer.outputs());
        let mut weights: [&[Line]; LINES] = [&[]; LINES];
        for (l, weights) in weights.iter_mut().enumerate() {
            *weights = &self.layer.weights[(line + l) * count..][..count];
        }
        let mut inputs: [&[f32]; ROWS] = [&[]; ROWS];
        let mut sums = [[[simd.splat_f32s(0.0); VECTORS]; LINES]; ROWS];
        for r in 0..ROWS {
            inputs[r] = &self.input[(row + r) * self.stride..][..count];
            for (l, sums) in sums[r].iter_mut().enumerate() {
                let place = (row + r) * outputs + (line + l) * LINE;
                let start = match self.start {
                    Start::Bias => &self.layer.bias[line + l].0,
                    Start::Output => &self.output[place..][..LINE],
                };
                let (start, _) = S::as_simd_f32s(start);
                sums.copy_from_slice(&start[..VECTORS]);
            }
        }
        for k in 0..count {
            for r in 0..ROWS {
                let input = simd.splat_f32s(inputs[r][k]);
                for l in 0..LINES {
                    let (weight, _) = S::as_simd_f32s(&weights[l][k].0);
                    for v in 0..VECTORS {
                        sums[r][l][v] = simd.mul_add_e_f32s(input, weight[v], sums[r][l][v]);
                    }
                }
            }
        }
        for (r, lines) in sums.into_iter().enumerate() {
            for (l, sums) in lines.into_iter().enumerate() {
                let place = (row + r) * outputs + (line + l) * LINE;
                let (output, _) = S::as_mut_simd_f32s(&mut self.output[place..][..LINE]);
                for v in 0..VECTORS {
                    output[v] = match self.finish {
                        Finish::Plain => sums[v],
                        Finish::Silu => silu(simd, sums[v]),
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        let spread = |i: usize| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0;
        (0..count).map(spread).collect()
    }

    #[test]
    fn a_layer_is_a_matrix_product_for_every_number_of_rows_and_outputs() {
        for (rows, inputs, outputs) in [(1, 3, 5), (7, 16, 16), (13, 5, 33), (25, 1, 17)] {
            let (x, w, b) = (
                numbers(rows * inputs, 1),
                numbers(inputs * outputs, 2),
                numbers(outputs, 3),
            );
            let mut layer = Dense::new(inputs, outputs);
            let to: Vec<usize> = (0..outputs).collect();
            layer.set_weights(&w, &to);
            layer.set_bias(&b, &to);
            for arch in [Arch::new(), Arch::Scalar] {
                let mut y = vec![f32::NAN; rows * layer.outputs()];
                arch.dispatch(layer.pass(rows, &x, inputs, &mut y));
                for r in 0..rows {
                    for n in 0..outputs {
                        let products = (0..inputs).map(|k| x[r * inputs + k] * w[k * outputs + n]);
                        let expected = b[n] + products.sum::<f32>();
                        let found = y[r * layer.outputs() + n];
                        assert!(
                            (found - expected).abs() < 1e-5,
                            "{found} against {expected}"
                        );
                    }
                }
            }
        }
    }
}
