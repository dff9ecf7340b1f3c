//! A real Apache Kafka on loopback, started from Maven's jars; or the one that `OUTLIERD_TEST_BROKERS` names.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::gates::{GATES, Gates};
use crate::harness::until;
use crate::proxy::Proxy;

const VERSION: &str = "4.1.1";

/// Any id does, as long as all nodes have the same.
const CLUSTER_ID: &str = "b3V0bGllcmQtZmF1bHRzIQ";

/// Which cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    One,
    Three,
    /// One node with TLS, SASL and access rights.
    Secured,
}

/// What a node has beyond the listeners of all.
#[derive(Debug, Default)]
pub struct Listeners {
    /// `NAME://host:port` with a comma before each.
    pub addresses: String,
    /// The same, as clients are told.
    pub advertised: String,
    /// `NAME:PROTOCOL` with a comma before each.
    pub protocols: String,
    pub settings: String,
    /// For the tool that formats the log folders.
    pub format: Vec<String>,
}

/// A cluster, ended when it is dropped if it was started here.
pub struct Cluster {
    pub address: String,
    /// Its ways in for clients that must prove who they are.
    pub gates: Option<Gates>,
    /// A way in that can be disturbed.
    pub proxy: Option<Proxy>,
    nodes: Vec<Node>,
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    _folder: TempDir,
}

struct Node {
    properties: PathBuf,
    log: PathBuf,
    process: Child,
}

