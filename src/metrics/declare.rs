//! How a metric is declared: once, with its name, help, unit and labels.

use std::collections::HashMap;

use prometheus::core::Collector;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Opts, Registry};

/// One metric as it is declared: what the metrics page shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Declaration {
    pub name: &'static str,
    pub kind: Kind,
    /// The doc comment of the field.
    pub help: &'static str,
    /// What one step of the value is, in words.
    pub unit: &'static str,
    pub labels: &'static [Label],
    /// Upper bounds of a histogram's buckets, ascending; empty for the other kinds.
    pub buckets: &'static [f64],
}

/// The type of a metric in Prometheus's sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One label of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    pub name: &'static str,
    pub values: Values,
}

/// Which values a label can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// These, all present from the start.
    Closed(&'static [LabelValue]),
    /// As many as what is named here.
    Bounded(&'static str),
}

/// One value of a closed label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelValue {
    pub value: &'static str,
    pub help: &'static str,
}

/// An enum whose variants are the values of one label.
pub trait LabelSet: Copy {
    const NAME: &'static str;
    const VALUES: &'static [LabelValue];

    /// Place of this value in [`Self::VALUES`].
    fn index(self) -> usize;
}

/// Where instruments are registered, and the configured field paths.
pub(super) struct Place<'a> {
    pub registry: &'a Registry,
    pub fields: &'a [String],
}

/// The type of a field of `Metrics`: it knows how to register itself.
pub(super) trait Instrument: Sized {
    const KIND: Kind;
    const LABELS: &'static [Label];

    fn register(declaration: &Declaration, place: &Place) -> prometheus::Result<Self>;
}

/// An instrument of a single time series.
pub(super) trait Single: Collector + Clone + 'static {
    const KIND: Kind;

    fn with(opts: Opts, declaration: &Declaration) -> prometheus::Result<Self>;

    /// Registers the series of `declaration` that carries these labels.
    fn labelled(
        declaration: &Declaration,
        labels: HashMap<String, String>,
        place: &Place,
    ) -> prometheus::Result<Self> {
        let opts = Opts::new(declaration.name, declaration.help).const_labels(labels);
        let instrument = Self::with(opts, declaration)?;
        place.registry.register(Box::new(instrument.clone()))?;
        Ok(instrument)
    }
}

impl Single for IntCounter {
    const KIND: Kind = Kind::Counter;

    fn with(opts: Opts, _: &Declaration) -> prometheus::Result<Self> {
        Self::with_opts(opts)
    }
}

impl Single for IntGauge {
    const KIND: Kind = Kind::Gauge;

    fn with(opts: Opts, _: &Declaration) -> prometheus::Result<Self> {
        Self::with_opts(opts)
    }
}

impl Single for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn with(opts: Opts, _: &Declaration) -> prometheus::Result<Self> {
        Self::with_opts(opts)
    }
}

impl Single for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn with(opts: Opts, declaration: &Declaration) -> prometheus::Result<Self> {
        Self::with_opts(HistogramOpts {
            common_opts: opts,
            buckets: declaration.buckets.to_vec(),
        })
    }
}

impl<M: Single> Instrument for M {
    const KIND: Kind = <M as Single>::KIND;
    const LABELS: &'static [Label] = &[];

    fn register(declaration: &Declaration, place: &Place) -> prometheus::Result<Self> {
        Self::labelled(declaration, HashMap::new(), place)
    }
}

/// Declares a struct of metrics. Each field reads
///
/// ```text
/// /// The help text.
/// field: Type = "name" in "unit" [BUCKETS],
/// ```
macro_rules! metrics {
    (
        $(#[$outer:meta])*
        pub struct $metrics:ident {
            $(
                $(#[doc = $help:literal])+
                $field:ident: $instrument:ty = $name:literal in $unit:literal $([$buckets:expr])?,
            )+
        }
    ) => {
        $(#[$outer])*
        pub struct $metrics {
            registry: Registry,
            $( $(#[doc = $help])+ pub $field: $instrument, )+
        }

        #[allow(non_upper_case_globals)] // each declaration bears the name of its field
        impl $metrics {
            $(
                const $field: Declaration = Declaration {
                    name: $name,
                    kind: <$instrument as Instrument>::KIND,
                    help: concat!($($help),+).trim_ascii(),
                    unit: $unit,
                    labels: <$instrument as Instrument>::LABELS,
                    buckets: $crate::metrics::declare::buckets!($($buckets)?),
                };
            )+
            const DECLARATIONS: &'static [Declaration] = &[$( Self::$field, )+];

            fn register(registry: Registry, fields: &[String]) -> prometheus::Result<Self> {
                let place = Place { registry: &registry, fields };
                Ok(Self {
                    $( $field: <$instrument as Instrument>::register(&Self::$field, &place)?, )+
                    registry,
                })
            }
        }
    };
}
pub(super) use metrics;

macro_rules! buckets {
    () => {
        &[]
    };
    ($buckets:expr) => {
        $buckets
    };
}
pub(super) use buckets;
