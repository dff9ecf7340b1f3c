//! The shape of a network: what its columns are and how wide its layers are.

use serde::{Deserialize, Serialize};

/// Bound of every width in a [`Shape`], so that a damaged file cannot ask for all of the memory.
const WIDEST: usize = 1 << 16;

/// No class of a categorical head, and no value of a two-valued one, is ever less likely than this:
/// the surprise of one cell is bounded (6.9 nats), as the variance floor bounds that of numbers.
const PROBABILITY_FLOOR: f64 = 1e-3;

/// The likelihood of one part of a row. A row's columns are those of its heads, one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// A standardised number: one column, with a mean and a variance that depend on the code.
    Gaussian,
    /// A column of 0 or 1.
    Bernoulli,
    /// One-hot, one column a class.
    Categorical { classes: usize },
}

impl Head {
    /// Columns of this head.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Head::Gaussian | Head::Bernoulli => 1,
            Head::Categorical { classes } => classes,
        }
    }

    /// The least probability that this head gives to a value: 0.001, or half of the uniform
    /// probability where there are more than 500 classes. A Gaussian head has no such bound: 0.
    #[must_use]
    pub fn probability_floor(self) -> f64 {
        match self {
            Head::Gaussian => 0.0,
            Head::Bernoulli => PROBABILITY_FLOOR,
            Head::Categorical { classes } => PROBABILITY_FLOOR.min(0.5 / classes.max(1) as f64),
        }
    }
}

/// The columns of a row and the widths of the layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    pub heads: Vec<Head>,
    /// Units of each of the two hidden layers, in the encoder and in the decoder.
    pub hidden: usize,
    /// Length of the latent code.
    pub latent: usize,
}

/// A weight of the network: its name in a file and its dimensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    pub name: &'static str,
    pub dims: Vec<usize>,
}

impl Shape {
    /// Columns of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.heads.iter().map(|head| head.width()).sum()
    }

    /// Multiplications of one row on its way through the network.
    #[must_use]
    pub fn multiplications(&self) -> usize {
        let matrices = self.parameters().into_iter();
        matrices
            .filter(|parameter| parameter.dims.len() == 2)
            .map(|parameter| parameter.dims.iter().product::<usize>())
            .sum()
    }

    /// Says whether a network of this shape can be built.
    ///
    /// # Errors
    /// There is no column, a layer has no unit, a categorical head has fewer than two classes, or a
    /// width is beyond 65,536.
    pub fn check(&self) -> Result<(), ShapeError> {
        if self.heads.is_empty() {
            return Err(ShapeError::NoHeads);
        }
        for (index, head) in self.heads.iter().enumerate() {
            match *head {
                Head::Categorical { classes: 0 | 1 } => return Err(ShapeError::OneClass { index }),
                Head::Categorical { classes } => within("classes of a head", classes)?,
                Head::Gaussian | Head::Bernoulli => {}
            }
        }
        within("heads", self.heads.len())?;
        within("columns", self.width())?;
        within("hidden units", self.hidden)?;
        within("latent dimensions", self.latent)
    }

    /// Each head with the number of its first column.
    pub(super) fn columns(&self) -> impl Iterator<Item = (usize, Head)> {
        self.heads.iter().scan(0, |next, &head| {
            let first = *next;
            *next += head.width();
            Some((first, head))
        })
    }

    /// Every weight, in the order in which they are initialised and stored. Matrices are inputs x
    /// outputs, row-major.
    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let (width, hidden, latent) = (self.width(), self.hidden, self.latent);
        let gaussians = self.heads.iter().filter(|&&head| head == Head::Gaussian);
        let gaussians = gaussians.count();
        let mut table: Vec<(&'static str, Vec<usize>)> = vec![
            (
                "encoder.first.weight",
                vec![width + self.heads.len(), hidden],
            ),
            ("encoder.first.bias", vec![hidden]),
            ("encoder.second.weight", vec![hidden, hidden]),
            ("encoder.second.bias", vec![hidden]),
            ("encoder.code.weight", vec![hidden, 2 * latent]),
            ("encoder.code.bias", vec![2 * latent]),
            ("encoder.skip", vec![width, latent]),
            ("decoder.first.weight", vec![latent, hidden]),
            ("decoder.first.bias", vec![hidden]),
            ("decoder.second.weight", vec![hidden, hidden]),
            ("decoder.second.bias", vec![hidden]),
            ("decoder.mean.weight", vec![hidden, width]),
            ("decoder.mean.bias", vec![width]),
            ("decoder.skip", vec![latent, width]),
        ];
        if gaussians > 0 {
            table.push(("decoder.spread.weight", vec![hidden, gaussians]));
            table.push(("decoder.spread.bias", vec![gaussians]));
        }
        table
            .into_iter()
            .map(|(name, dims)| Parameter { name, dims })
            .collect()
    }
}

fn within(what: &'static str, count: usize) -> Result<(), ShapeError> {
    match count {
        0 => Err(ShapeError::Empty { what }),
        1..=WIDEST => Ok(()),
        _ => Err(ShapeError::TooWide { what, count }),
    }
}

/// Why no network of a shape can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    #[error("the network has no columns: every field was dropped or none is configured")]
    NoHeads,
    #[error("head {index} is categorical with fewer than two classes: it says nothing, drop it")]
    OneClass { index: usize },
    #[error("the number of {what} is 0, it must be at least 1")]
    Empty { what: &'static str },
    #[error("the number of {what} is {count}, the most is {WIDEST}")]
    TooWide { what: &'static str, count: usize },
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn mixed() -> Shape {
        let heads = vec![
            Head::Gaussian,
            Head::Categorical { classes: 3 },
            Head::Bernoulli,
        ];
        Shape {
            heads,
            hidden: 8,
            latent: 2,
        }
    }

    #[test]
    fn the_width_is_the_sum_over_the_heads() {
        assert_eq!(mixed().width(), 5);
        let first: Vec<usize> = mixed().columns().map(|(first, _)| first).collect();
        assert_eq!(first, [0, 1, 4]);
    }

    #[test]
    fn a_shape_survives_serialisation() {
        let text = serde_json::to_string(&mixed()).unwrap();
        assert_eq!(serde_json::from_str::<Shape>(&text).unwrap(), mixed());
        assert!(text.contains(r#"["gaussian",{"categorical":{"classes":3}},"bernoulli"]"#));
    }

    #[test]
    fn shapes_that_cannot_be_built_are_refused() {
        assert_eq!(mixed().check(), Ok(()));
        let none = Shape {
            heads: vec![],
            ..mixed()
        };
        assert_eq!(none.check(), Err(ShapeError::NoHeads));
        let single = Shape {
            heads: vec![Head::Categorical { classes: 1 }],
            ..mixed()
        };
        assert_eq!(single.check(), Err(ShapeError::OneClass { index: 0 }));
        let flat = Shape {
            latent: 0,
            ..mixed()
        };
        assert_eq!(
            flat.check(),
            Err(ShapeError::Empty {
                what: "latent dimensions"
            })
        );
        let huge = Shape {
            heads: vec![
                Head::Categorical {
                    classes: usize::MAX
                };
                2
            ],
            ..mixed()
        };
        assert!(matches!(huge.check(), Err(ShapeError::TooWide { .. })));
    }

    #[test]
    fn class_floors_leave_room_for_the_softmax() {
        for classes in [2, 10, 500, 1000, 60_000] {
            let floor = Head::Categorical { classes }.probability_floor();
            assert!(
                floor > 0.0 && floor * classes as f64 <= 0.5 + 1e-12,
                "{classes}: {floor}"
            );
        }
    }
}
