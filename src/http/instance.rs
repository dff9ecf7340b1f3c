//! A running instance, asked over its HTTP.

use std::time::Duration;

use jiff::Timestamp;
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
    #[error("{0:?} is no address of an instance: write it as http://10.0.0.7:9464")]
    Address(String),
    #[error(
        "{0}: an instance answers http and no https: ask it by its own address, or through a tunnel"
    )]
    Tls(String),
    #[error("{0:?} is no version of a model, and no beginning of one")]
    Version(String),
    #[error("{address} does not answer: {source}; whether it has done it is not known")]
    Silent {
        address: String,
        source: Box<ureq::Error>,
    },
    #[error("{address} has not done it: {said} ({status})")]
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
        let wrong = || InstanceError::Address(url.to_owned());
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(InstanceError::Tls(url.to_owned())),
            _ => return Err(wrong()),
        }
        // Nothing is left out silently, a user's name and password least of all.
        let authority = uri.authority().ok_or_else(wrong)?.as_str();
        if uri.path() != "/" || uri.query().is_some() || authority.contains('@') {
            return Err(wrong());
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // The token is for the instance alone.
            .proxy(None)
            .timeout_connect(Some(CONNECT))
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
        if let Hand::Promote(version)
        | Hand::Rollback(Some(version))
        | Hand::Pin(version)
        | Hand::Unpin(version)
        | Hand::Delete(version) = hand
            && (version.is_empty() || !version.chars().all(|it| it.is_ascii_alphanumeric()))
        {
            return Err(InstanceError::Version(version.clone()));
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
        let request = self.agent.get(format!("{}/models", self.address));
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
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.expose()));
        }
        let limit = Some(patience.saturating_add(ANSWER));
        let request = request.config().timeout_global(limit).build();
        self.said(request.send(body))
    }

    /// What an answer says, if it is one that something was done.
    fn said(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<String, InstanceError> {
        let silent = |source: ureq::Error| InstanceError::Silent {
            address: self.address.clone(),
            source: Box::new(source),
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
            "http://",
            "",
        ] {
            let said = Instance::at(wrong, None).err().map(|it| it.to_string());
            assert!(said.unwrap().contains("http://10.0.0.7:9464"), "{wrong}");
        }
        let said = Instance::at("https://a", None).err().unwrap().to_string();
        assert!(said.contains("no https"), "{said}");
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
