//! What changes something: only with the token.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Router, response::IntoResponse};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::config::Secret;

/// What somebody may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Train a new model now.
    Retrain,
    /// End the retrain that is at work.
    Cancel,
}

/// Who may ask, and who takes it.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// None: nobody may.
    pub token: Option<Secret>,
    /// None: there is nothing to ask for, without a store of models.
    pub taker: Option<mpsc::Sender<Order>>,
}

pub(super) fn router(orders: Orders) -> Router {
    Router::new()
        .route("/retrain", post(retrain))
        .route("/retrain/cancel", post(cancel))
        .with_state(orders)
}

async fn retrain(State(orders): State<Orders>, headers: HeaderMap) -> impl IntoResponse {
    orders.take(&headers, Order::Retrain)
}

async fn cancel(State(orders): State<Orders>, headers: HeaderMap) -> impl IntoResponse {
    orders.take(&headers, Order::Cancel)
}

impl Orders {
    fn take(&self, headers: &HeaderMap, order: Order) -> (StatusCode, &'static str) {
        let Some(token) = &self.token else {
            return (
                StatusCode::FORBIDDEN,
                "nobody may: set http.token in the configuration\n",
            );
        };
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if !given.is_some_and(|given| is_same(given, token.expose().as_bytes())) {
            return (
                StatusCode::UNAUTHORIZED,
                "wanted: the header `Authorization: Bearer` with the token of http.token\n",
            );
        }
        let Some(taker) = &self.taker else {
            return (
                StatusCode::CONFLICT,
                "a retrain needs a store of models: set model.store in the configuration\n",
            );
        };
        // Where orders wait already, this one has been given.
        taker.try_send(order).ok();
        (StatusCode::ACCEPTED, "taken; /status says how it goes\n")
    }
}

/// Takes as long whatever is given: hashes say nothing of how much of it is right.
fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    Sha256::digest(given) == Sha256::digest(wanted)
}
