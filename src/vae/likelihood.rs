//! The likelihood of rows in candle: one term a head, left out where the head is missing.

use std::f64::consts::PI;

use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::{sigmoid, softmax};

use super::network::Output;
use super::shape::{Head, Shape};
use super::two_valued;

/// Added to the spread before softplus, so that an untrained Gaussian head has a variance of 1.
pub(super) const SPREAD_AT_ONE: f64 = 0.541_324_854_612_918;

/// Standard deviation of the contaminating component, in scaled units.
const CONTAMINATION: f64 = 5.0;

/// The likelihood of rows of one shape.
pub(super) struct Likelihood {
    gaussian: Option<Group>,
    bernoulli: Option<Group>,
    categorical: Vec<Classes>,
    floor: f64,
    epsilon: f64,
}

/// The heads of one kind and their columns.
struct Group {
    heads: Tensor,
    columns: Tensor,
    everything: bool,
}

/// One categorical head.
struct Classes {
    head: usize,
    first: usize,
    count: usize,
    floor: f64,
}

impl Likelihood {
    /// The likelihood for `shape` with Gaussian deviations of at least `floor`; where `epsilon` is
    /// above 0, that share of the numeric cells is taken to come from N(0, 5^2).
    ///
    /// Class probabilities are not mixed with `epsilon`: a rare class would look much rarer to
    /// scoring, which has no such mixture. Their floor bounds the pull of a contaminated cell.
    pub fn new(shape: &Shape, floor: f32, epsilon: f32, device: &Device) -> Result<Self> {
        let classes = shape
            .columns()
            .enumerate()
            .filter_map(|(head, (first, kind))| match kind {
                Head::Categorical { classes: count } => Some(Classes {
                    head,
                    first,
                    count,
                    floor: kind.probability_floor(),
                }),
                Head::Gaussian | Head::Bernoulli => None,
            });
        Ok(Likelihood {
            gaussian: Group::new(shape, Head::Gaussian, device)?,
            bernoulli: Group::new(shape, Head::Bernoulli, device)?,
            categorical: classes.collect(),
            floor: f64::from(floor),
            epsilon: f64::from(epsilon),
        })
    }

    /// Negative log-likelihood of the present cells by row, in nats. `values` is rows x columns,
    /// `present` is rows x heads.
    pub fn surprise(&self, values: &Tensor, present: &Tensor, output: &Output) -> Result<Tensor> {
        let mut terms = Vec::new();
        if let (Some(group), Some(spread)) = (&self.gaussian, &output.spread) {
            let (values, mean) = (group.columns(values)?, group.columns(&output.mean)?);
            let variance = variance(spread, self.floor)?;
            let cells = robust(&gaussian(&values, &mean, &variance)?, &values, self.epsilon)?;
            terms.push((cells * group.heads(present)?)?.sum(1)?);
        }
        if let Some(group) = &self.bernoulli {
            let (values, logits) = (group.columns(values)?, group.columns(&output.mean)?);
            let cells = two_valued::surprise(&logits, &values, &group.heads(present)?)?;
            terms.push(cells.sum(1)?);
        }
        for classes in &self.categorical {
            let values = values.narrow(1, classes.first, classes.count)?;
            let logits = output.mean.narrow(1, classes.first, classes.count)?;
            let cells = categorical(&values, &logits, classes.floor)?;
            terms.push((cells * present.narrow(1, classes.head, 1)?.squeeze(1)?)?);
        }
        total(terms, values)
    }

    /// Squared errors of the present cells by row, in scaled units; the Brier score for classes.
    /// Takes what [`Likelihood::surprise`] takes.
    pub fn squared_error(
        &self,
        values: &Tensor,
        present: &Tensor,
        output: &Output,
    ) -> Result<Tensor> {
        let mut terms = Vec::new();
        if let Some(group) = &self.gaussian {
            let errors = (group.columns(values)? - group.columns(&output.mean)?)?;
            terms.push((errors.sqr()? * group.heads(present)?)?.sum(1)?);
        }
        if let Some(group) = &self.bernoulli {
            let expected = probability_of_one(&group.columns(&output.mean)?)?;
            let errors = (group.columns(values)? - expected)?;
            terms.push((errors.sqr()? * group.heads(present)?)?.sum(1)?);
        }
        for classes in &self.categorical {
            let values = values.narrow(1, classes.first, classes.count)?;
            let logits = output.mean.narrow(1, classes.first, classes.count)?;
            let brier = (values - class_probability(&logits, classes.floor)?)?
                .sqr()?
                .sum(1)?;
            terms.push((brier * present.narrow(1, classes.head, 1)?.squeeze(1)?)?);
        }
        total(terms, values)
    }
}

