//! What changes something: only with the token.

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{self, error::TrySendError};

use super::models::{self, Models};
use crate::config::Secret;

/// What somebody may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Train a new model now.
    Retrain,
    /// Train one on what came since, whatever the model that serves says of it.
    Accept(Timestamp),
    /// End the retrain that is at work.
    Cancel,
}

/// Who may ask, and who takes it.
#[derive(Clone, Default)]
pub struct Orders {
    /// None: nobody may.
    pub token: Option<Secret>,
    /// None: there is nothing to ask for, without a store of models.
    pub taker: Option<mpsc::Sender<Order>>,
    /// None without a store.
    pub models: Option<Models>,
}

pub(super) fn router(orders: Orders) -> Router {
    Router::new()
        .route("/retrain", post(retrain))
        .route("/retrain/cancel", post(cancel))
        .route("/models/accept", post(accept))
        .nest("/models", models::router())
        .route_layer(middleware::from_fn_with_state(orders.clone(), guard))
        .route("/models", models::ledger())
        .with_state(orders)
}

/// Lets by who has the token.
async fn guard(State(orders): State<Orders>, request: Request, next: Next) -> Response {
    match orders.refusal(request.headers()) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

async fn retrain(State(orders): State<Orders>) -> impl IntoResponse {
    orders.take(Order::Retrain)
}

async fn cancel(State(orders): State<Orders>) -> impl IntoResponse {
    orders.take(Order::Cancel)
}

/// `?from=2026-03-01T00:00:00Z`.
#[derive(Deserialize)]
struct Since {
    from: Option<String>,
}

async fn accept(State(orders): State<Orders>, Query(since): Query<Since>) -> Response {
    match since.from.as_deref().map(str::parse) {
        Some(Ok(from)) => orders.take(Order::Accept(from)).into_response(),
        _ => (StatusCode::BAD_REQUEST, WHEN).into_response(),
    }
}

const WHEN: &str = "wanted: when the stream changed, as in ?from=2026-03-01T00:00:00Z\n";

const BUSY: &str = "another order is being taken: try again\n";

const GONE: &str = "what trains here has ended: the log says why\n";

pub(super) const NO_STORE: &str =
    "this needs a store of models: set model.store in the configuration\n";

impl Orders {
    /// Why a request is not let by, if it is not.
    fn refusal(&self, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        let Some(token) = &self.token else {
            let why = "nobody may: set http.token in the configuration\n";
            return Some((StatusCode::FORBIDDEN, why));
        };
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        if given.is_some_and(|given| is_same(given, token.expose().as_bytes())) {
            return None;
        }
        let why = "wanted: the header `Authorization: Bearer` with the token of http.token\n";
        Some((StatusCode::UNAUTHORIZED, why))
    }

    fn take(&self, order: Order) -> (StatusCode, &'static str) {
        let Some(taker) = &self.taker else {
            return (StatusCode::CONFLICT, NO_STORE);
        };
        match taker.try_send(order) {
            Ok(()) => (StatusCode::ACCEPTED, "taken; /status says how it goes\n"),
            Err(TrySendError::Full(_)) => (StatusCode::SERVICE_UNAVAILABLE, BUSY),
            Err(TrySendError::Closed(_)) => (StatusCode::SERVICE_UNAVAILABLE, GONE),
        }
    }
}

/// Takes as long whatever is given: hashes say nothing of how much of it is right.
fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    Sha256::digest(given) == Sha256::digest(wanted)
}
