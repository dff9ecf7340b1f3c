//! Proof of who one is: what works, what is refused and how that is said, and what is renewed meanwhile.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use super::instances::stop;
use crate::gates::{GUEST, Gates, OWNER, PHRASE, password};
use crate::harness::{Outlierd, Setup, outlierd_with, until};
use crate::scene::Scene;

/// Within this time everything that keeps a client out is said.
const SAID: Duration = Duration::from_secs(10);

const RENEWED: &str = "renewed-for-the-tests";

fn gates<'a>(scene: &'a Scene<'_>) -> &'a Gates {
    scene.cluster.gates.as_ref().unwrap()
}

pub fn plain(scene: &mut Scene<'_>) -> String {
    let setup = gates(scene).sasl(scene.instance("a"), "PLAIN", OWNER);
    works(scene, &setup)
}

pub fn scram_256(scene: &mut Scene<'_>) -> String {
    let setup = gates(scene).sasl(scene.instance("a"), "SCRAM-SHA-256", OWNER);
    works(scene, &setup)
}

pub fn scram_512(scene: &mut Scene<'_>) -> String {
    let setup = gates(scene).sasl(scene.instance("a"), "SCRAM-SHA-512", OWNER);
    works(scene, &setup)
}

pub fn mutual(scene: &mut Scene<'_>) -> String {
    let setup = gates(scene).mutual(scene.instance("a"));
    works(scene, &setup)
}

pub fn bearer(scene: &mut Scene<'_>) -> String {
    let setup = gates(scene).bearer(scene.instance("a"), &token_endpoint());
    works(scene, &setup)
}

fn works(scene: &mut Scene<'_>, setup: &Setup) -> String {
    scene.feed(1.0);
    let mut daemon = Outlierd::start_ready(setup);
    scene.wait_all();
    stop(&mut daemon);
    assert_no_secret(&daemon.stderr());
    "nothing was to fire".into()
}

/// Every kind of a closed door: the daemon ends at once and names the setting, as `check` does.
pub fn refusals(scene: &mut Scene<'_>) -> String {
    let gates = gates(scene);
    let instance = || scene.instance("a");
    let scram = |user| gates.sasl(instance(), "SCRAM-SHA-512", user);
    let file = |name: &str| format!("{:?}", gates.path(name).display().to_string());
    let property = |setup: Setup, key: &str, value: &str| setup.set("kafka.properties", key, value);
    let wrong = |setup: Setup| {
        std::fs::write(setup.path("password"), "quite-another").unwrap();
        setup
    };
    let anonymous = gates.mutual(instance());
    let anonymous = anonymous
        .set("kafka.properties", "ssl.certificate.location", "")
        .set("kafka.properties", "ssl.key.location", "")
        .set("kafka.secrets", "ssl.key.password", "");
    let doors = [
        ("wrong password", wrong(scram(OWNER)), "\"sasl.password\""),
        (
            "wrong password, PLAIN",
            wrong(gates.sasl(instance(), "PLAIN", OWNER)),
            "\"sasl.password\"",
        ),
        (
            "no mechanism",
            scram(OWNER).set("kafka.properties", "sasl.mechanism", ""),
            "\"sasl.mechanism\"",
        ),
        (
            "wrong secret for a token",
            wrong(gates.bearer(instance(), &token_endpoint())),
            "\"sasl.oauthbearer.client.secret\"",
        ),
        (
            "unknown authority",
            property(scram(OWNER), "ssl.ca.location", &file("stranger.pem")),
            "\"ssl.ca.location\"",
        ),
        (
            "expired certificate",
            gates.expired(instance()),
            "its certificate expired on ",
        ),
        (
            "another host's certificate",
            gates.elsewhere(instance()),
            "its certificate is for 127.0.0.2, not for 127.0.0.1: name the broker in kafka.brokers",
        ),
        ("no rights", scram(GUEST), "\"sasl.username\""),
    ];
    let mut said = Vec::new();
    for (door, setup, names) in &doors {
        let began = Instant::now();
        let ended = setup.run_to_its_end();
        let took = began.elapsed();
        let text = &ended.stderr;
        assert_eq!(ended.status.code(), Some(1), "{door}: {text}");
        assert!(text.contains(names), "{door}: {names} is not named: {text}");
        assert!(took < SAID, "{door} took {took:?}");
        let path = setup.write();
        let environment = [("PHRASE", PHRASE)];
        let checked = outlierd_with(&environment, &["check", "-c", path.to_str().unwrap()]);
        let shown = checked.stdout + &checked.stderr;
        assert!(shown.contains("FAULT"), "{door}: {shown}");
        assert!(
            shown.contains(names),
            "{door}: {names} is not named: {shown}"
        );
        assert_no_secret(text);
        assert_no_secret(&shown);
        said.push(format!("{door} {:.1} s", took.as_secs_f64()));
    }
    // A broker that hangs up may only be about to go: this is said, and waited out.
    let plaintext = scram(OWNER)
        .set("kafka.properties", "sasl.mechanism", "")
        .set("kafka.properties", "security.protocol", "\"plaintext\"");
    // And whether its last word is heard, that it misses a certificate, is a matter of chance.
    for (door, setup, names) in [
        ("another protocol", plaintext, "\"security.protocol\""),
        ("no certificate", anonymous, "\"ssl.certificate.location\""),
    ] {
        let began = Instant::now();
        let daemon = Outlierd::start(&setup);
        until(names, || daemon.stderr().contains(names).then_some(()));
        let took = began.elapsed();
        assert!(took < SAID, "{door} took {took:?}");
        said.push(format!("{door} {:.1} s", took.as_secs_f64()));
    }
    let setup = scram(OWNER);
    works(scene, &setup);
    format!("said: {}", said.join(", "))
}

