//! librdkafka's in-process cluster, with faults on demand.

use std::sync::mpsc;
use std::thread::JoinHandle;

use rdkafka::ClientConfig;
use rdkafka::bindings;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

/// A group notices a killed member after this long, and one that lives says so this often. The
/// cluster's own 30 s and 3 s would make every kill a wait.
const SESSION_MS: i32 = 2000;
const HEARTBEAT_MS: i32 = 100;

/// More errors than any test uses up: an API refuses until it is told to take again.
const FOR_GOOD: usize = 100_000;

type Cluster<'a> = MockCluster<'a, DefaultProducerContext>;
type Order = Box<dyn FnOnce(&Cluster<'_>) + Send>;

/// A one-node cluster on a free loopback port, alive as long as this value.
pub struct Broker {
    pub address: String,
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Starts a cluster with `topics`, each with so many partitions.
    pub fn start(topics: &[(&str, i32)]) -> Broker {
        let (orders, inbox) = mpsc::channel::<Order>();
        let (say, address) = mpsc::channel();
        // The cluster cannot change threads: one thread makes it, keeps it and drops it.
        let thread = std::thread::spawn(move || {
            let owner: BaseProducer = ClientConfig::new()
                .set("test.mock.num.brokers", "1")
                .create()
                .unwrap();
            quicken(&owner);
            let cluster = owner.client().mock_cluster().unwrap();
            say.send(cluster.bootstrap_servers()).unwrap();
            for order in inbox {
                order(&cluster);
            }
        });
        let broker = Broker {
            address: address.recv().unwrap(),
            orders: Some(orders),
            thread: Some(thread),
        };
        for &(topic, partitions) in topics {
            let topic = topic.to_owned();
            broker.order(move |cluster| cluster.create_topic(&topic, partitions, 1).unwrap());
        }
        broker
    }

    /// Has `api` refuse every request with `error`, until [`Broker::take_again`].
    pub fn refuse(&self, api: RDKafkaApiKey, error: RDKafkaRespErr) {
        self.order(move |cluster| cluster.request_errors(api, &vec![error; FOR_GOOD]));
    }

    /// Has `api` refuse its next request with `error`.
    pub fn refuse_once(&self, api: RDKafkaApiKey, error: RDKafkaRespErr) {
        self.order(move |cluster| cluster.request_errors(api, &[error]));
    }

    pub fn take_again(&self, api: RDKafkaApiKey) {
        self.order(move |cluster| cluster.clear_request_errors(api));
    }

    /// Cuts all connections and takes no new ones.
    pub fn down(&self) {
        self.order(|cluster| cluster.broker_down(-1).unwrap());
    }

    pub fn up(&self) {
        self.order(|cluster| cluster.broker_up(-1).unwrap());
    }

    fn order(&self, order: impl FnOnce(&Cluster<'_>) + Send + 'static) {
        let (done, wait) = mpsc::channel();
        let order: Order = Box::new(move |cluster| {
            order(cluster);
            done.send(()).unwrap();
        });
        self.orders.as_ref().unwrap().send(order).unwrap();
        wait.recv().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.orders.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// rdkafka's safe layer does not have these two settings.
#[allow(unsafe_code)]
fn quicken(owner: &BaseProducer) {
    // SAFETY: the handle belongs to `owner`, which lives; librdkafka guards the cluster by a lock
    // of its own, and takes any number.
    unsafe {
        let cluster = bindings::rd_kafka_handle_mock_cluster(owner.client().native_ptr());
        bindings::rd_kafka_mock_set_group_consumer_session_timeout_ms(cluster, SESSION_MS);
        bindings::rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(cluster, HEARTBEAT_MS);
    }
}
