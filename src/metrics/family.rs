//! Instruments with a label.

use std::collections::HashMap;
use std::marker::PhantomData;

use prometheus::{Gauge, IntCounter, IntGaugeVec, Opts};

use super::declare::{Declaration, Instrument, Kind, Label, LabelSet, Place, Single, Values};

/// One series per value of a closed label. All are there from the start, so that a rate over the
/// first event is right, and none is looked up by name.
#[derive(Debug)]
pub struct Family<L, M> {
    series: Vec<M>,
    label: PhantomData<fn(L)>,
}

impl<L: LabelSet, M> Family<L, M> {
    pub fn get(&self, label: L) -> &M {
        &self.series[label.index()]
    }
}

impl<L: LabelSet, M: Single> Instrument for Family<L, M> {
    const KIND: Kind = M::KIND;
    const LABELS: &'static [Label] = &[Label {
        name: L::NAME,
        values: Values::Closed(L::VALUES),
    }];

    fn register(declaration: &Declaration, place: &Place) -> prometheus::Result<Self> {
        let series = L::VALUES.iter().map(|label| {
            let labels = HashMap::from([(L::NAME.to_owned(), label.value.to_owned())]);
            M::labelled(declaration, labels, place)
        });
        Ok(Self {
            series: series.collect::<Result<_, _>>()?,
            label: PhantomData,
        })
    }
}

/// One instrument per configured field, in the order of the configuration.
#[derive(Debug)]
pub struct ByField<M> {
    series: Vec<M>,
}

impl ByField<IntCounter> {
    /// Adds a batch's counts: the i-th goes to the i-th field.
    pub fn add(&self, counts: &[u64]) {
        for (counter, &count) in self.series.iter().zip(counts) {
            if count > 0 {
                counter.inc_by(count);
            }
        }
    }
}

impl ByField<Gauge> {
    /// The i-th value is that of the i-th field.
    pub fn set(&self, values: impl Iterator<Item = f64>) {
        for (gauge, value) in self.series.iter().zip(values) {
            gauge.set(value);
        }
    }
}

impl<M: Single> Instrument for ByField<M> {
    const KIND: Kind = M::KIND;
    const LABELS: &'static [Label] = &[Label {
        name: "field",
        values: Values::Bounded("the path of each configured field"),
    }];

    fn register(declaration: &Declaration, place: &Place) -> prometheus::Result<Self> {
        let series = place.fields.iter().map(|path| {
            let labels = HashMap::from([("field".to_owned(), path.clone())]);
            M::labelled(declaration, labels, place)
        });
        Ok(Self {
            series: series.collect::<Result<_, _>>()?,
        })
    }
}

/// One gauge per assigned partition of the input topic.
#[derive(Debug)]
pub struct ByPartition(IntGaugeVec);

impl ByPartition {
    pub fn set(&self, partition: i32, value: i64) {
        self.0
            .with_label_values(&[partition.to_string()])
            .set(value);
    }

    /// Forgets a revoked partition: its new owner reports it. Does nothing for an unknown one.
    pub fn remove(&self, partition: i32) {
        // The only error is that there is no such series.
        self.0.remove_label_values(&[&partition.to_string()]).ok();
    }
}

impl Instrument for ByPartition {
    const KIND: Kind = Kind::Gauge;
    const LABELS: &'static [Label] = &[Label {
        name: "partition",
        values: Values::Bounded("the number of each assigned partition"),
    }];

    fn register(declaration: &Declaration, place: &Place) -> prometheus::Result<Self> {
        gauges(declaration, place).map(Self)
    }
}

/// What the model in use is: a gauge of 1 that carries the answer in its labels.
#[derive(Debug)]
pub struct ModelInfo(IntGaugeVec);

impl ModelInfo {
    /// Names the model that scores from now on; the one before is forgotten.
    pub fn set(&self, version: &str, schema: &str) {
        self.0.reset();
        self.0.with_label_values(&[version, schema]).set(1);
    }
}

impl Instrument for ModelInfo {
    const KIND: Kind = Kind::Gauge;
    const LABELS: &'static [Label] = &[
        Label {
            name: "version",
            values: Values::Bounded("the version of the one model in use"),
        },
        Label {
            name: "schema",
            values: Values::Bounded("the fingerprint of its schema"),
        },
    ];

    fn register(declaration: &Declaration, place: &Place) -> prometheus::Result<Self> {
        gauges(declaration, place).map(Self)
    }
}

/// What networks run on: a gauge of 1 that carries the answer in its labels.
#[derive(Debug)]
pub struct DeviceInfo(IntGaugeVec);

impl DeviceInfo {
    /// Names the device in use, and the one that was asked for.
    pub fn set(&self, device: &str, configured: &str) {
        self.0.reset();
        self.0.with_label_values(&[device, configured]).set(1);
    }
}

impl Instrument for DeviceInfo {
    const KIND: Kind = Kind::Gauge;
    const LABELS: &'static [Label] = &[
        Label {
            name: "device",
            values: Values::Bounded("`cpu`, or `cuda:` and a number"),
        },
        Label {
            name: "configured",
            values: Values::Bounded("what `compute.device` says"),
        },
    ];

    fn register(declaration: &Declaration, place: &Place) -> prometheus::Result<Self> {
        gauges(declaration, place).map(Self)
    }
}

/// What this program is: a constant gauge of 1.
#[derive(Debug)]
pub struct BuildInfo;

/// The features of the crate that change what the program can do.
const FEATURES: &[(&str, bool)] = &[
    ("tls", cfg!(feature = "tls")),
    ("cuda", cfg!(feature = "cuda")),
];

impl Instrument for BuildInfo {
    const KIND: Kind = Kind::Gauge;
    const LABELS: &'static [Label] = &[
        Label {
            name: "version",
            values: Values::Bounded("the version of the program"),
        },
        Label {
            name: "features",
            values: Values::Bounded("the features that were compiled in, with commas"),
        },
    ];

    fn register(declaration: &Declaration, place: &Place) -> prometheus::Result<Self> {
        let compiled = FEATURES.iter().filter(|(_, on)| *on).map(|(name, _)| *name);
        let features = compiled.collect::<Vec<_>>().join(",");
        gauges(declaration, place)?
            .with_label_values(&[env!("CARGO_PKG_VERSION"), &features])
            .set(1);
        Ok(Self)
    }
}

fn gauges(declaration: &Declaration, place: &Place) -> prometheus::Result<IntGaugeVec> {
    let names: Vec<&str> = declaration.labels.iter().map(|label| label.name).collect();
    let gauges = IntGaugeVec::new(Opts::new(declaration.name, declaration.help), &names)?;
    place.registry.register(Box::new(gauges.clone()))?;
    Ok(gauges)
}
