//! What changes something: only with the token.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::config::Secret;
use crate::registry::Hand;

/// How long an answer waits for every instance to take a model.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What somebody may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Train a new model now.
    Retrain,
    /// End the retrain that is at work.
    Cancel,
}

/// Does something with the models of the store, and says what. It may wait.
pub type Models = Arc<dyn Fn(&Hand) -> anyhow::Result<String> + Send + Sync>;

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
    let models = Router::new()
        .route("/promote/{version}", by_version(Hand::Promote))
        .route("/rollback", alone(Hand::Rollback(None)))
        .route(
            "/rollback/{version}",
            by_version(|version| Hand::Rollback(Some(version))),
        )
        .route("/release", alone(Hand::Release))
        .route("/pin/{version}", by_version(Hand::Pin))
        .route("/unpin/{version}", by_version(Hand::Unpin))
        .route("/delete/{version}", by_version(Hand::Delete));
    Router::new()
        .route("/retrain", post(retrain))
        .route("/retrain/cancel", post(cancel))
        .nest("/models", models)
        .route_layer(middleware::from_fn_with_state(orders.clone(), guard))
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

/// The route of what needs a version.
fn by_version(hand: fn(String) -> Hand) -> MethodRouter<Orders> {
    post(
        move |State(orders): State<Orders>, Path(version): Path<String>| async move {
            orders.lend(hand(version)).await
        },
    )
}

/// The route of what needs none.
fn alone(hand: Hand) -> MethodRouter<Orders> {
    post(move |State(orders): State<Orders>| async move { orders.lend(hand).await })
}

const NO_STORE: &str = "this needs a store of models: set model.store in the configuration\n";

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
        // Where orders wait already, this one has been given.
        taker.try_send(order).ok();
        (StatusCode::ACCEPTED, "taken; /status says how it goes\n")
    }

    async fn lend(&self, hand: Hand) -> (StatusCode, String) {
        let Some(models) = self.models.clone() else {
            return (StatusCode::CONFLICT, NO_STORE.to_owned());
        };
        match tokio::task::spawn_blocking(move || models(&hand)).await {
            Ok(Ok(said)) => (StatusCode::OK, said + "\n"),
            Ok(Err(error)) => (StatusCode::CONFLICT, format!("{error:#}\n")),
            Err(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "it ended in a panic\n".to_owned(),
            ),
        }
    }
}

/// Takes as long whatever is given: hashes say nothing of how much of it is right.
fn is_same(given: &[u8], wanted: &[u8]) -> bool {
    Sha256::digest(given) == Sha256::digest(wanted)
}
