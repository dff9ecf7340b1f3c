//! The surprise of two-valued cells in one pass, and its slope in another.
//!
//! Made of candle's operations it takes a dozen passes forward and forty back, which is half of the
//! time of a training step where most columns are two-valued. On a GPU those passes are cheap, and made.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use candle_nn::ops::sigmoid as sigmoid_of;
use pulp::{Arch, Simd, WithSimd};

use super::lean::math::{ln, sigmoid};
use super::shape::Head;

/// -ln p(value) by cell, for values of 0 or 1, times `weights`. All three have the same dimensions;
/// only the logits have a gradient.
pub(super) fn surprise(logits: &Tensor, values: &Tensor, weights: &Tensor) -> Result<Tensor> {
    if !logits.device().is_cpu() {
        return by_operations(logits, values, weights);
    }
    let (values, weights) = (values.contiguous()?, weights.contiguous()?);
    logits
        .contiguous()?
        .apply_op3(&values, &weights, Pass(Part::Surprise))
}

/// The same made of candle's operations.
fn by_operations(logits: &Tensor, values: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let floor = Head::Bernoulli.probability_floor();
    let sign = values.affine(2.0, -1.0)?;
    let likelihood = sigmoid_of(&(sign * logits)?)?.affine(1.0 - 2.0 * floor, floor)?;
    likelihood.log()? * weights.neg()?
}

struct Pass(Part);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Surprise,
    Slope,
}

impl CustomOp3 for Pass {
    fn name(&self) -> &'static str {
        match self.0 {
            Part::Surprise => "two-valued-surprise",
            Part::Slope => "two-valued-slope",
        }
    }

    fn cpu_fwd(
        &self,
        logits: &CpuStorage,
        logits_layout: &Layout,
        values: &CpuStorage,
        values_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = logits_layout.shape().clone();
        let mut output = vec![0.0; shape.elem_count()];
        let cells = Cells {
            part: self.0,
            logits: numbers(logits, logits_layout)?,
            values: numbers(values, values_layout)?,
            weights: numbers(weights, weights_layout)?,
            output: &mut output,
        };
        if cells.values.len() != cells.logits.len() || cells.weights.len() != cells.logits.len() {
            bail!("{}: the dimensions are not the same", self.name());
        }
        Arch::new().dispatch(cells);
        Ok((CpuStorage::F32(output), shape))
    }

    fn bwd(
        &self,
        logits: &Tensor,
        values: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let weights = (weights * gradient)?;
        let slope = logits.apply_op3_no_bwd(values, &weights, &Pass(Part::Slope))?;
        Ok((Some(slope), None, None))
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&storage.as_slice::<f32>()?[from..to]),
        None => bail!("two-valued cells must be contiguous"),
    }
}

struct Cells<'a> {
    part: Part,
    logits: &'a [f32],
    values: &'a [f32],
    weights: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Cells<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let inputs = [self.logits, self.values, self.weights].map(S::as_simd_f32s);
        let [
            (logits, last_logits),
            (values, last_values),
            (weights, last_weights),
        ] = inputs;
        let (output, last) = S::as_mut_simd_f32s(self.output);
        for i in 0..output.len() {
            output[i] = cell(simd, self.part, logits[i], values[i], weights[i]);
        }
        if !last.is_empty() {
            let [logits, values, weights] =
                [last_logits, last_values, last_weights].map(|rest| simd.partial_load_f32s(rest));
            simd.partial_store_f32s(last, cell(simd, self.part, logits, values, weights));
        }
    }
}

/// With s the sigmoid of the logit, or of its negative where the value is 0, and f the floor: the
/// value's probability is p = (1 - 2f) s + f, and the slope of -ln p is -(1 - 2f) s (1 - s) / p, or
/// that of the other sign.
#[inline(always)]
fn cell<S: Simd>(simd: S, part: Part, logit: S::f32s, value: S::f32s, weight: S::f32s) -> S::f32s {
    let floor = Head::Bernoulli.probability_floor() as f32;
    let (least, room) = (simd.splat_f32s(floor), simd.splat_f32s(1.0 - 2.0 * floor));
    let unit = simd.splat_f32s(1.0);
    let sign = simd.sub_f32s(simd.add_f32s(value, value), unit);
    let s = sigmoid(simd, simd.mul_f32s(sign, logit));
    let likelihood = simd.mul_add_e_f32s(s, room, least);
    match part {
        Part::Surprise => simd.neg_f32s(simd.mul_f32s(ln(simd, likelihood), weight)),
        Part::Slope => {
            let steepness = simd.mul_f32s(simd.mul_f32s(s, simd.sub_f32s(unit, s)), room);
            let slope = simd.div_f32s(simd.mul_f32s(sign, steepness), likelihood);
            simd.neg_f32s(simd.mul_f32s(slope, weight))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn surprise_and_slope_agree_with_the_closed_form_to_the_last_cell() {
        // 3 x 37: no multiple of any vector's length.
        let logits: Vec<f32> = (0..111u8).map(|i| (f32::from(i) - 55.0) / 6.0).collect();
        let values: Vec<f32> = (0..111u8).map(|i| f32::from(i % 7 % 2)).collect();
        let weights: Vec<f32> = (0..111u8).map(|i| f32::from(i % 5) / 2.0).collect();
        for way in [surprise, by_operations] {
            agrees(way, [&logits, &values, &weights]);
        }
    }

    fn agrees(
        way: fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
        [logits, values, weights]: [&[f32]; 3],
    ) {
        let tensor = |numbers: &[f32]| Tensor::from_slice(numbers, (3, 37), &Device::Cpu).unwrap();
        let variable = Var::from_tensor(&tensor(logits)).unwrap();
        let cells = way(&variable, &tensor(values), &tensor(weights)).unwrap();
        let doubled = (&cells * 2.0).unwrap().sum_all().unwrap();
        let gradients = doubled.backward().unwrap();
        let slopes = gradients.get(&variable).unwrap().flatten_all().unwrap();
        let (found, slopes) = (
            cells.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            slopes.to_vec1::<f32>().unwrap(),
        );
        for i in 0..logits.len() {
            let [logit, value, weight] = [logits[i], values[i], weights[i]].map(f64::from);
            let s = 1.0 / (1.0 + (-logit).exp());
            let one = 0.998 * s + 0.001;
            let likelihood = if value == 1.0 { one } else { 1.0 - one };
            let expected = -likelihood.ln() * weight;
            assert!(
                (f64::from(found[i]) - expected).abs() < 2e-6 * expected.max(1.0),
                "cell {i}"
            );
            let slope = -2.0 * weight * (2.0 * value - 1.0) * 0.998 * s * (1.0 - s) / likelihood;
            assert!((f64::from(slopes[i]) - slope).abs() < 1e-5, "slope {i}");
        }
    }

    #[test]
    fn other_dimensions_are_refused() {
        let zeros =
            |columns: usize| Tensor::zeros((1, columns), candle_core::DType::F32, &Device::Cpu);
        let refused = surprise(&zeros(3).unwrap(), &zeros(2).unwrap(), &zeros(3).unwrap());
        assert!(refused.is_err());
    }
}
