//! Quantiles of a few thousand values.

pub(super) fn sorted(values: &[f32]) -> Vec<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    sorted
}

/// The value at this share of `sorted`, by nearest rank; 0 of nothing.
pub(super) fn quantile(sorted: &[f32], share: f64) -> f32 {
    let last = sorted.len().saturating_sub(1) as f64;
    sorted
        .get((share * last).round() as usize)
        .copied()
        .unwrap_or(0.0)
}
