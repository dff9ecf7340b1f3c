//! One trained network as plain arrays: what is kept in a file and what scoring starts from.

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::shape::{Head, Parameter, Shape, ShapeError};

/// The weights of one network of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Least standard deviation of a Gaussian head, in scaled units.
    pub floor: f32,
    weights: Vec<Weight>,
}

#[derive(Debug, Clone, PartialEq)]
struct Weight {
    parameter: Parameter,
    values: Vec<f32>,
}

impl Member {
    /// Every weight: name, dimensions, values (row-major).
    pub fn tensors(&self) -> impl Iterator<Item = (&'static str, &[usize], &[f32])> {
        self.weights.iter().map(|weight| {
            (
                weight.parameter.name,
                weight.parameter.dims.as_slice(),
                weight.values.as_slice(),
            )
        })
    }

    /// Takes the weights of a network of `shape` from `lookup`, which gives dimensions and values by
    /// name. Names that the shape does not have are never asked for.
    ///
    /// # Errors
    /// The shape cannot be built, the floor is not a positive number, or a weight is missing, has
    /// other dimensions or is not finite.
    pub fn from_tensors(
        shape: &Shape,
        floor: f32,
        mut lookup: impl FnMut(&str) -> Option<(Vec<usize>, Vec<f32>)>,
    ) -> Result<Member, WeightError> {
        shape.check()?;
        let weights = shape.parameters().into_iter().map(|parameter| {
            let name = parameter.name;
            let (dims, values) = lookup(name).ok_or(WeightError::Missing { name })?;
            let weight = Weight {
                parameter: Parameter { name, dims },
                values,
            };
            weight.check(&parameter.dims).map(|()| weight)
        });
        let member = Member {
            floor,
            weights: weights.collect::<Result<_, _>>()?,
        };
        member.check_floor().map(|()| member)
    }

    /// Says whether these are weights of a network of `shape`.
    ///
    /// # Errors
    /// As [`Member::from_tensors`].
    pub(super) fn check(&self, shape: &Shape) -> Result<(), WeightError> {
        shape.check()?;
        self.check_floor()?;
        for parameter in shape.parameters() {
            let name = parameter.name;
            let found = self
                .weights
                .iter()
                .find(|weight| weight.parameter.name == name);
            found
                .ok_or(WeightError::Missing { name })?
                .check(&parameter.dims)?;
        }
        Ok(())
    }

    /// The values of the weight called `name`; none where the shape has no such weight.
    pub(super) fn values(&self, name: &str) -> &[f32] {
        let found = self
            .weights
            .iter()
            .find(|weight| weight.parameter.name == name);
        found.map_or(&[], |weight| &weight.values)
    }

    /// Untrained weights. Hidden layers after He et al. (2015); the heads and the linear paths start
    /// a tenth as large, so that the first outputs are near the mean. The columns of the missing
    /// marks start at zero and stay there for a field that is never missing in training: its first
    /// absence is then harmless. So do the columns of each first class, which is that of the words
    /// without a class of their own: if training has none, weights that nothing has taught would
    /// speak when the first one comes.
    pub(super) fn untrained(shape: &Shape, floor: f32, random: &mut impl Rng) -> Member {
        let weights = shape.parameters().into_iter().map(|parameter| {
            let mut values = vec![0.0; parameter.dims.iter().product()];
            if let [inputs, outputs] = parameter.dims[..] {
                let live = if parameter.name == FIRST {
                    shape.width()
                } else {
                    inputs
                };
                let gain = if HIDDEN.contains(&parameter.name) {
                    2.0f32.sqrt()
                } else {
                    0.1
                };
                let scale = gain / (live as f32).sqrt();
                for value in &mut values[..live * outputs] {
                    let normal: f32 = StandardNormal.sample(random);
                    *value = scale * normal;
                }
                if INPUTS.contains(&parameter.name) {
                    for (column, head) in shape.columns() {
                        if matches!(head, Head::Categorical { .. }) {
                            values[column * outputs..][..outputs].fill(0.0);
                        }
                    }
                }
            }
            Weight { parameter, values }
        });
        Member {
            floor,
            weights: weights.collect(),
        }
    }

    fn check_floor(&self) -> Result<(), WeightError> {
        let usable = self.floor.is_finite() && self.floor > 0.0;
        usable
            .then_some(())
            .ok_or(WeightError::Floor { floor: self.floor })
    }
}

const FIRST: &str = "encoder.first.weight";
/// The weights that the columns of a row meet.
const INPUTS: [&str; 2] = [FIRST, "encoder.skip"];
const HIDDEN: [&str; 4] = [
    FIRST,
    "encoder.second.weight",
    "decoder.first.weight",
    "decoder.second.weight",
];

