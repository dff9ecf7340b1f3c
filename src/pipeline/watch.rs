//! Whether the stream has moved from what the model was trained on, and whether that lasts.

use std::sync::Arc;

use tokio::sync::watch;

use crate::detect::{Drift, Model, Tally};
use crate::metrics::Metrics;

/// Rows of one look.
const ROWS: u32 = 2048;

/// From here on a field drifts, if two looks in a row say so; below the other it does no longer.
const MUCH: f64 = 0.25;
const LITTLE: f64 = 0.1;

/// Counts rows, and looks at them from time to time.
pub(super) struct Watch {
    model: Arc<Model>,
    tally: Tally,
    /// The score's first, then each field's.
    states: Vec<State>,
    names: Vec<String>,
    metrics: Arc<Metrics>,
    /// How many drift.
    drifting: watch::Sender<usize>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Still,
    /// The last look said so.
    Suspected,
    Drifts,
}

impl Watch {
    pub(super) fn new(
        model: &Arc<Model>,
        metrics: Arc<Metrics>,
        drifting: watch::Sender<usize>,
    ) -> Watch {
        let fields = model.encoding.fields.iter().map(|field| field.path.clone());
        let names: Vec<String> = std::iter::once("the scores".to_owned())
            .chain(fields)
            .collect();
        Watch {
            states: vec![State::default(); names.len()],
            names,
            model: Arc::clone(model),
            tally: Tally::default(),
            metrics,
            drifting,
        }
    }

    /// Compares with another model from here on.
    pub(super) fn go_by(&mut self, model: &Arc<Model>) {
        *self = Watch::new(model, Arc::clone(&self.metrics), self.drifting.clone());
        self.tell();
    }

    pub(super) fn add(&mut self, tally: &Tally) {
        self.tally.merge(tally);
        if self.tally.rows() >= ROWS {
            let tally = std::mem::take(&mut self.tally);
            self.look(&tally.drift(&self.model.profile, &self.model.held_out));
        }
    }

    fn look(&mut self, drift: &Drift) {
        let metrics = &self.metrics;
        let of = |part: fn(&crate::detect::FieldDrift) -> f64| drift.fields.iter().map(part);
        metrics.drift_psi.set(of(|field| field.psi));
        metrics.drift_ks.set(of(|field| field.ks));
        metrics.drift_missing.set(of(|field| field.missing));
        metrics.drift_score.set(drift.score);
        metrics.drift_elbo.set(drift.elbo);
        let indices = std::iter::once(drift.score).chain(of(|field| field.psi));
        for ((state, name), psi) in self.states.iter_mut().zip(&self.names).zip(indices) {
            let before = *state;
            *state = before.after(psi);
            match (before, *state) {
                (State::Suspected, State::Drifts) => tracing::warn!(
                    psi,
                    "{name} drift from what the model was trained on: it flags more or less than it should"
                ),
                (State::Drifts, State::Still) => {
                    tracing::info!(psi, "{name} are as in training again");
                }
                _ => {}
            }
        }
        self.tell();
    }

    fn tell(&self) {
        let drifting = self.states.iter().filter(|state| **state == State::Drifts);
        let drifting = drifting.count();
        self.metrics.drifting.set(drifting as i64);
        self.drifting
            .send_if_modified(|now| std::mem::replace(now, drifting) != drifting);
    }
}

impl State {
    /// Two looks in a row raise it, and a clear one lowers it: what wavers between changes nothing.
    fn after(self, psi: f64) -> State {
        match self {
            State::Still if psi >= MUCH => State::Suspected,
            State::Suspected if psi >= MUCH => State::Drifts,
            State::Suspected => State::Still,
            State::Drifts if psi < LITTLE => State::Still,
            state => state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_said_when_it_lasts_and_not_again_while_it_wavers() {
        let mut state = State::default();
        let seen: Vec<State> = [0.05, 0.3, 0.2, 0.3, 0.3, 0.2, 0.3, 0.05, 0.3]
            .iter()
            .map(|&psi| {
                state = state.after(psi);
                state
            })
            .collect();
        use State::{Drifts, Still, Suspected};
        let expected = [
            Still, Suspected, Still, Suspected, Drifts, Drifts, Drifts, Still, Suspected,
        ];
        assert_eq!(seen, expected);
    }
}
