use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as Asked, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::*;
use crate::registry::Store;

/// What S3 does of what is asked here, conditions included.
#[derive(Default)]
struct Bucket {
    objects: Mutex<HashMap<String, (u64, Bytes)>>,
    puts: AtomicUsize,
    refused: AtomicUsize,
}

type Shared = State<Arc<Bucket>>;

async fn read(State(bucket): Shared, Asked(key): Asked<String>) -> Response {
    match bucket.objects.lock().unwrap().get(&key) {
        Some((tag, bytes)) => {
            ([(header::ETAG, format!("\"{tag}\""))], bytes.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn write(
    State(bucket): Shared,
    Asked(key): Asked<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let mut objects = bucket.objects.lock().unwrap();
    let known = objects.get(&key).map(|(tag, _)| format!("\"{tag}\""));
    let wanted = headers
        .get(header::IF_MATCH)
        .map(|tag| tag.to_str().unwrap());
    let other = wanted.is_some_and(|tag| known.as_deref() != Some(tag));
    let there = headers.contains_key(header::IF_NONE_MATCH) && known.is_some();
    if other || there {
        bucket.refused.fetch_add(1, Ordering::Relaxed);
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let tag = bucket.puts.fetch_add(1, Ordering::Relaxed) as u64;
    objects.insert(key, (tag, bytes));
    ([(header::ETAG, format!("\"{tag}\""))]).into_response()
}

async fn remove(State(bucket): Shared, Asked(key): Asked<String>) -> StatusCode {
    bucket.objects.lock().unwrap().remove(&key);
    StatusCode::NO_CONTENT
}

/// A bucket on loopback for as long as the process lives, and its address.
fn bucket() -> (Arc<Bucket>, String) {
    let bucket = Arc::new(Bucket::default());
    let router = Router::new()
        .route("/bucket/{*key}", get(read).put(write).delete(remove))
        .with_state(Arc::clone(&bucket));
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
    });
    (bucket, format!("http://{}", address.recv().unwrap()))
}

/// As an instance of its own has it.
fn store(endpoint: &str) -> Store {
    let client = AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("nowhere")
        .with_access_key_id("me")
        .with_secret_access_key("hush")
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .build()
        .unwrap();
    let objects = Objects::new("s3://bucket/models");
    let client = Client {
        store: client,
        prefix: Path::from("models"),
        runtime: runtime().unwrap(),
    };
    *objects.client.lock().unwrap() = Some(Arc::new(client));
    Store::on(Arc::new(objects))
}

#[test]
fn of_writers_at_once_none_undoes_what_another_did() {
    let (bucket, endpoint) = bucket();
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let endpoint = &endpoint;
            scope.spawn(move || {
                let store = store(endpoint);
                for model in 0..6 {
                    let version = format!("{writer}{model}");
                    let changed = store.change(|ledger, now| {
                        ledger.add(&version, None, now);
                        Ok(ledger.promote(&version, now)?)
                    });
                    changed.unwrap();
                }
            });
        }
    });
    let ledger = store(&endpoint).ledger().unwrap();
    assert_eq!((ledger.models.len(), ledger.archived().count()), (18, 17));
    assert!(
        bucket.refused.load(Ordering::Relaxed) > 0,
        "nobody met another"
    );
}

#[test]
fn the_right_to_train_is_one_instances_until_it_lets_it_go() {
    let (_, endpoint) = bucket();
    let (one, other) = (store(&endpoint), store(&endpoint));
    let trainer = one.trainer().unwrap().unwrap();
    assert!(other.trainer().unwrap().is_none());
    trainer.release(&one).unwrap();
    assert!(other.trainer().unwrap().is_some());
}

#[test]
fn what_is_not_there_and_who_does_not_answer_are_told_apart() {
    let (_, endpoint) = bucket();
    assert!(matches!(
        store(&endpoint).load("ab"),
        Err(ModelError::Missing(_))
    ));
    let gone = store("http://127.0.0.1:1").ledger().unwrap_err();
    assert!(gone.is_unreachable(), "{gone}");
}