/// The sum of `terms`, one number a row of `values`; 0 without terms.
fn total(terms: Vec<Tensor>, values: &Tensor) -> Result<Tensor> {
    let mut terms = terms.into_iter();
    let first = match terms.next() {
        Some(first) => first,
        None => values.sum(1)?.zeros_like()?,
    };
    terms.try_fold(first, |sum, term| sum + term)
}

impl Group {
    fn new(shape: &Shape, kind: Head, device: &Device) -> Result<Option<Self>> {
        let chosen = shape
            .columns()
            .enumerate()
            .filter(|(_, (_, head))| *head == kind);
        let (heads, columns): (Vec<u32>, Vec<u32>) = chosen
            .map(|(head, (column, _))| (head as u32, column as u32))
            .unzip();
        if heads.is_empty() {
            return Ok(None);
        }
        let everything = heads.len() == shape.heads.len();
        let index = |list: Vec<u32>| Tensor::from_vec(list.clone(), list.len(), device);
        Ok(Some(Group {
            heads: index(heads)?,
            columns: index(columns)?,
            everything,
        }))
    }

    fn columns(&self, all: &Tensor) -> Result<Tensor> {
        if self.everything {
            Ok(all.clone())
        } else {
            all.index_select(&self.columns, 1)
        }
    }

    fn heads(&self, all: &Tensor) -> Result<Tensor> {
        if self.everything {
            Ok(all.clone())
        } else {
            all.index_select(&self.heads, 1)
        }
    }
}

/// ln(1 + e^x) without overflow.
fn softplus(x: &Tensor) -> Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}

/// The variance of Gaussian heads.
pub(super) fn variance(spread: &Tensor, floor: f64) -> Result<Tensor> {
    softplus(&(spread + SPREAD_AT_ONE)?)? + floor * floor
}

/// -ln N(value; mean, variance) by cell.
fn gaussian(values: &Tensor, mean: &Tensor, variance: &Tensor) -> Result<Tensor> {
    let scaled = ((values - mean)?.sqr()? / variance)?;
    ((scaled + variance.log()?)? + (2.0 * PI).ln())? * 0.5
}

/// -ln[(1 - e) exp(-surprise) + e N(value; 0, 5^2)]: however far off a cell is, it pulls no harder
/// than the broad component lets it.
fn robust(surprise: &Tensor, values: &Tensor, epsilon: f64) -> Result<Tensor> {
    if epsilon == 0.0 {
        return Ok(surprise.clone());
    }
    let constant = epsilon.ln() - 0.5 * (2.0 * PI * CONTAMINATION * CONTAMINATION).ln();
    let broad = (values.sqr()? * (-0.5 / (CONTAMINATION * CONTAMINATION)))?;
    let broad = (broad + constant)?;
    let excess = (((1.0 - epsilon).ln() - surprise)? - &broad)?;
    (broad + softplus(&excess)?)?.neg()
}

/// The probability of 1 by cell.
fn probability_of_one(logits: &Tensor) -> Result<Tensor> {
    let floor = Head::Bernoulli.probability_floor();
    (sigmoid(logits)? * (1.0 - 2.0 * floor))? + floor
}

/// The probability of each class.
fn class_probability(logits: &Tensor, floor: f64) -> Result<Tensor> {
    let room = 1.0 - floor * logits.dim(D::Minus1)? as f64;
    (softmax(logits, D::Minus1)? * room)? + floor
}

