//! The matrix: each cell a fault, which returns what shows that it fired.

mod brokers;
mod instances;
mod models;
mod pressure;
mod requests;
mod retrains;
mod security;
mod topics;

use crate::cluster::Kind;
use crate::proxy::{Harm, Request};
use crate::scene::{Mode, Scene};

use Mode::{AtLeastOnce, ExactlyOnce};
pub use instances::stop;
use requests::{SECOND, commit, disturb, join, kill_at};

/// Defects that a daemon is given, and the cell and mode that must notice each.
pub const PLANTED: [(&str, &str, Mode); 7] = [
    ("drop-some", "undisturbed", AtLeastOnce),
    ("skip-dead-letter", "undisturbed", AtLeastOnce),
    ("commit-before-delivery", "output-refused", AtLeastOnce),
    ("commit-past-failure", "output-refused", AtLeastOnce),
    ("offsets-apart", "sigkill", ExactlyOnce),
    ("reuse-producer", "end-late", ExactlyOnce),
    ("keep-revoked", "moved-under-load", AtLeastOnce),
];

/// One row of the matrix, or two: one in each mode.
#[derive(Clone, Copy)]
pub struct Cell {
    pub name: &'static str,
    pub run: Run,
    pub modes: &'static [Mode],
    /// Whether it belongs to the quick part.
    pub quick: bool,
    /// Whether a message may come twice where nothing promises that it does not.
    pub may_repeat: bool,
    /// Whether the group uses the classic protocol, in which members assign partitions, and not the newer one.
    pub classic: bool,
    /// Whether the daemons keep an audit, which is then held against the stream.
    pub audited: bool,
    /// Whether it kills, stops or stands before brokers.
    pub needs_nodes: bool,
    pub kind: Kind,
    /// One outlier in so many is long, and what the topic takes, in bytes.
    pub long: Option<(usize, &'static str)>,
}

type Run = fn(&mut Scene<'_>) -> String;

/// The slow part, in both modes, of a fault that may make messages come again.
const fn cell(name: &'static str, run: Run) -> Cell {
    Cell {
        name,
        run,
        modes: &[AtLeastOnce, ExactlyOnce],
        quick: false,
        may_repeat: true,
        classic: false,
        audited: false,
        needs_nodes: false,
        kind: Kind::One,
        long: None,
    }
}

impl Cell {
    const fn quick(self) -> Cell {
        Cell {
            quick: true,
            ..self
        }
    }

    /// Nothing may come twice in either mode.
    const fn strict(self) -> Cell {
        Cell {
            may_repeat: false,
            ..self
        }
    }

    const fn only(self, modes: &'static [Mode]) -> Cell {
        Cell { modes, ..self }
    }

    const fn classic(self) -> Cell {
        Cell {
            classic: true,
            ..self
        }
    }

    const fn audited(self) -> Cell {
        Cell {
            audited: true,
            ..self
        }
    }

    const fn long(self, one_in: usize, limit: &'static str) -> Cell {
        Cell {
            long: Some((one_in, limit)),
            ..self
        }
    }

    /// On a cluster of our own of this kind.
    const fn on(self, kind: Kind) -> Cell {
        Cell {
            needs_nodes: true,
            kind,
            ..self
        }
    }
}

const fn secured(name: &'static str, run: Run) -> Cell {
    cell(name, run).on(Kind::Secured).strict()
}

/// With a proxy before the broker.
const fn disturbed(name: &'static str, run: Run) -> Cell {
    cell(name, run).on(Kind::One)
}

const LEAST: &[Mode] = &[AtLeastOnce];
const ONCE: &[Mode] = &[ExactlyOnce];

pub const CELLS: &[Cell] = &[
    cell("undisturbed", instances::undisturbed).strict().quick(),
    cell("sigkill", instances::sigkill),
    cell("audited-sigkill", instances::sigkill)
        .audited()
        .quick(),
    cell("audited-rolling", instances::rolling_restart)
        .audited()
        .strict(),
    cell("sigterm", instances::sigterm).strict(),
    cell("sigstop", instances::sigstop),
    cell("come-and-go", instances::come_and_go).strict().quick(),
    cell("rolling-restart", instances::rolling_restart).strict(),
    cell("moved-under-load", instances::moved_under_load).strict(),
    cell("models-change", models::models_change).audited(),
    cell("models-change-in-kafka", models::models_change_in_kafka).audited(),
    cell("retrains", retrains::retrains).audited().only(ONCE),
    cell("classic-moved-under-load", instances::moved_under_load)
        .classic()
        .strict(),
    cell("classic-come-and-go", instances::come_and_go)
        .classic()
        .strict(),
    cell("classic-range", instances::range).classic().strict(),
    cell("static-members", instances::static_members).strict(),
    cell("classic-static-members", instances::static_members)
        .classic()
        .strict(),
    cell("classic-sigkill", instances::sigkill).classic(),
    cell("classic-sigstop", instances::sigstop).classic(),
    cell("one-name-twice", instances::one_name_twice)
        .only(ONCE)
        .quick(),
    cell("transaction-expires", instances::transaction_expires).only(ONCE),
    cell("poison", instances::poison).quick(),
    cell("too-large", topics::too_large)
        .long(5, "8000")
        .strict(),
    cell("retention-overrun", topics::retention_overrun)
        .strict()
        .quick(),
    cell("topic-made-anew", topics::topic_made_anew).strict(),
    cell("output-refused", topics::output_refused).quick(),
    cell("output-in-turns", topics::output_in_turns).strict(),
    cell("many-keys", pressure::many_keys).strict(),
    cell("throttled", pressure::throttled)
        .strict()
        .on(Kind::One),
    cell("clock-jumps", pressure::clock_jumps).strict(),
    disturbed("killed-before-delivery", |scene| {
        kill_at(scene, Request::Produce, Harm::Swallowed)
    }),
    // The messages are there, and nobody has heard of it.
    disturbed("killed-before-report", |scene| {
        kill_at(scene, Request::Produce, Harm::Unanswered)
    }),
    disturbed("killed-before-commit", |scene| {
        kill_at(scene, commit(scene), Harm::Swallowed)
    }),
    disturbed("killed-before-end", |scene| {
        kill_at(scene, Request::EndTxn, Harm::Swallowed)
    })
    .only(ONCE),
    // The transaction is committed, and nobody has heard of it.
    disturbed("killed-after-end", |scene| {
        kill_at(scene, Request::EndTxn, Harm::Unanswered)
    })
    .only(ONCE),
    disturbed("produce-cut", |scene| {
        disturb(scene, Request::Produce, Harm::Cut)
    }),
    disturbed("produce-unanswered", |scene| {
        disturb(scene, Request::Produce, Harm::Unanswered)
    }),
    disturbed("produce-swallowed", |scene| {
        disturb(scene, Request::Produce, Harm::Swallowed)
    }),
    disturbed("produce-delayed", |scene| {
        disturb(scene, Request::Produce, Harm::Delayed(SECOND))
    }),
    disturbed("commit-cut", |scene| {
        disturb(scene, commit(scene), Harm::Cut)
    }),
    disturbed("commit-unanswered", |scene| {
        disturb(scene, commit(scene), Harm::Unanswered)
    }),
    disturbed("commit-swallowed", |scene| {
        disturb(scene, commit(scene), Harm::Swallowed)
    }),
    // Offsets that come again when later ones are there already.
    disturbed("commit-late", |scene| {
        disturb(scene, commit(scene), Harm::Late(SECOND))
    }),
    disturbed("end-cut", |scene| {
        disturb(scene, Request::EndTxn, Harm::Cut)
    })
    .only(ONCE),
    disturbed("end-unanswered", |scene| {
        disturb(scene, Request::EndTxn, Harm::Unanswered)
    })
    .only(ONCE),
    disturbed("end-swallowed", |scene| {
        disturb(scene, Request::EndTxn, Harm::Swallowed)
    })
    .only(ONCE),
    disturbed("end-delayed", |scene| {
        disturb(scene, Request::EndTxn, Harm::Delayed(SECOND))
    })
    .only(ONCE),
    // The first answer is lost, the second attempt succeeds, and then the first one comes: into the next transaction.
    disturbed("end-late", |scene| {
        disturb(scene, Request::EndTxn, Harm::Late(SECOND))
    })
    .only(ONCE)
    .quick(),
    disturbed("join-unanswered", |scene| {
        disturb(scene, join(scene), Harm::Unanswered)
    }),
    disturbed("classic-join-unanswered", |scene| {
        disturb(scene, join(scene), Harm::Unanswered)
    })
    .classic(),
    disturbed("classic-join-swallowed", |scene| {
        disturb(scene, join(scene), Harm::Swallowed)
    })
    .classic(),
    cell("broker-killed", brokers::broker_killed).on(Kind::One),
    cell("broker-paused", brokers::broker_paused).on(Kind::One),
    cell("each-node-killed", brokers::each_node_killed).on(Kind::Three),
    cell("each-node-paused", brokers::each_node_paused).on(Kind::Three),
    cell("quorum-lost", brokers::quorum_lost).on(Kind::Three),
    secured("secured-plain", security::plain).only(LEAST),
    secured("secured-scram-256", security::scram_256).only(ONCE),
    secured("secured-scram-512", security::scram_512).only(LEAST),
    secured("secured-mutual", security::mutual)
        .only(ONCE)
        .quick(),
    secured("secured-bearer", security::bearer)
        .only(LEAST)
        .quick(),
    secured("secured-refusals", security::refusals)
        .only(LEAST)
        .quick(),
    secured("secured-rights", security::rights).only(LEAST),
    secured("secured-renewed-password", security::renewed_password).quick(),
    secured("secured-renewed-certificate", security::renewed_certificate),
];
