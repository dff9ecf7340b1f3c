//! `[retrain]`: when a model is trained anew, and what a new one must be.

use std::path::PathBuf;
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;

use super::error::Wrong;
use super::model::file;
use super::quantity::{bytes, duration, number, one_of, whole};
use super::section::Section;
use super::source::Surroundings;

const MINUTE: Duration = Duration::from_secs(60);
const YEAR: Duration = Duration::from_secs(366 * 86400);

/// `[retrain]`: when a model is trained anew, and what a new one must be.
#[derive(Debug, Clone, PartialEq)]
pub struct Retrain {
    /// A slot is due by any of these; none: on request alone.
    pub when: Vec<When>,
    /// Whether one is trained when the stream drifts.
    pub on_drift: bool,
    /// A drift has to last so long for that.
    pub drift_for: Duration,
    /// Whether the first model is trained by `run`, where there is none.
    pub bootstrap: bool,
    /// A retrain begins up to so much after its slot.
    pub jitter: Duration,
    /// Rows that the model that serves finds odder than this (-log10 p) are not fitted on.
    pub leave_out_severity: f64,
    /// Share of the rows, in stretches over the whole time, that the gate measures on.
    pub gate_share: f64,
    /// Networks that are trained at the same time.
    pub threads: usize,
    /// Bytes of memory that it may take.
    pub memory: Option<usize>,
    /// Records with settled verdicts, which the gate tries.
    pub cases: Option<PathBuf>,
    /// Whether a candidate that passes the gate serves at once.
    pub promote: bool,
    /// So long one is tried beside what serves before it takes over.
    pub shadow: Option<Duration>,
    pub gate: Gate,
}

/// The slots of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    /// So far apart.
    Every(Duration),
    /// A cron expression, and the time zone that it is meant in.
    Cron { expression: String, zone: String },
}

/// What the gate of a retrain allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// Nats a row that a candidate may explain less than what serves.
    pub elbo_tolerance: f64,
    /// The flag rate lies within this factor of the budget.
    pub flag_rate_factor: f64,
    /// The mean difference of a row's severity beside what serves.
    pub severity_shift: f64,
}

const SWITCH: [(&str, bool); 2] = [("true", true), ("false", false)];

impl Retrain {
    pub(super) fn read(mut section: Section<'_>, surroundings: &Surroundings) -> Option<Self> {
        let every = section.optional("every", duration(10 * MINUTE..=YEAR));
        let schedule = section.optional("schedule", expression);
        let zone = section.or("time_zone", "UTC", zone);
        let on_drift = section.or("on_drift", "false", one_of(&SWITCH));
        let lasting = duration(Duration::ZERO..=YEAR);
        let drift_for = section.or("drift_for", "10m", lasting);
        let bootstrap = section.or("bootstrap", "false", one_of(&SWITCH));
        let jitter = section.or("jitter", "1m", duration(Duration::ZERO..=60 * MINUTE));
        let severities = number(|it| (1.0..=300.0).contains(&it), "from 1 to 300");
        let leave_out_severity = section.or("leave_out_severity", "4", severities);
        let shares = number(|share| (0.02..=0.5).contains(&share), "from 0.02 to 0.5");
        let gate_share = section.or("gate_share", "0.1", shares);
        let threads = section.or("threads", "1", whole(1..=256));
        let memory = section.optional("memory", bytes(256 << 20..=1 << 50));
        let cases = section.optional("cases", file("cases.ndjson"));
        let promote = section.or("promote", "true", one_of(&SWITCH));
        let shadow = section.optional("shadow", duration(Duration::from_secs(1)..=YEAR));
        let limits = || number(|limit| limit >= 0.0, "0 or more");
        let elbo_tolerance = section.or("elbo_tolerance", "1", limits());
        let factors = number(|it| (1.0..=1000.0).contains(&it), "from 1 to 1000");
        let flag_rate_factor = section.or("flag_rate_factor", "3", factors);
        let severity_shift = section.or("severity_shift", "0.5", limits());
        section.finish();
        let (every, zone) = (every?.map(When::Every), zone?);
        let by_cron = schedule?.map(|expression| When::Cron { expression, zone });
        Some(Self {
            when: every.into_iter().chain(by_cron).collect(),
            on_drift: on_drift?,
            drift_for: drift_for?,
            bootstrap: bootstrap?,
            jitter: jitter?,
            leave_out_severity: leave_out_severity?,
            gate_share: gate_share?,
            threads: threads?,
            memory: memory?,
            cases: cases?.map(|path| surroundings.folder.join(path)),
            promote: promote?,
            shadow: shadow?,
            gate: Gate {
                elbo_tolerance: elbo_tolerance?,
                flag_rate_factor: flag_rate_factor?,
                severity_shift: severity_shift?,
            },
        })
    }
}

fn expression(text: &str) -> Result<String, Wrong> {
    let parsed = text.parse::<Cron>();
    parsed.map(|_| text.to_owned()).map_err(|error| {
        let problem = format!("is no cron expression ({error})");
        Wrong::new(
            problem,
            "write five fields: \"0 3 * * *\" is every day at 3:00",
        )
    })
}

fn zone(text: &str) -> Result<String, Wrong> {
    let found = TimeZone::get(text);
    found.map(|_| text.to_owned()).map_err(|_| {
        Wrong::new(
            "is no time zone that this system knows",
            "write \"UTC\" or a name such as \"Europe/Berlin\"",
        )
    })
}