/// Rights are granted one after the other, and each that lacks is named; with all of them it works.
pub fn rights(scene: &mut Scene<'_>) -> String {
    scene.feed(1.0);
    let setup = gates(scene).sasl(scene.instance("a"), "SCRAM-SHA-512", GUEST);
    let grant = |operation: &str, kind: &str, name: &str| {
        let whom = format!("User:{GUEST}");
        let what = ["--operation", operation, kind, name];
        let arguments = [&["--add", "--allow-principal", &whom][..], &what].concat();
        scene
            .cluster
            .tool("org.apache.kafka.tools.AclCommand", &arguments);
    };
    let input = scene.topic("");
    grant("Read", "--topic", &input);
    let ended = setup.run_to_its_end();
    let said = &ended.stderr;
    let outliers = scene.topic(".outliers");
    assert!(said.contains(&format!("topic {outliers}: ")), "{said}");
    let outputs = [outliers.as_str(), &scene.topic(".dead-letters")];
    for topic in outputs {
        grant("Describe", "--topic", topic);
    }
    let ended = setup.run_to_its_end();
    let said = &ended.stderr;
    assert!(
        said.contains(&format!("group {input}")) && said.contains("READ"),
        "{said}"
    );
    grant("Read", "--group", &input);
    let ended = setup.run_to_its_end();
    let said = &ended.stderr;
    assert!(
        said.contains(&format!("grant WRITE on {outliers}")),
        "{said}"
    );
    grant("Write", "--topic", outputs[0]);
    // One right to write is enough to begin with: the other topic is waited for.
    let mut daemon = Outlierd::start(&setup);
    let reason = daemon.wait_unready("output");
    assert!(reason.contains("authorization"), "{reason}");
    grant("Write", "--topic", outputs[1]);
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    "every right was missed once".into()
}

/// The password is changed on the cluster, and then in the file; a wrong one in between is said, and waited out.
pub fn renewed_password(scene: &mut Scene<'_>) -> String {
    scene.feed(0.4);
    let setup = gates(scene).sasl(scene.instance("a"), "SCRAM-SHA-512", OWNER);
    let mut daemon = Outlierd::start_ready(&setup);
    scene.wait_committed(0.1);
    let write = |text: &str| std::fs::write(setup.path("password"), text).unwrap();
    let restarts = || daemon.metric("outlierd_line_restarts_total");
    write("quite-another");
    let reason = until("the wrong password to be said", || {
        let body = daemon.get("/readyz").1;
        body.contains("sasl.password").then_some(body)
    });
    assert_no_secret(&reason);
    assert_eq!(daemon.get("/livez").0, 200);
    scene.feed_range(scene.rows(0.4, 0.7));
    set_password(scene, RENEWED);
    write(RENEWED);
    scene.heal();
    scene.wait_committed(0.7);
    set_password(scene, &password(OWNER));
    write(&password(OWNER));
    until("another line", || (restarts() >= 2).then_some(()));
    scene.feed_rest(0.7);
    scene.wait_all();
    let restarts = restarts();
    stop(&mut daemon);
    assert_no_secret(&daemon.stderr());
    format!("{restarts} times new clients, one password wrong")
}

