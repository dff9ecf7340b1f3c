//! Where the columns and heads of a row stand while it is scored: heads of one kind next to each
//! other and padded to whole lines, so that each kind is computed with whole vectors.

use super::dense::padded;
use crate::vae::shape::{Head, Shape};

/// Packed rows come in two sizes: one place a column, and one place (a cell) a head.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Gaussian heads with their padding; they come first.
    pub gaussians: usize,
    /// Two-valued heads with their padding; they come next. The classes follow.
    pub bernoullis: usize,
    pub classes: Vec<Classes>,
    /// Length of a packed row of columns.
    pub columns: usize,
    /// Length of a packed row of cells.
    pub cells: usize,
    /// The packed place of each column.
    pub column_at: Vec<usize>,
    pub column_runs: Vec<Run>,
    pub head_runs: Vec<Run>,
}

/// The packed places of one categorical head.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Classes {
    pub cell: usize,
    pub first: usize,
    pub count: usize,
    pub floor: f32,
}

/// Numbers that stand next to each other both in a plain row and in a packed one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    plain: usize,
    packed: usize,
    len: usize,
}

impl Layout {
    pub fn new(shape: &Shape) -> Self {
        let count = |kind| shape.heads.iter().filter(|&&head| head == kind).count();
        let gaussians = padded(count(Head::Gaussian));
        let bernoullis = padded(count(Head::Bernoulli));
        let (mut gaussian, mut bernoulli) = (0, gaussians);
        let (mut class, mut cell) = (gaussians + bernoullis, gaussians + bernoullis);
        let (mut column_at, mut head_at, mut classes) = (Vec::new(), Vec::new(), Vec::new());
        for &head in &shape.heads {
            match head {
                Head::Gaussian => {
                    column_at.push(gaussian);
                    head_at.push(gaussian);
                    gaussian += 1;
                }
                Head::Bernoulli => {
                    column_at.push(bernoulli);
                    head_at.push(bernoulli);
                    bernoulli += 1;
                }
                Head::Categorical { classes: count } => {
                    let floor = head.probability_floor() as f32;
                    classes.push(Classes {
                        cell,
                        first: class,
                        count,
                        floor,
                    });
                    column_at.extend(class..class + count);
                    head_at.push(cell);
                    class += count;
                    cell += 1;
                }
            }
        }
        Layout {
            gaussians,
            bernoullis,
            classes,
            columns: padded(class),
            cells: padded(cell),
            column_runs: runs(&column_at),
            head_runs: runs(&head_at),
            column_at,
        }
    }

    /// The packed places of the Gaussian columns among the spreads, in the order of the heads.
    pub fn spread_at(&self, shape: &Shape) -> Vec<usize> {
        let gaussians = shape
            .heads
            .iter()
            .filter(|&&head| head == Head::Gaussian)
            .count();
        (self.columns..self.columns + gaussians).collect()
    }
}

fn runs(places: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (plain, &packed) in places.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.packed + run.len == packed => run.len += 1,
            _ => runs.push(Run {
                plain,
                packed,
                len: 1,
            }),
        }
    }
    runs
}

/// Copies a plain row to its packed places.
pub(super) fn pack(runs: &[Run], plain: &[f32], packed: &mut [f32]) {
    for run in runs {
        packed[run.packed..][..run.len].copy_from_slice(&plain[run.plain..][..run.len]);
    }
}

/// Copies a packed row back to its plain places.
pub(super) fn unpack(runs: &[Run], packed: &[f32], plain: &mut [f32]) {
    for run in runs {
        plain[run.plain..][..run.len].copy_from_slice(&packed[run.packed..][..run.len]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(heads: Vec<Head>) -> Layout {
        Layout::new(&Shape {
            heads,
            hidden: 1,
            latent: 1,
        })
    }

    #[test]
    fn heads_of_a_kind_stand_next_to_each_other() {
        let three = Head::Categorical { classes: 3 };
        let layout = layout(vec![three, Head::Gaussian, Head::Bernoulli, Head::Gaussian]);
        assert_eq!(layout.column_at, [32, 33, 34, 0, 16, 1]);
        assert_eq!((layout.gaussians, layout.bernoullis), (16, 16));
        assert_eq!((layout.columns, layout.cells), (48, 48));
    }

    #[test]
    fn rows_of_numbers_only_are_copied_whole() {
        let layout = layout(vec![Head::Gaussian; 20]);
        assert_eq!(
            layout.column_runs,
            [Run {
                plain: 0,
                packed: 0,
                len: 20
            }]
        );
        assert_eq!((layout.columns, layout.cells), (32, 32));
    }

    #[test]
    fn unpacking_undoes_packing() {
        let two = Head::Categorical { classes: 2 };
        let layout = layout(vec![
            Head::Bernoulli,
            two,
            Head::Gaussian,
            two,
            Head::Bernoulli,
        ]);
        let plain = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let (mut packed, mut back) = (vec![0.0; layout.columns], [0.0; 7]);
        pack(&layout.column_runs, &plain, &mut packed);
        unpack(&layout.column_runs, &packed, &mut back);
        assert_eq!(back, plain);
    }
}
