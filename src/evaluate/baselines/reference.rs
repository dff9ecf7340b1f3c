//! The rows that a reference's values were computed on.

use super::Matrix;

/// 30 rows of three correlated columns, exact in single precision; the last four are far off.
#[allow(clippy::unwrap_used)]
pub(super) fn rows() -> Matrix {
    let row = |i: u16| {
        let part = |factor: u16, modulus: u16| f32::from(i * factor % modulus);
        let (a, b) = (part(7, 31) / 8.0 - 1.875, part(11, 29) / 16.0 - 0.875);
        let c = part(5, 23) / 8.0 - 1.375;
        let off = if i >= 26 { [6.0, -5.0, 4.0] } else { [0.0; 3] };
        [a + off[0], 0.5 * a + b + off[1], c - 0.5 * b + off[2]]
    };
    Matrix::new((0..30).flat_map(row).collect(), 3).unwrap()
}

/// Says that each of `found` is within `tolerance` of `expected`, relative where that is above 1.
pub(super) fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (row, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(
            error <= tolerance * expected.abs().max(1.0),
            "row {row}: {found} against {expected}"
        );
    }
}