impl Weight {
    fn check(&self, wanted: &[usize]) -> Result<(), WeightError> {
        let name = self.parameter.name;
        let dims = &self.parameter.dims;
        if dims != wanted || self.values.len() != wanted.iter().product::<usize>() {
            let (found, wanted) = (dims.clone(), wanted.to_vec());
            return Err(WeightError::Dims {
                name,
                found,
                values: self.values.len(),
                wanted,
            });
        }
        match self.values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(WeightError::NotFinite { name, index }),
            None => Ok(()),
        }
    }
}

/// Why some arrays are not the weights of a network.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WeightError {
    #[error(transparent)]
    Shape(#[from] ShapeError),
    #[error("weight {name} is missing: the model is of another shape or cut short")]
    Missing { name: &'static str },
    #[error(
        "weight {name} has dimensions {found:?} and {values} values, the shape says {wanted:?}"
    )]
    Dims {
        name: &'static str,
        found: Vec<usize>,
        values: usize,
        wanted: Vec<usize>,
    },
    #[error("weight {name} is not finite at {index}: the model is damaged")]
    NotFinite { name: &'static str, index: usize },
    #[error("the variance floor is {floor}, it must be above 0")]
    Floor { floor: f32 },
    #[error("the mixture is over codes of {found} numbers, the shape says {wanted}")]
    Mixture { found: usize, wanted: usize },
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    type Tensors = HashMap<&'static str, (Vec<usize>, Vec<f32>)>;

    fn sample() -> (Shape, Member, Tensors) {
        let heads = vec![
            Head::Gaussian,
            Head::Bernoulli,
            Head::Categorical { classes: 3 },
        ];
        let shape = Shape {
            heads,
            hidden: 6,
            latent: 2,
        };
        let member = Member::untrained(&shape, 0.2, &mut ChaCha8Rng::seed_from_u64(1));
        let tensors = member
            .tensors()
            .map(|(name, dims, values)| (name, (dims.to_vec(), values.to_vec())));
        let tensors = tensors.collect();
        (shape, member, tensors)
    }

    fn load(shape: &Shape, tensors: &Tensors) -> Result<Member, WeightError> {
        Member::from_tensors(shape, 0.2, |name| tensors.get(name).cloned())
    }

    #[test]
    fn weights_survive_the_way_through_named_arrays() {
        let (shape, member, tensors) = sample();
        assert_eq!(load(&shape, &tensors).unwrap(), member);
        assert_eq!(member.check(&shape), Ok(()));
    }

    #[test]
    fn a_missing_weight_is_refused_by_name() {
        let (shape, _, mut tensors) = sample();
        tensors.remove("decoder.skip");
        assert_eq!(
            load(&shape, &tensors),
            Err(WeightError::Missing {
                name: "decoder.skip"
            })
        );
    }

    #[test]
    fn a_weight_that_is_not_finite_is_refused() {
        for bad in [f32::NAN, f32::INFINITY] {
            let (shape, _, mut tensors) = sample();
            tensors.get_mut("encoder.code.bias").unwrap().1[3] = bad;
            let refused = WeightError::NotFinite {
                name: "encoder.code.bias",
                index: 3,
            };
            assert_eq!(load(&shape, &tensors), Err(refused));
        }
    }

    #[test]
    fn wrong_dimensions_are_refused_even_when_the_count_agrees() {
        let (shape, member, mut tensors) = sample();
        tensors.get_mut("encoder.skip").unwrap().0.reverse();
        assert!(matches!(
            load(&shape, &tensors),
            Err(WeightError::Dims { .. })
        ));
        let (_, _, mut tensors) = sample();
        tensors.get_mut("encoder.skip").unwrap().1.pop();
        assert!(matches!(
            load(&shape, &tensors),
            Err(WeightError::Dims { .. })
        ));
        let wider = Shape { hidden: 7, ..shape };
        assert!(member.check(&wider).is_err());
    }

    #[test]
    fn a_floor_that_is_no_deviation_is_refused() {
        let (shape, _, tensors) = sample();
        for floor in [0.0, -1.0, f32::NAN] {
            let loaded = Member::from_tensors(&shape, floor, |name| tensors.get(name).cloned());
            assert!(matches!(loaded, Err(WeightError::Floor { .. })));
        }
    }

    #[test]
    fn missing_marks_and_words_without_a_class_start_without_weight() {
        let (shape, member, _) = sample();
        // A number, a flag, then three classes, of which the first is that of words without one.
        let unheard = |column: usize| column == 2 || column >= shape.width();
        let first = member.values(FIRST).chunks_exact(shape.hidden);
        for (column, weights) in first.enumerate() {
            let silent = weights.iter().all(|&weight| weight == 0.0);
            assert_eq!(silent, unheard(column), "column {column}");
            assert!(silent || weights.iter().all(|&weight| weight != 0.0));
        }
    }
}
