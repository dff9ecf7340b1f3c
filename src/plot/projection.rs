//! Codes on the plane of their two largest principal components.

use nalgebra::{DMatrix, SymmetricEigen};

use super::error::PlotError;

/// Sweeps of the eigenvalue iteration at most: it takes a few a dimension.
const SWEEPS: usize = 10_000;

/// Codes on a plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// One point a row, in the order of the rows; not a number where the row had such values.
    pub points: Vec<(f32, f32)>,
    /// The share of the variance along each axis, 0 to 1; 0 if the codes do not vary.
    pub shares: [f64; 2],
    /// Rows with values that are not finite. They take no part.
    pub left_out: usize,
}

/// Projects `codes` (rows x `latent`, row by row) onto the two directions in which they vary most
/// (Pearson 1901). The mean is the origin. A direction points to where the largest of its weights is
/// positive, so that the same codes give the same picture. Codes of one number lie on a line.
///
/// # Errors
/// The codes are no rows of `latent` numbers, or the components do not converge.
pub fn project(codes: &[f32], latent: usize) -> Result<Projection, PlotError> {
    if latent == 0 || !codes.len().is_multiple_of(latent) {
        return Err(PlotError::Shape {
            values: codes.len(),
            latent,
        });
    }
    let rows: Vec<&[f32]> = codes.chunks_exact(latent).collect();
    let whole = |row: &&[f32]| row.iter().all(|value| value.is_finite());
    let kept: Vec<&[f32]> = rows.iter().copied().filter(whole).collect();
    let mean = mean(&kept, latent);
    let (directions, shares) = directions(covariance(&kept, &mean))?;
    let points = rows.iter().map(|row| {
        if !whole(row) {
            return (f32::NAN, f32::NAN);
        }
        let along = |direction: &[f64]| {
            let offsets = row
                .iter()
                .zip(&mean)
                .map(|(value, mean)| f64::from(*value) - mean);
            offsets
                .zip(direction)
                .map(|(offset, weight)| offset * weight)
                .sum::<f64>() as f32
        };
        (along(&directions[0]), along(&directions[1]))
    });
    Ok(Projection {
        points: points.collect(),
        shares,
        left_out: rows.len() - kept.len(),
    })
}

fn mean(rows: &[&[f32]], latent: usize) -> Vec<f64> {
    let mut mean = vec![0.0; latent];
    for row in rows {
        for (sum, value) in mean.iter_mut().zip(*row) {
            *sum += f64::from(*value) / rows.len() as f64;
        }
    }
    mean
}

/// Around `mean`, divided by the number of rows.
fn covariance(rows: &[&[f32]], mean: &[f64]) -> DMatrix<f64> {
    let latent = mean.len();
    let mut sums = DMatrix::zeros(latent, latent);
    let mut offsets = vec![0.0; latent];
    for row in rows {
        for ((offset, value), mean) in offsets.iter_mut().zip(*row).zip(mean) {
            *offset = f64::from(*value) - mean;
        }
        for a in 0..latent {
            for b in a..latent {
                sums[(a, b)] += offsets[a] * offsets[b] / rows.len() as f64;
            }
        }
    }
    sums.fill_lower_triangle_with_upper_triangle();
    sums
}