/// The client's certificate is replaced while it works.
pub fn renewed_certificate(scene: &mut Scene<'_>) -> String {
    scene.feed(0.5);
    let gates = gates(scene);
    let setup = gates.mutual(scene.instance("a"));
    let own = |name: &str| setup.path(name).display().to_string();
    let copy = |from: &str, to: &str| std::fs::copy(gates.path(from), own(to)).unwrap();
    for kind in ["crt", "key"] {
        copy(&format!("client.{kind}"), &format!("own.{kind}"));
    }
    let (certificate, key) = (
        format!("{:?}", own("own.crt")),
        format!("{:?}", own("own.key")),
    );
    let renewed = [("renewed.crt", "own.crt"), ("renewed.key", "own.key")];
    let renew = || renewed.map(|(from, to)| copy(from, to));
    let setup = gates
        .mutual(scene.instance("a"))
        .set("kafka.properties", "ssl.certificate.location", &certificate)
        .set("kafka.properties", "ssl.key.location", &key);
    let mut daemon = Outlierd::start_ready(&setup);
    scene.wait_committed(0.1);
    renew();
    until("another line", || {
        (daemon.metric("outlierd_line_restarts_total") >= 1).then_some(())
    });
    scene.feed_rest(0.5);
    scene.heal();
    scene.wait_all();
    stop(&mut daemon);
    assert_no_secret(&daemon.stderr());
    "new clients with a new certificate".into()
}

fn set_password(scene: &Scene<'_>, password: &str) {
    let credentials = format!("SCRAM-SHA-512=[password={password}]");
    let whom = ["--entity-type", "users", "--entity-name", OWNER];
    let arguments = [
        &["--alter", "--add-config", credentials.as_str()][..],
        &whom,
    ]
    .concat();
    scene.cluster.tool("kafka.admin.ConfigCommand", &arguments);
}

#[track_caller]
fn assert_no_secret(text: &str) {
    for secret in [
        &password(OWNER),
        &password(GUEST),
        PHRASE,
        RENEWED,
        "quite-another",
    ] {
        assert!(!text.contains(secret), "a secret is told: {text}");
    }
}

/// Where a token is given for the owner's password; its URL.
fn token_endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the process: nobody asks it any more after the cell.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = vec![0; 1 << 16];
            let length = stream.read(&mut asked).unwrap();
            let secret = encode(&format!("{OWNER}:{}", password(OWNER)));
            let knows = String::from_utf8_lossy(&asked[..length]).contains(&secret);
            let (status, body) = match knows {
                true => (
                    "200 OK",
                    json!({"access_token": token(), "token_type": "bearer", "expires_in": 600}),
                ),
                false => ("401 Unauthorized", json!({"error": "invalid_client"})),
            };
            let body = body.to_string();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    format!("http://{address}/token")
}

/// A JSON web token that nobody signed: brokers take it where nothing else is set.
fn token() -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let part = |value: serde_json::Value| {
        let text = encode(&value.to_string());
        text.replace('+', "-").replace('/', "_").replace('=', "")
    };
    let claims = json!({"sub": OWNER, "iat": now, "exp": now + 600});
    format!("{}.{}.", part(json!({"alg": "none"})), part(claims))
}

#[cfg(feature = "tls")]
fn encode(text: &str) -> String {
    openssl::base64::encode_block(text.as_bytes())
}

/// Without TLS there is no gate to ask for it.
#[cfg(not(feature = "tls"))]
fn encode(_: &str) -> String {
    String::new()
}
