//! Fields and inputs that tests start from.

use crate::config::{Field, Input, Kind, OnDataLoss, Policy, Start};

pub(super) fn field(path: &str, kind: Kind) -> Field {
    Field::open(path, kind)
}

pub(super) fn input() -> Input {
    Input {
        topic: "in".into(),
        group: "g".into(),
        start: Start::Latest,
        on_data_loss: OnDataLoss::Halt,
        filter: None,
        key: None,
        time: None,
        missing: Policy::Mask,
        wrong_type: Policy::DeadLetter,
        max_record_bytes: 1 << 20,
    }
}