/// The two leading directions, and their shares of the variance.
fn directions(covariance: DMatrix<f64>) -> Result<([Vec<f64>; 2], [f64; 2]), PlotError> {
    let latent = covariance.nrows();
    let total = covariance.trace();
    let mut directions = [vec![0.0; latent], vec![0.0; latent]];
    let mut shares = [0.0; 2];
    if total <= 0.0 {
        return Ok((directions, shares));
    }
    // In units of the total, so that no size of codes is out of reach.
    let scaled = covariance / total;
    let eigen =
        SymmetricEigen::try_new(scaled, f64::EPSILON, SWEEPS).ok_or(PlotError::Components)?;
    let mut order: Vec<usize> = (0..latent).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    for (place, &number) in order.iter().take(2).enumerate() {
        let weights = eigen.eigenvectors.column(number);
        // Of equal ones the first, so that the sign does not hang on the last bit.
        let largest = weights.iter().fold(0.0_f64, |largest, &weight| {
            if weight.abs() > largest.abs() * (1.0 + 1e-9) {
                weight
            } else {
                largest
            }
        });
        directions[place] = weights
            .iter()
            .map(|weight| weight * largest.signum())
            .collect();
        shares[place] = eigen.eigenvalues[number].clamp(0.0, 1.0);
    }
    Ok((directions, shares))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::well_formed::any_single;
    use super::*;

    /// Rows along (3, 4) / 5 with a little along (-4, 3) / 5, around (10, 20).
    fn tilted() -> Vec<f32> {
        let at = |along: f32, across: f32| {
            [
                10.0 + 0.6 * along - 0.8 * across,
                20.0 + 0.8 * along + 0.6 * across,
            ]
        };
        [at(-5.0, 0.5), at(5.0, 0.5), at(-5.0, -0.5), at(5.0, -0.5)].concat()
    }

    #[test]
    fn the_axes_are_those_of_the_largest_variance() {
        let found = project(&tilted(), 2).unwrap();
        // The largest weight of the first is 0.8 and of the second -0.8, which is turned round.
        let expected = [(-5.0, -0.5), (5.0, -0.5), (-5.0, 0.5), (5.0, 0.5)];
        for ((x, y), (a, b)) in found.points.iter().zip(expected) {
            assert!(
                (x - a).abs() < 1e-4 && (y - b).abs() < 1e-4,
                "{:?}",
                found.points
            );
        }
        assert!((found.shares[0] - 25.0 / 25.25).abs() < 1e-6);
        assert!((found.shares[1] - 0.25 / 25.25).abs() < 1e-6);
    }

    #[test]
    fn a_row_that_is_not_finite_is_left_out_and_changes_nothing() {
        let mut codes = tilted();
        codes.extend([f32::NAN, 1.0]);
        let (with, without) = (project(&codes, 2).unwrap(), project(&tilted(), 2).unwrap());
        assert_eq!(with.points[..4], without.points[..]);
        assert!(with.points[4].0.is_nan());
        assert_eq!((with.left_out, with.shares), (1, without.shares));
    }

    #[test]
    fn codes_of_one_number_and_codes_that_do_not_vary_have_points() {
        let line = project(&[1.0, 2.0, 3.0], 1).unwrap();
        assert_eq!(line.points, [(-1.0, 0.0), (0.0, 0.0), (1.0, 0.0)]);
        assert_eq!(line.shares, [1.0, 0.0]);
        let constant = project(&[0.7; 12], 3).unwrap();
        assert_eq!(constant.points.len(), 4);
        assert_eq!(project(&[], 3).unwrap().points, []);
        assert_eq!(project(&[f32::NAN; 4], 2).unwrap().left_out, 2);
    }

    #[test]
    fn codes_that_are_no_rows_are_refused() {
        assert!(matches!(
            project(&[1.0; 5], 2),
            Err(PlotError::Shape { .. })
        ));
        assert!(matches!(
            project(&[1.0; 5], 0),
            Err(PlotError::Shape { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_codes_have_points(
            values in prop::collection::vec(any_single(), 0..60), latent in 1_usize..7,
        ) {
            let rows = values.len() / latent;
            let found = project(&values[..rows * latent], latent).unwrap();
            prop_assert_eq!(found.points.len(), rows);
            prop_assert!(found.shares[0] >= found.shares[1] && found.shares[1] >= 0.0);
            prop_assert!(found.shares[0] + found.shares[1] <= 1.0 + 1e-9);
        }

        #[test]
        fn the_plane_keeps_the_variance_that_it_claims(
            values in prop::collection::vec(-10.0_f32..10.0, 60),
        ) {
            let found = project(&values, 4).unwrap();
            let square = |values: &mut dyn Iterator<Item = f32>| {
                values.map(|value| f64::from(value).powi(2)).sum::<f64>()
            };
            let kept = square(&mut found.points.iter().flat_map(|(x, y)| [*x, *y]));
            let rows: Vec<&[f32]> = values.chunks_exact(4).collect();
            let mean = mean(&rows, 4);
            let centred = rows.iter().flat_map(|row| row.iter().zip(&mean));
            let all = square(&mut centred.map(|(value, mean)| value - *mean as f32));
            prop_assert!((kept / all - found.shares[0] - found.shares[1]).abs() < 1e-4);
        }
    }
}