impl Cluster {
    /// The given cluster, or one of our own.
    ///
    /// # Errors
    /// Why there can be none here, in words.
    pub fn start(kind: Kind) -> Result<Cluster, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let (mut gates, mut proxy) = (None, None);
        let (address, nodes) = match (kind, std::env::var("OUTLIERD_TEST_BROKERS")) {
            (Kind::Secured, _) => {
                let gates = gates.insert(Gates::new(folder.path(), &free_ports(GATES)?)?);
                launch(1, folder.path(), &gates.listeners())?
            }
            (_, Ok(brokers)) => (brokers, Vec::new()),
            (Kind::One, _) => {
                let port = free_ports(1)?[0];
                let broker = SocketAddr::from(([127, 0, 0, 1], port));
                let before = Proxy::before(broker).map_err(|error| error.to_string())?;
                let proxied = Listeners {
                    addresses: format!(",PROXIED://{broker}"),
                    advertised: format!(",PROXIED://{}", before.address),
                    protocols: ",PROXIED:PLAINTEXT".into(),
                    ..Listeners::default()
                };
                proxy = Some(before);
                launch(1, folder.path(), &proxied)?
            }
            (Kind::Three, _) => launch(3, folder.path(), &Listeners::default())?,
        };
        let admin = ClientConfig::new()
            .set("bootstrap.servers", &address)
            .create()
            .map_err(|error| format!("{address}: {error}"))?;
        let cluster = Cluster {
            address,
            gates,
            proxy,
            nodes,
            admin,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .map_err(|error| error.to_string())?,
            _folder: folder,
        };
        cluster.wait();
        Ok(cluster)
    }

    /// Whether its nodes may be killed.
    pub fn is_ours(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Waits until every node answers.
    #[track_caller]
    pub fn wait(&self) {
        let asking: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .create()
            .unwrap();
        until("the brokers", || {
            let metadata = asking.fetch_metadata(None, Duration::from_secs(2)).ok()?;
            (metadata.brokers().len() >= self.nodes.len().max(1)).then_some(())
        });
    }

    /// Makes a topic with these settings, and waits until it is there.
    pub fn make(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let replicas = TopicReplication::Fixed(self.nodes.len().max(1) as i32);
        let mut wanted = NewTopic::new(topic, partitions, replicas);
        for (key, value) in settings {
            wanted = wanted.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        let made = self
            .runtime
            .block_on(self.admin.create_topics([&wanted], &options))
            .unwrap();
        made[0].as_ref().unwrap();
    }

    pub fn remove(&self, topics: &[&str]) {
        let options = AdminOptions::new();
        self.runtime
            .block_on(self.admin.delete_topics(topics, &options))
            .unwrap();
    }

    /// Deletes the records of `topic` below an offset, by partition, as retention does.
    pub fn delete_below(&self, topic: &str, offsets: &BTreeMap<i32, i64>) {
        let mut list = TopicPartitionList::new();
        for (&partition, &offset) in offsets {
            let offset = Offset::Offset(offset);
            list.add_partition_offset(topic, partition, offset).unwrap();
        }
        let deleting = self.admin.delete_records(&list, &AdminOptions::new());
        let deleted = self.runtime.block_on(deleting).unwrap();
        for element in deleted.elements() {
            element.error().unwrap();
        }
    }

    /// Sets how long a message of `topic` may be, in bytes.
    pub fn limit(&self, topic: &str, bytes: usize) {
        let bytes = bytes.to_string();
        let topic = ResourceSpecifier::Topic(topic);
        let wanted = AlterConfig::new(topic).set("max.message.bytes", &bytes);
        let altering = self.admin.alter_configs([&wanted], &AdminOptions::new());
        self.runtime.block_on(altering).unwrap()[0]
            .as_ref()
            .unwrap();
    }

    /// Deletes a topic, and waits until it is gone.
    pub fn remove_whole(&self, topic: &str) {
        self.remove(&[topic]);
        let asking: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .create()
            .unwrap();
        until("a topic to be gone", || {
            let patience = Duration::from_secs(10);
            let metadata = asking.fetch_metadata(Some(topic), patience).ok()?;
            metadata.topics()[0].partitions().is_empty().then_some(())
        });
    }

    /// Runs a tool of Kafka's against the first node.
    #[track_caller]
    pub fn tool(&self, class: &str, arguments: &[&str]) {
        let ran = java(class)
            .args(["--bootstrap-server", &self.address])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        let wrong = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{class}: {said}{wrong}");
    }

    pub fn kill(&mut self, node: usize) {
        let process = &mut self.nodes[node].process;
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub fn start_again(&mut self, node: usize) {
        let Node {
            properties, log, ..
        } = &self.nodes[node];
        self.nodes[node].process = serve(properties, log).unwrap();
    }

    /// Kills a node and waits until it is back.
    pub fn restart(&mut self, node: usize) {
        self.kill(node);
        self.start_again(node);
        self.wait();
    }

    /// SIGSTOP or SIGCONT.
    pub fn signal(&self, node: usize, signal: Signal) {
        kill_process(Pid::from_child(&self.nodes[node].process), signal).unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.process.kill().ok();
            node.process.wait().ok();
        }
    }
}

fn launch(count: usize, folder: &Path, more: &Listeners) -> Result<(String, Vec<Node>), String> {
    jars()?;
    let ports = free_ports(2 * count)?;
    let at = |index: usize| format!("127.0.0.1:{}", ports[index]);
    let mut nodes = Vec::new();
    for node in 0..count {
        let own = folder.join(node.to_string());
        std::fs::create_dir(&own).map_err(|error| error.to_string())?;
        let (properties, log) = (own.join("server.properties"), own.join("server.log"));
        let voters: Vec<String> = (0..count)
            .map(|other| format!("{}@{}", other + 1, at(2 * other + 1)))
            .collect();
        let (clients, controllers) = (at(2 * node), at(2 * node + 1));
        let text = settings(node + 1, &clients, &controllers, &voters, &own, more);
        std::fs::write(&properties, text).map_err(|error| error.to_string())?;
        let file = properties.display().to_string();
        let formatted = java("kafka.tools.StorageTool")
            .args(["format", "-t", CLUSTER_ID, "-c", &file])
            .args(&more.format)
            .output()
            .map_err(|error| format!("java: {error}"))?;
        if !formatted.status.success() {
            return Err(String::from_utf8_lossy(&formatted.stderr).into_owned());
        }
        nodes.push(Node {
            process: serve(&properties, &log)?,
            properties,
            log,
        });
    }
    let addresses: Vec<String> = (0..count).map(|node| at(2 * node)).collect();
    Ok((addresses.join(","), nodes))
}

/// Everything that makes tests wait is short.
fn settings(
    id: usize,
    clients: &str,
    controllers: &str,
    voters: &[String],
    folder: &Path,
    more: &Listeners,
) -> String {
    let Listeners {
        addresses,
        advertised,
        protocols,
        settings,
        ..
    } = more;
    let (voters, folder) = (voters.join(","), folder.display());
    let copies = voters.split(',').count();
    let in_sync = copies.div_ceil(2);
    format!(
        "process.roles=broker,controller
node.id={id}
listeners=PLAINTEXT://{clients},CONTROLLER://{controllers}{addresses}
advertised.listeners=PLAINTEXT://{clients}{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
controller.quorum.voters={voters}
log.dirs={folder}/data
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=3
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=3
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=3000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=300
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
{settings}"
    )
}

fn serve(properties: &Path, log: &Path) -> Result<Child, String> {
    let log = File::options().create(true).append(true).open(log);
    let log = log.map_err(|error| error.to_string())?;
    let (out, errors) = (log.try_clone().map_err(|error| error.to_string())?, log);
    java("kafka.Kafka")
        .arg(properties)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        .spawn()
        .map_err(|error| format!("java: {error}"))
}

fn java(class: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults");
    let mut command = Command::new("java");
    command
        .args(["-Xmx512m", "-XX:+UseSerialGC", "-cp"])
        .arg(format!("{}/*", libraries().display()))
        .arg(format!(
            "-Dlog4j2.configurationFile=file:{}/log4j2.xml",
            here.display()
        ))
        .arg(class);
    command
}

fn libraries() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kafka-and-tools-{VERSION}"))
}

/// Fetches Kafka's jars, once.
fn jars() -> Result<(), String> {
    let (libraries, whole) = (libraries(), libraries().join("whole"));
    if whole.exists() {
        return Ok(());
    }
    let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/pom.xml");
    let fetched = Command::new("mvn")
        .args([
            "-q",
            "-B",
            "dependency:copy-dependencies",
            "-DincludeScope=runtime",
            "-f",
        ])
        .arg(pom)
        .arg(format!("-DoutputDirectory={}", libraries.display()))
        .output()
        .map_err(|error| format!("mvn, which fetches Kafka, cannot be run: {error}"))?;
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stdout);
        return Err(format!("mvn could not fetch Kafka: {said}"));
    }
    std::fs::write(whole, "").map_err(|error| error.to_string())
}

/// Ports that nobody had a moment ago.
fn free_ports(count: usize) -> Result<Vec<u16>, String> {
    let held: Result<Vec<TcpListener>, _> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect();
    let held = held.map_err(|error| error.to_string())?;
    let ports = held
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()));
    let ports: std::io::Result<Vec<u16>> = ports.collect();
    ports.map_err(|error| error.to_string())
}
