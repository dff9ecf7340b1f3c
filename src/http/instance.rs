//! A running instance, asked over its HTTP.

use std::io::ErrorKind;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{Response, Uri};
use ureq::{Agent, Body};

use super::models::{self, PATIENCE};
use crate::config::Secret;
use crate::registry::{Hand, Ledger};

/// To connect may take so long.
const CONNECT: Duration = Duration::from_secs(5);

/// An answer may take so long beyond what it is to wait for.
const ANSWER: Duration = Duration::from_secs(60);

/// One instance, and the token that it wants.
pub struct Instance {
    /// `http://HOST:PORT`.
    address: String,
    token: Option<Secret>,
    agent: Agent,
}

/// Why an instance has not done what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    // Neither repeats what was given: a password may stand in it.
    #[error("what was given is no address of an instance: write it as http://10.0.0.7:9464")]
    Address,
    #[error(
        "an instance answers http and no https: ask it by its own address, or through a tunnel"
    )]
    Tls,
    #[error("{0} wants the token of its http.token: set OUTLIERD_TOKEN, or give --token-file")]
    NoToken(String),
    #[error("{0:?} is no version of a model, and no beginning of one")]
    Version(String),
    #[error("{address} cannot be reached: {source}")]
    Unreached {
        address: String,
        source: Box<ureq::Error>,
    },
    #[error("{address} does not answer: {source}; whether it has done it is not known")]
    Silent {
        address: String,
        source: Box<ureq::Error>,
    },
    #[error("{address} says ({status}): {said}")]
    Refused {
        address: String,
        status: u16,
        said: String,
    },
    #[error("{address} is no outlierd of this version: {source}")]
    Foreign {
        address: String,
        source: serde_json::Error,
    },
}

