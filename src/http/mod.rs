//! Metrics, health and status over HTTP/1, which show no record and need no token; and orders, which do. Both sides of them:
//! the daemon that answers, and the command that asks it.

use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::health::Health;
use crate::metrics::Metrics;

mod bind;
mod instance;
mod models;
mod orders;
mod routes;

pub use bind::{BindError, bind};
pub use instance::{Instance, InstanceError};
pub use models::{Models, PATIENCE};
pub use orders::{Order, Orders};
pub use routes::Status;

/// How long open requests may take after a stop. A client that never finishes its request must
/// not hold the daemon up.
const DRAIN: Duration = Duration::from_secs(1);

/// Answers requests until `shutdown` resolves, then finishes the open ones within a second.
///
/// # Errors
///
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    status: Status,
    orders: Orders,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = routes::router(metrics, health, status).merge(orders::router(orders));
    let stop = Arc::new(Notify::new());
    let stopped = Arc::clone(&stop);
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        stopped.notify_one();
    });
    tokio::select! {
        ended = server.into_future() => ended,
        () = async {
            stop.notified().await;
            tokio::time::sleep(DRAIN).await;
        } => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