/// -ln p(class) by row, for one-hot values.
fn categorical(values: &Tensor, logits: &Tensor, floor: f64) -> Result<Tensor> {
    let probability = class_probability(logits, floor)?;
    (values * probability.log()?)?.sum(D::Minus1)?.neg()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn row(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, (1, values.len()), &Device::Cpu).unwrap()
    }

    fn shape(heads: Vec<Head>) -> Shape {
        Shape {
            heads,
            hidden: 1,
            latent: 1,
        }
    }

    fn surprise(shape: &Shape, epsilon: f32, values: &[f32], present: &[f32], mean: &[f32]) -> f64 {
        let likelihood = Likelihood::new(shape, 0.5, epsilon, &Device::Cpu).unwrap();
        let gaussians = shape
            .heads
            .iter()
            .filter(|&&head| head == Head::Gaussian)
            .count();
        let spread = (gaussians > 0).then(|| row(&vec![0.0; gaussians]));
        let output = Output {
            mean: row(mean),
            spread,
        };
        let found = likelihood
            .surprise(&row(values), &row(present), &output)
            .unwrap();
        f64::from(found.to_vec1::<f32>().unwrap()[0])
    }

    fn normal(deviation: f64, variance: f64) -> f64 {
        (-0.5 * deviation * deviation / variance).exp() / (2.0 * PI * variance).sqrt()
    }

    #[test]
    fn gaussian_cells_agree_with_the_closed_form() {
        let found = surprise(
            &shape(vec![Head::Gaussian; 2]),
            0.0,
            &[1.5, -1.0],
            &[1.0; 2],
            &[0.5; 2],
        );
        let expected = -normal(1.0, 1.25).ln() - normal(1.5, 1.25).ln();
        assert!(
            (found - expected).abs() < 1e-5,
            "{found} against {expected}"
        );
    }

    #[test]
    fn the_mixture_agrees_with_the_closed_form_near_and_far() {
        for value in [0.0f32, 1.5, 8.0, 50.0] {
            let found = surprise(&shape(vec![Head::Gaussian]), 0.1, &[value], &[1.0], &[0.0]);
            let broad = 0.1 * normal(f64::from(value), 25.0);
            let expected = -(0.9 * normal(f64::from(value), 1.25) + broad).ln();
            assert!(
                (found - expected).abs() < 1e-4 * expected,
                "{found} against {expected}"
            );
        }
    }

    #[test]
    fn two_valued_and_one_hot_cells_agree_with_the_closed_form() {
        let heads = vec![Head::Bernoulli, Head::Categorical { classes: 3 }];
        let mean = [0.7, 1.0, -2.0, 0.5];
        let found = surprise(&shape(heads), 0.0, &[0.0, 0.0, 0.0, 1.0], &[1.0; 2], &mean);
        let one = 0.998 / (1.0 + f64::exp(-f64::from(0.7f32))) + 0.001;
        let weights = [1f64.exp(), (-2f64).exp(), 0.5f64.exp()];
        let class = 0.997 * weights[2] / weights.iter().sum::<f64>() + 0.001;
        let expected = -(1.0 - one).ln() - class.ln();
        assert!(
            (found - expected).abs() < 1e-5,
            "{found} against {expected}"
        );
    }

    #[test]
    fn squared_errors_agree_with_the_closed_form_and_leave_missing_heads_out() {
        let heads = vec![
            Head::Gaussian,
            Head::Gaussian,
            Head::Bernoulli,
            Head::Categorical { classes: 2 },
        ];
        let likelihood = Likelihood::new(&shape(heads), 0.5, 0.1, &Device::Cpu).unwrap();
        let output = Output {
            mean: row(&[0.5, 7.0, 0.7, 1.0, -2.0]),
            spread: Some(row(&[3.0, 3.0])),
        };
        let error = |present: &[f32]| {
            let values = row(&[2.0, 0.0, 0.0, 0.0, 1.0]);
            let found = likelihood.squared_error(&values, &row(present), &output);
            f64::from(found.unwrap().to_vec1::<f32>().unwrap()[0])
        };
        let one = 0.998 / (1.0 + f64::exp(-f64::from(0.7f32))) + 0.001;
        let class = 0.998 / (1.0 + f64::exp(3.0)) + 0.001;
        let brier = 2.0 * (1.0 - class).powi(2);
        let expected = 1.5 * 1.5 + one * one + brier;
        assert!((error(&[1.0, 0.0, 1.0, 1.0]) - expected).abs() < 1e-5);
        assert!((error(&[1.0, 0.0, 0.0, 0.0]) - 2.25).abs() < 1e-6);
        assert_eq!(error(&[0.0; 4]), 0.0);
    }

    #[test]
    fn no_class_is_more_surprising_than_its_floor() {
        let heads = vec![Head::Bernoulli, Head::Categorical { classes: 2 }];
        let mean = [-80.0, 90.0, -90.0];
        let found = surprise(&shape(heads), 0.0, &[1.0, 0.0, 1.0], &[1.0; 2], &mean);
        assert!((found - 2.0 * 1000f64.ln()).abs() < 1e-3, "{found}");
    }

    #[test]
    fn missing_heads_are_left_out() {
        let heads = vec![Head::Gaussian, Head::Bernoulli, Head::Gaussian];
        let whole = surprise(
            &shape(heads.clone()),
            0.0,
            &[3.0, 0.0, 0.0],
            &[1.0, 0.0, 0.0],
            &[0.0; 3],
        );
        assert!((whole + normal(3.0, 1.25).ln()).abs() < 1e-5);
        let none = surprise(&shape(heads), 0.0, &[0.0; 3], &[0.0; 3], &[0.0; 3]);
        assert!(none.abs() < f64::EPSILON);
    }
}