impl Instance {
    /// The instance at `url`, as `http://HOST:PORT`; nothing is sent yet.
    ///
    /// # Errors
    /// When that is no such address.
    pub fn at(url: &str, token: Option<Secret>) -> Result<Instance, InstanceError> {
        let wrong = || InstanceError::Address;
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(InstanceError::Tls),
            _ => return Err(wrong()),
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        // What is left out of an address must not be left out silently; and a port that is none would be taken for 80.
        let host_alone = authority.as_str() == authority.host();
        let is_plain = host_alone || authority.port_u16().is_some();
        if uri.path() != "/"
            || uri.query().is_some()
            || authority.as_str().contains('@')
            || !is_plain
        {
            return Err(wrong());
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // The token is for the instance alone.
            .proxy(None)
            .timeout_connect(Some(CONNECT))
            .timeout_await_100(Some(ANSWER))
            .build();
        Ok(Instance {
            address: format!("http://{authority}"),
            token,
            agent: agent.into(),
        })
    }

    /// Has it done, and waits for as long as `patience` until every instance has taken it; returns what is said.
    ///
    /// # Errors
    /// When it is not done, or nobody answers.
    pub fn lend(&self, hand: &Hand, patience: Duration) -> Result<String, InstanceError> {
        let is_one = |version: &&str| {
            !version.is_empty() && version.chars().all(|it| it.is_ascii_alphanumeric())
        };
        if let Some(wrong) = hand.version().filter(|version| !is_one(version)) {
            return Err(InstanceError::Version(wrong.to_owned()));
        }
        let path = format!("/models/{}", models::path(hand));
        let wait = ("wait", format!("{}ms", patience.as_millis()));
        self.post(&path, Some(wait), &[], patience)
    }

    /// Has the bytes of a model's file taken in, as a candidate; returns what is said.
    ///
    /// # Errors
    /// When they are no model, or nobody answers.
    pub fn import(&self, model: &[u8]) -> Result<String, InstanceError> {
        self.post("/models/import", None, model, PATIENCE)
    }

    /// Has a model trained; returns what is said, which is before it is done.
    ///
    /// # Errors
    /// When the order is not taken, or nobody answers.
    pub fn retrain(&self) -> Result<String, InstanceError> {
        self.post("/retrain", None, &[], PATIENCE)
    }

    /// As [`Instance::retrain`], on what has come since, whatever the model that serves says of it.
    ///
    /// # Errors
    /// As there.
    pub fn accept(&self, from: Timestamp) -> Result<String, InstanceError> {
        let from = ("from", from.to_string());
        self.post("/models/accept", Some(from), &[], PATIENCE)
    }

    /// The ledger of its store.
    ///
    /// # Errors
    /// When it has none or cannot read it, or nobody answers.
    pub fn ledger(&self) -> Result<Ledger, InstanceError> {
        self.get("/models")
    }

    /// How far the retrain is that it runs, if it runs one.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn training(&self) -> Result<Option<String>, InstanceError> {
        let status: Value = self.get("/status")?;
        let running = &status["retrain"]["running"];
        let phase = running["phase"].as_str();
        Ok(phase.map(|phase| match running["steps"].as_u64() {
            Some(steps) if steps > 0 => {
                format!(
                    "a retrain is at work: {phase}, step {} of {steps}",
                    running["step"]
                )
            }
            _ => format!("a retrain is at work: {phase}"),
        }))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, InstanceError> {
        let request = self.agent.get(format!("{}{path}", self.address));
        let request = request.config().timeout_global(Some(ANSWER)).build();
        let text = self.said(request.call())?;
        serde_json::from_str(&text).map_err(|source| InstanceError::Foreign {
            address: self.address.clone(),
            source,
        })
    }

    fn post(
        &self,
        path: &str,
        query: Option<(&str, String)>,
        body: &[u8],
        patience: Duration,
    ) -> Result<String, InstanceError> {
        let mut request = self.agent.post(format!("{}{path}", self.address));
        if let Some((name, value)) = query {
            request = request.query(name, value);
        }
        let token = self
            .token
            .as_ref()
            .ok_or_else(|| InstanceError::NoToken(self.address.clone()))?;
        request = request.header("Authorization", format!("Bearer {}", token.expose()));
        if !body.is_empty() {
            // Who is refused is told before a long body is sent.
            request = request.header("Expect", "100-continue");
        }
        let limit = Some(patience.saturating_add(ANSWER));
        let request = request.config().timeout_global(limit).build();
        self.said(request.send(body))
    }

    /// What an answer says, if it is one that something was done.
    fn said(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<String, InstanceError> {
        let silent = |source: ureq::Error| {
            let (address, source) = (self.address.clone(), Box::new(source));
            match was_sent(&source) {
                true => InstanceError::Silent { address, source },
                false => InstanceError::Unreached { address, source },
            }
        };
        let mut answer = answer.map_err(silent)?;
        let said = answer.body_mut().read_to_string().map_err(silent)?;
        let said = said.trim_end().to_owned();
        if answer.status().is_success() {
            return Ok(said);
        }
        let said = Some(said).filter(|it| !it.is_empty());
        Err(InstanceError::Refused {
            address: self.address.clone(),
            status: answer.status().as_u16(),
            said: said.unwrap_or_else(|| "there is no such thing".to_owned()),
        })
    }
}

/// Whether a request may have come to the other side before it went wrong.
fn was_sent(error: &ureq::Error) -> bool {
    use ureq::{Error, Timeout};
    match error {
        Error::HostNotFound | Error::ConnectionFailed | Error::BadUri(_) | Error::Http(_) => false,
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => false,
        // Of several addresses the last one's error.
        Error::Io(error) => !matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::AddrNotAvailable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::NetworkDown
        ),
        _ => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_and_nothing_else() {
        for right in ["http://localhost:9464", "http://[::1]:9464/", "http://a"] {
            assert!(Instance::at(right, None).is_ok(), "{right}");
        }
        for wrong in [
            "localhost:9464",
            "ftp://a",
            "http://a/models",
            "http://a?b",
            "http://me:mine@a",
            "https://me:mine@a",
            "http://a:99999",
            "http://a:",
            "http://a:94a4",
            "http://",
            "",
        ] {
            let said = Instance::at(wrong, None).err().map(|it| it.to_string());
            let said = said.unwrap();
            let told = said.contains("http://10.0.0.7:9464") || said.contains("no https");
            assert!(told && !said.contains("mine"), "{wrong}: {said}");
        }
    }

    #[test]
    fn what_is_no_version_is_not_sent() {
        let instance = Instance::at("http://127.0.0.1:1", None).unwrap();
        for wrong in ["", "a/b", "..", "a b", "a?wait=0s"] {
            let refused = instance.lend(&Hand::Pin(wrong.to_owned()), PATIENCE);
            assert!(matches!(refused, Err(InstanceError::Version(_))), "{wrong}");
        }
    }
}
