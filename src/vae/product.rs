//! The product of data and weights. candle's own also works out the gradient of the data, which nobody
//! asks for: a seventh of the multiplications of a training step in wide rows.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, Result, Shape, Tensor};

/// `data` (rows x inputs) times `weights` (inputs x outputs). Only the weights have a gradient.
pub(super) fn of_data(data: &Tensor, weights: &Tensor) -> Result<Tensor> {
    data.apply_op2(weights, Product)
}

struct Product;

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "product-of-data"
    }

    fn cpu_fwd(
        &self,
        data: &CpuStorage,
        data_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        product(data, data_layout, weights, weights_layout)
    }

    fn cuda_fwd(
        &self,
        data: &CudaStorage,
        data_layout: &Layout,
        weights: &CudaStorage,
        weights_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        product(data, data_layout, weights, weights_layout)
    }

    fn bwd(
        &self,
        data: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((None, Some(data.t()?.matmul(gradient)?)))
    }
}

fn product<S: BackendStorage>(
    data: &S,
    data_layout: &Layout,
    weights: &S,
    weights_layout: &Layout,
) -> Result<(S, Shape)> {
    let (rows, inputs) = data_layout.shape().dims2()?;
    let (given, outputs) = weights_layout.shape().dims2()?;
    if inputs != given {
        candle_core::bail!("data of {inputs} columns and weights of {given} rows");
    }
    let sizes = (1, rows, outputs, inputs);
    let product = data.matmul(weights, sizes, data_layout, weights_layout)?;
    Ok((product, Shape::from((rows, outputs))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn values_and_gradients_are_those_of_a_matrix_product() {
        let tensor = |rows: usize, columns: usize| {
            let numbers = (0..rows * columns).map(|i| (i * 7 % 5) as f32 - 1.5);
            Tensor::from_iter(numbers, &Device::Cpu)
                .unwrap()
                .reshape((rows, columns))
                .unwrap()
        };
        let data = tensor(4, 3);
        let weights = Var::from_tensor(&tensor(5, 2)).unwrap();
        let part = weights.narrow(0, 1, 3).unwrap();
        let gradient = |product: &Tensor| {
            let loss = product.sqr().unwrap().sum_all().unwrap();
            let gradients = loss.backward().unwrap();
            gradients.get(&weights).unwrap().to_vec2::<f32>().unwrap()
        };
        let (plain, found) = (data.matmul(&part).unwrap(), of_data(&data, &part).unwrap());
        assert_eq!(
            found.to_vec2::<f32>().unwrap(),
            plain.to_vec2::<f32>().unwrap()
        );
        assert_eq!(gradient(&found), gradient(&plain));
        assert!(of_data(&data, &weights).is_err());
    }
}
