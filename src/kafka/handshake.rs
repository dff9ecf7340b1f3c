//! A TLS handshake of our own, to say what is wrong with a broker's certificate: to librdkafka an unknown authority, an
//! expired certificate and another host's are one error.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{ConnectConfiguration, SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::{X509, X509StoreContextRef};
use rdkafka::config::ClientConfig;

use super::access::AUTHORITY;
use super::group::lock;

const PATIENCE: Duration = Duration::from_secs(2);

// OpenSSL's x509_vfy.h.
const NOT_YET_VALID: i32 = 9;
const HAS_EXPIRED: i32 = 10;
const HOSTNAME_MISMATCH: i32 = 62;
const IP_ADDRESS_MISMATCH: i32 = 64;

/// What a client with these settings objects to in the certificate of the first broker that shows a bad one, and what to
/// do about it.
pub(super) fn objection(config: &ClientConfig) -> Option<(String, String)> {
    let brokers = config.get("bootstrap.servers")?.split(',');
    brokers.map(str::trim).find_map(|broker| {
        let (host, _) = broker.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        look(config, broker, host)
    })
}

fn look(config: &ClientConfig, broker: &str, host: &str) -> Option<(String, String)> {
    let address = broker.to_socket_addrs().ok()?.next()?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    let objection = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&objection);
    let handshake = prepare(config, move |ok, shown| {
        if !ok {
            lock(&noted).get_or_insert_with(|| Objection::of(shown));
        }
        // Nothing is ever sent on this connection.
        true
    })
    .ok()?;
    handshake.connect(host, stream).ok();
    let objection = lock(&objection).take()?;
    let (what, remedy) = objection.told(host);
    Some((format!("{broker}: its certificate {what}"), remedy))
}

fn prepare(
    config: &ClientConfig,
    verify: impl Fn(bool, &mut X509StoreContextRef) -> bool + Send + Sync + 'static,
) -> Result<ConnectConfiguration, ErrorStack> {
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    match (config.get("ssl.ca.location"), config.get("ssl.ca.pem")) {
        (Some(file), _) => connector.set_ca_file(file)?,
        (None, Some(pem)) => {
            for authority in X509::stack_from_pem(pem.as_bytes())? {
                connector.cert_store_mut().add_cert(authority)?;
            }
        }
        (None, None) => connector.set_default_verify_paths()?,
    }
    connector.set_verify_callback(SslVerifyMode::PEER, verify);
    let checks_host = config.get("ssl.endpoint.identification.algorithm") != Some("none");
    Ok(connector.build().configure()?.verify_hostname(checks_host))
}

/// What OpenSSL says against a certificate.
struct Objection {
    code: i32,
    text: &'static str,
    from: String,
    to: String,
    names: Vec<String>,
}

impl Objection {
    fn of(shown: &X509StoreContextRef) -> Objection {
        let certificate = shown.current_cert();
        let names = certificate.and_then(|certificate| certificate.subject_alt_names());
        let names = names.iter().flatten();
        Objection {
            code: shown.error().as_raw(),
            text: shown.error().error_string(),
            from: certificate.map_or(String::new(), |it| it.not_before().to_string()),
            to: certificate.map_or(String::new(), |it| it.not_after().to_string()),
            names: names
                .filter_map(|name| match (name.dnsname(), name.ipaddress()) {
                    (Some(name), _) => Some(name.to_owned()),
                    (None, address) => address.and_then(dotted),
                })
                .collect(),
        }
    }

    fn told(&self, host: &str) -> (String, String) {
        let Objection { text, from, to, .. } = self;
        match self.code {
            HAS_EXPIRED => (
                format!("expired on {to}"),
                "have the broker's renewed (its \"ssl.keystore.location\"), or check the clock of this machine".into(),
            ),
            NOT_YET_VALID => (
                format!("is not valid before {from}"),
                "check the clock of this machine".into(),
            ),
            HOSTNAME_MISMATCH | IP_ADDRESS_MISMATCH => (
                format!("is for {}, not for {host}", self.names.join(", ")),
                "name the broker in kafka.brokers, and in its \"advertised.listeners\", as its certificate does".into(),
            ),
            _ => (format!("is not trusted ({text})"), AUTHORITY.to_owned()),
        }
    }
}

fn dotted(address: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(address).map(|four| std::net::Ipv4Addr::from(four).to_string());
    let sixteen =
        || <[u8; 16]>::try_from(address).map(|all| std::net::Ipv6Addr::from(all).to_string());
    four.or_else(|_| sixteen()).ok()
}
