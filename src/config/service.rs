//! `[http]` and `[log]`: how the daemon is watched.

use std::net::SocketAddr;

use super::error::Wrong;
use super::quantity::one_of;
use super::secret::Secret;
use super::section::Section;
use super::source::Surroundings;

/// `[http]`: metrics, health and status.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    pub bind: SocketAddr,
    /// Who knows it may have models retrained.
    pub token: Option<Secret>,
}

/// `[log]`: what is written to standard error.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    pub level: Level,
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Human,
    Json,
}

const LEVELS: [(&str, Level); 4] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

const FORMATS: [(&str, Format); 2] = [("human", Format::Human), ("json", Format::Json)];

impl Http {
    pub(super) fn read(mut section: Section<'_>, surroundings: &Surroundings) -> Option<Self> {
        let bind = section.or("bind", "127.0.0.1:9464", address);
        let token = Secret::optional(&mut section, "token", surroundings, |_| Ok(()));
        section.finish();
        Some(Self {
            bind: bind?,
            token: token?,
        })
    }
}

impl Log {
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let level = section.or("level", "info", one_of(&LEVELS));
        let format = section.or("format", "human", one_of(&FORMATS));
        section.finish();
        Some(Self {
            level: level?,
            format: format?,
        })
    }
}

fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        let remedy = "write an address and a port, \"127.0.0.1:9464\" or \"[::]:9464\"";
        Wrong::new("is not an address with a port", remedy)
    })
}
