//! What each path answers.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};

use crate::health::Health;
use crate::metrics::Metrics;

/// Makes the report of `/status`.
pub type Status = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

const INDEX: &str = "outlierd\n
/metrics  values for Prometheus
/livez    whether the line goes round; restart when not
/readyz   whether records are being scored, or why not
/status   details as JSON
/models   the ledger of the store of models as JSON

with the token of http.token, by POST:
/retrain         train a new model now
/retrain/cancel  end the retrain that is at work
/models/promote/VERSION
/models/rollback, /models/rollback/VERSION
/models/release, /models/pin/VERSION, /models/unpin/VERSION, /models/delete/VERSION
                 as `outlierd models`; ?wait=30s: for so long every instance is waited for
/models/import   take in the model file that is sent
/models/accept?from=TIME
                 train on what came since, whatever the model that serves says of it
";

#[derive(Clone)]
struct Sources {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    status: Status,
}

pub(super) fn router(metrics: Arc<Metrics>, health: Arc<Health>, status: Status) -> Router {
    let sources = Sources {
        metrics,
        health,
        status,
    };
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/metrics", get(values))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/status", get(report))
        .layer(middleware::map_response(plain))
        .with_state(sources)
}

async fn values(State(sources): State<Sources>) -> Response {
    let ready = sources.health.readiness(Instant::now()).is_empty();
    sources.metrics.ready.set(i64::from(ready));
    match sources.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            let reason = format!("cannot render the metrics: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, reason).into_response()
        }
    }
}

async fn livez(State(sources): State<Sources>) -> (StatusCode, String) {
    match sources.health.alive(Instant::now()) {
        Ok(()) => (StatusCode::OK, "alive\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, line(&reason)),
    }
}

async fn readyz(State(sources): State<Sources>) -> (StatusCode, String) {
    let unmet = sources.health.readiness(Instant::now());
    let notes = sources.health.notes().into_iter();
    let notes = notes.map(|(note, text)| line(&format!("{}: {text}", note.as_str())));
    if unmet.is_empty() {
        let lines = std::iter::once("ready\n".to_owned()).chain(notes);
        return (StatusCode::OK, lines.collect());
    }
    let lines = unmet
        .iter()
        .map(|(condition, reason)| line(&format!("{}: {reason}", condition.as_str())));
    (
        StatusCode::SERVICE_UNAVAILABLE,
        lines.chain(notes).collect(),
    )
}

async fn report(State(sources): State<Sources>) -> Json<serde_json::Value> {
    Json((sources.status)())
}

/// A reason may quote what a broker or a file said: it stays on one line.
fn line(reason: &str) -> String {
    let mut line = reason.replace(char::is_control, " ");
    line.push('\n');
    line
}

/// No answer is a page, whatever text stands in it.
async fn plain(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
