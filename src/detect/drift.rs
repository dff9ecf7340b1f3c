//! How far a stream has moved from what its model was trained on.

use super::{HeldOut, Profile, Scored};

/// Bins of p-values: they are uniform where the stream is as in training.
const P_BINS: usize = 10;

/// Added to each count, so that an empty bin has a logarithm.
const HALF: f64 = 0.5;

/// Some rows, counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    rows: u32,
    /// Counts of all bins of all fields, one field after another.
    bins: Vec<u32>,
    /// Of each field, the rows without it.
    missing: Vec<u32>,
    p: [u32; P_BINS],
    elbo: f64,
}

/// How some rows differ from those of training.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drift {
    pub fields: Vec<FieldDrift>,
    /// Population stability index of the p-values.
    pub score: f64,
    /// Mean ELBO less that of held-out rows, nats.
    pub elbo: f64,
}

/// One field.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FieldDrift {
    /// Population stability index: the sum over bins of (now - then) ln(now / then). Below 0.1 is little, above 0.25 is
    /// much (Siddiqi, "Credit Risk Scorecards", 2006).
    pub psi: f64,
    /// Kolmogorov and Smirnov's statistic over the bins: the largest distance of the two distributions, 0 to 1.
    pub ks: f64,
    /// Share of the rows without it, less that of training.
    pub missing: f64,
}

impl Tally {
    /// An empty one for rows with the fields of `profile`.
    pub fn new(profile: &Profile) -> Tally {
        let bins = profile.fields.iter().map(|field| field.shares().len());
        Tally {
            bins: vec![0; bins.sum()],
            missing: vec![0; profile.fields.len()],
            ..Tally::default()
        }
    }

    pub fn rows(&self) -> u32 {
        self.rows
    }

    /// Counts one row. `profile` is the one that the tally was made for.
    pub fn add(&mut self, profile: &Profile, cells: &[f64], scored: &Scored) {
        let mut first = 0;
        for ((field, cell), missing) in profile.fields.iter().zip(cells).zip(&mut self.missing) {
            if cell.is_nan() {
                *missing += 1;
            } else if !field.shares().is_empty() {
                self.bins[first + field.bin(*cell)] += 1;
            }
            first += field.shares().len();
        }
        let bin = (scored.p * P_BINS as f64) as usize;
        self.p[bin.min(P_BINS - 1)] += 1;
        self.elbo += f64::from(scored.elbo());
        self.rows += 1;
    }

    /// Takes in what was counted by the same profile elsewhere.
    pub fn merge(&mut self, other: &Tally) {
        self.bins.resize(self.bins.len().max(other.bins.len()), 0);
        self.missing
            .resize(self.missing.len().max(other.missing.len()), 0);
        let add = |sums: &mut [u32], counts: &[u32]| {
            sums.iter_mut()
                .zip(counts)
                .for_each(|(sum, count)| *sum += count);
        };
        add(&mut self.bins, &other.bins);
        add(&mut self.missing, &other.missing);
        add(&mut self.p, &other.p);
        self.elbo += other.elbo;
        self.rows += other.rows;
    }

    /// Compares with the training rows.
    pub fn drift(&self, profile: &Profile, held_out: &HeldOut) -> Drift {
        let rows = f64::from(self.rows.max(1));
        let mut first = 0;
        let fields = profile
            .fields
            .iter()
            .zip(&self.missing)
            .map(|(field, missing)| {
                let counts = &self.bins[first..][..field.shares().len()];
                first += counts.len();
                FieldDrift {
                    psi: psi(counts, field.shares()),
                    ks: ks(counts, field.shares()),
                    missing: f64::from(*missing) / rows - field.missing(),
                }
            });
        Drift {
            fields: fields.collect(),
            score: psi(&self.p, &[1.0 / P_BINS as f64; P_BINS]),
            elbo: self.elbo / rows - held_out.elbo,
        }
    }
}

/// What `counts` are of their sum, each no less than half a row of it.
fn shares(counts: &[u32]) -> impl Iterator<Item = f64> {
    let all = counts.iter().map(|&count| f64::from(count)).sum::<f64>();
    let all = all + HALF * counts.len() as f64;
    counts
        .iter()
        .map(move |&count| (f64::from(count) + HALF) / all)
}

fn psi(counts: &[u32], then: &[f64]) -> f64 {
    if counts.iter().all(|&count| count == 0) {
        return 0.0;
    }
    let least = HALF / counts.iter().map(|&count| f64::from(count)).sum::<f64>();
    shares(counts)
        .zip(then)
        .map(|(now, then)| (now, then.max(least)))
        .map(|(now, then)| (now - then) * (now / then).ln())
        .sum()
}

fn ks(counts: &[u32], then: &[f64]) -> f64 {
    let all = counts.iter().map(|&count| f64::from(count)).sum::<f64>();
    if all == 0.0 {
        return 0.0;
    }
    let (mut apart, mut most) = (0.0_f64, 0.0_f64);
    for (&count, then) in counts.iter().zip(then) {
        apart += f64::from(count) / all - then;
        most = most.max(apart.abs());
    }
    most
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_index_is_that_of_the_formula() {
        // Halves in place of a quarter and three quarters, but for half a row each.
        let expected = (0.5 - 0.25) * f64::ln(0.5 / 0.25) + (0.5 - 0.75) * f64::ln(0.5 / 0.75);
        let found = psi(&[50_000, 50_000], &[0.25, 0.75]);
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        assert!((ks(&[50, 50], &[0.25, 0.75]) - 0.25).abs() < 1e-12);
        assert_eq!(
            (psi(&[0, 0], &[0.5, 0.5]), ks(&[0, 0], &[0.5, 0.5])),
            (0.0, 0.0)
        );
    }

    proptest! {
        #[test]
        fn no_drift_is_negative_or_no_number(
            counts in proptest::collection::vec(0u32..5000, 1..12), at in 0usize..12,
        ) {
            let mut then = vec![0.0; counts.len()];
            then[at % counts.len()] = 1.0;
            let (psi, ks) = (psi(&counts, &then), ks(&counts, &then));
            prop_assert!(psi.is_finite() && psi >= -1e-9, "{psi}");
            prop_assert!((0.0..=1.0 + 1e-9).contains(&ks), "{ks}");
        }
    }
}
