use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::Registry;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::*;
use crate::health::Condition;
use crate::metrics::Disposition;

struct Server {
    addr: SocketAddr,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<io::Result<()>>,
}

async fn start() -> Server {
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let metrics = Metrics::new(Registry::new(), &[]).unwrap();
    let health = Arc::new(Health::new(Instant::now(), Duration::ZERO));
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(serve(
        listener,
        Arc::clone(&metrics),
        Arc::clone(&health),
        Arc::new(|| serde_json::json!({ "model": "v1" })),
        Orders::default(),
        async move { stopped.await.unwrap() },
    ));
    Server {
        addr,
        metrics,
        health,
        stop,
        task,
    }
}

/// The status, head and body of a GET over a socket of its own.
async fn get(addr: SocketAddr, path: &'static str) -> (u16, String, String) {
    spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_owned(), body.to_owned())
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn metrics_are_served_as_prometheus_text() {
    let server = start().await;
    server.metrics.records.get(Disposition::Outlier).inc_by(7);
    let (status, head, body) = get(server.addr, "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"));
    assert!(head.contains("x-content-type-options: nosniff"));
    assert!(body.contains("outlierd_records_total{disposition=\"outlier\"} 7\n"));
    assert!(body.contains("process_resident_memory_bytes "));
}

#[tokio::test]
async fn readiness_names_every_unmet_condition_on_a_line_of_its_own() {
    let server = start().await;
    server
        .health
        .set(Condition::Broker, Err("no answer\nfor 30 s".to_owned()));
    let (status, _, body) = get(server.addr, "/readyz").await;
    assert_eq!(status, 503);
    assert_eq!(
        body,
        "starting: the line does not run yet\nbroker: no answer for 30 s\n"
    );
    assert!(
        get(server.addr, "/metrics")
            .await
            .2
            .contains("outlierd_ready 0\n")
    );

    server.health.set(Condition::Starting, Ok(()));
    server.health.set(Condition::Broker, Ok(()));
    let (status, _, body) = get(server.addr, "/readyz").await;
    assert_eq!((status, body.as_str()), (200, "ready\n"));
    assert!(
        get(server.addr, "/metrics")
            .await
            .2
            .contains("outlierd_ready 1\n")
    );
}

#[tokio::test]
async fn liveness_turns_false_when_the_line_stands_still() {
    let server = start().await;
    let (status, _, body) = get(server.addr, "/livez").await;
    assert_eq!((status, body.as_str()), (200, "alive\n"));

    server.health.beat(Instant::now());
    let old = Instant::now() + Duration::from_millis(5);
    while Instant::now() < old {
        tokio::task::yield_now().await;
    }
    let (status, _, body) = get(server.addr, "/livez").await;
    assert_eq!(status, 503);
    assert!(body.starts_with("the line stands still"), "{body}");
}

#[tokio::test]
async fn status_is_json_and_the_index_names_every_path() {
    let server = start().await;
    let (status, head, body) = get(server.addr, "/status").await;
    assert_eq!((status, body.as_str()), (200, "{\"model\":\"v1\"}"));
    assert!(head.contains("content-type: application/json"));

    let (_, _, index) = get(server.addr, "/").await;
    for path in ["/metrics", "/livez", "/readyz", "/status"] {
        assert!(index.contains(path), "{path}");
    }
    assert_eq!(get(server.addr, "/other").await.0, 404);
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_does_not_hold_up_a_stop() {
    let server = start().await;
    let mut stuck = TcpStream::connect(server.addr).unwrap();
    stuck.write_all(b"GET /metr").unwrap();
    // An answer on another connection shows that the first one was accepted.
    assert_eq!(get(server.addr, "/livez").await.0, 200);

    server.stop.send(()).unwrap();
    let ended = timeout(Duration::from_secs(10), server.task).await;
    assert!(ended.unwrap().unwrap().is_ok());
    assert!(TcpStream::connect(server.addr).is_err());
}
