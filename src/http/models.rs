//! What people may have done with the models of the store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{self, DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::orders::{NO_STORE, Orders};
use crate::config;
use crate::registry::{Done, Hand, Store};

/// How long an answer waits for every instance to take a model, where nothing else is asked for.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for so long until every instance has taken a version, and says how far that went.
pub type Rollout = dyn Fn(&str, Duration) -> anyhow::Result<String> + Send + Sync;

/// Eight networks of the widest layers that can be set come to 100 MB where there are 300 columns. What is sent by mistake
/// must not fill the memory.
const LARGEST_MODEL: usize = 256 << 20;

/// The store, and what else it takes to change what serves.
#[derive(Clone)]
pub struct Models {
    pub store: Store,
    /// So many models are kept.
    pub keep: usize,
    pub rollout: Arc<Rollout>,
}

/// `?wait=30s`.
#[derive(Deserialize)]
struct Waiting {
    wait: Option<String>,
}

pub(super) fn router() -> Router<Orders> {
    Router::new()
        .route("/promote/{version}", by_version(Hand::Promote))
        .route("/rollback", alone(Hand::Rollback(None)))
        .route(
            "/rollback/{version}",
            by_version(|version| Hand::Rollback(Some(version))),
        )
        .route("/release", alone(Hand::Release))
        .route("/pin/{version}", by_version(Hand::Pin))
        .route("/unpin/{version}", by_version(Hand::Unpin))
        .route("/delete/{version}", by_version(Hand::Delete))
        .route(
            "/import",
            post(import).layer(DefaultBodyLimit::max(LARGEST_MODEL)),
        )
}

/// Where `hand` is under `/models`. A version is in it as it is.
pub(super) fn path(hand: &Hand) -> String {
    match hand {
        Hand::Promote(version) => format!("promote/{version}"),
        Hand::Rollback(None) => "rollback".to_owned(),
        Hand::Rollback(Some(version)) => format!("rollback/{version}"),
        Hand::Release => "release".to_owned(),
        Hand::Pin(version) => format!("pin/{version}"),
        Hand::Unpin(version) => format!("unpin/{version}"),
        Hand::Delete(version) => format!("delete/{version}"),
    }
}

/// The route of what needs a version.
fn by_version(hand: fn(String) -> Hand) -> MethodRouter<Orders> {
    post(
        move |State(orders): State<Orders>,
              extract::Path(version): extract::Path<String>,
              waiting| async move { lend(orders, hand(version), waiting).await },
    )
}

/// The route of what needs none.
fn alone(hand: Hand) -> MethodRouter<Orders> {
    post(move |State(orders): State<Orders>, waiting| lend(orders, hand.clone(), waiting))
}

async fn lend(orders: Orders, hand: Hand, Query(waiting): Query<Waiting>) -> Response {
    let patience = match waiting.wait.as_deref().map(config::time_span) {
        None => PATIENCE,
        Some(Ok(patience)) => patience,
        Some(Err(problem)) => {
            return (StatusCode::BAD_REQUEST, format!("wait: {problem}\n")).into_response();
        }
    };
    with(orders, move |models| models.lend(&hand, patience)).await
}

async fn import(State(orders): State<Orders>, model: Bytes) -> Response {
    with(orders, move |models| {
        let from = Path::new("what was sent");
        let added = models.store.take_in(&model, from, models.keep)?;
        Ok((StatusCode::OK, added.to_string()))
    })
    .await
}

/// The route of the store's ledger. It needs no token, for no record is in it; so one request at a time looks at the store,
/// and the others wait where they take no thread.
pub(super) fn ledger() -> MethodRouter<Orders> {
    let turn = Arc::new(Mutex::new(()));
    get(move |State(orders)| list(orders, Arc::clone(&turn)))
}

async fn list(orders: Orders, turn: Arc<Mutex<()>>) -> Response {
    let Some(models) = orders.models else {
        return (StatusCode::NOT_FOUND, NO_STORE).into_response();
    };
    let turn = turn.lock_owned().await;
    let look = move || {
        let ledger = models.store.ledger();
        drop(turn);
        ledger
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(ledger)) => Json(ledger).into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(_) => PANIC.into_response(),
    }
}

const PANIC: (StatusCode, &str) = (StatusCode::INTERNAL_SERVER_ERROR, "it ended in a panic\n");

/// Answers with what `work` says; it may wait.
async fn with(
    orders: Orders,
    work: impl FnOnce(&Models) -> anyhow::Result<(StatusCode, String)> + Send + 'static,
) -> Response {
    let Some(models) = orders.models else {
        return (StatusCode::CONFLICT, NO_STORE).into_response();
    };
    match tokio::task::spawn_blocking(move || work(&models)).await {
        Ok(Ok((status, said))) => (status, said + "\n").into_response(),
        Ok(Err(error)) => (StatusCode::CONFLICT, format!("{error:#}\n")).into_response(),
        Err(_) => PANIC.into_response(),
    }
}

impl Models {
    /// Does it, and waits until every instance has taken it: what is done is said even where one of them has not.
    fn lend(&self, hand: &Hand, patience: Duration) -> anyhow::Result<(StatusCode, String)> {
        let Done { said, serves } = self.store.lend(hand)?;
        let Some(version) = serves.filter(|_| !patience.is_zero()) else {
            return Ok((StatusCode::OK, said));
        };
        Ok(match (self.rollout)(&version, patience) {
            Ok(rollout) => (StatusCode::OK, format!("{said}\n{rollout}")),
            Err(error) => (StatusCode::GATEWAY_TIMEOUT, format!("{said}\n{error:#}")),
        })
    }
}
