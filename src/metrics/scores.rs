//! What a score thread adds up on its own, so that no record costs an atomic operation.

use prometheus::local::LocalHistogram;

use super::Metrics;

/// The four histograms of a record's score, local to one thread until they are flushed.
#[derive(Debug)]
pub struct ScoreHistograms {
    score: LocalHistogram,
    severity: LocalHistogram,
    reconstruction_error: LocalHistogram,
    elbo: LocalHistogram,
}

/// The figures of one scored record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreFigures {
    /// The score, in spreads of the held-out scores.
    pub score: f64,
    /// `-log10 p`.
    pub severity: f64,
    /// Mean squared error over the scaled fields.
    pub reconstruction_error: f64,
    /// Evidence lower bound, nats.
    pub elbo: f64,
}

impl ScoreHistograms {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            score: metrics.score.local(),
            severity: metrics.severity.local(),
            reconstruction_error: metrics.reconstruction_error.local(),
            elbo: metrics.elbo.local(),
        }
    }

    /// Adds one record. A figure that is not finite is left out: it would make the sum useless for
    /// good, and such a record is counted elsewhere.
    pub fn observe(&self, figures: &ScoreFigures) {
        for (histogram, figure) in [
            (&self.score, figures.score),
            (&self.severity, figures.severity),
            (&self.reconstruction_error, figures.reconstruction_error),
            (&self.elbo, figures.elbo),
        ] {
            if figure.is_finite() {
                histogram.observe(figure);
            }
        }
    }

    /// Makes what was observed visible; once a batch. Dropping does it too.
    pub fn flush(&self) {
        self.score.flush();
        self.severity.flush();
        self.reconstruction_error.flush();
        self.elbo.flush();
    }
}
