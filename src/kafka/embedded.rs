//! librdkafka's in-process cluster, for the demo and the tests.
//!
//! It keeps 5 MiB or 100,000 batches a partition and drops the oldest silently, fakes transactions,
//! and forgets everything when it ends: good for trying the line, no evidence for exactly-once.

use std::sync::mpsc;
use std::thread::JoinHandle;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;

/// A one-node cluster on a free loopback port, alive as long as this value.
pub struct EmbeddedBroker {
    bootstrap: String,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts a cluster with `topics`, each with so many partitions.
    ///
    /// # Errors
    /// When librdkafka cannot start it or make a topic.
    pub fn start(topics: &[(&str, i32)]) -> Result<EmbeddedBroker, KafkaError> {
        let topics: Vec<(String, i32)> = topics
            .iter()
            .map(|(topic, partitions)| ((*topic).to_owned(), *partitions))
            .collect();
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        // The cluster cannot change threads: one thread makes it, keeps it and drops it.
        let thread = std::thread::spawn(move || match make(&topics) {
            Ok(cluster) => {
                if ready.send(Ok(cluster.bootstrap_servers())).is_ok() {
                    // Ends when the owner is dropped.
                    stopped.recv().ok();
                }
            }
            Err(error) => {
                ready.send(Err(error)).ok();
            }
        });
        let bootstrap = started.recv().unwrap_or_else(|_| {
            Err(KafkaError::ClientCreation(
                "the embedded broker's thread ended".into(),
            ))
        })?;
        Ok(EmbeddedBroker {
            bootstrap,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// `host:port` for clients of this or any other process.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

type Cluster = MockCluster<'static, rdkafka::producer::DefaultProducerContext>;

fn make(topics: &[(String, i32)]) -> Result<Cluster, KafkaError> {
    let cluster = MockCluster::new(1)?;
    for (topic, partitions) in topics {
        cluster.create_topic(topic, *partitions, 1)?;
    }
    Ok(cluster)
}
