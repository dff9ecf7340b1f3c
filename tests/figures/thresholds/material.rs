//! The rows of the data sets, as the records that the daemon would read.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, ensure};
use flate2::read::MultiGzDecoder;
use outlierd::config::{Field, Kind};
use outlierd::files;
use serde_json::{Map, Value};

/// Records in file order, with the label that no training sees.
pub struct Material {
    pub fields: Vec<Field>,
    /// JSON objects.
    pub records: Vec<Vec<u8>>,
    /// Whether each record is an anomaly.
    pub anomalous: Vec<bool>,
}

/// The sets of the folder `tabular`, by name.
pub const TABULAR: [&str; 12] = [
    "annthyroid",
    "fault",
    "landsat",
    "mammography",
    "optdigits",
    "PageBlocks",
    "pendigits",
    "satellite",
    "satimage-2",
    "thyroid",
    "vowels",
    "Waveform",
];

pub const TRANSACTIONS: &str = "transactions";
pub const NETWORK: &str = "network";

/// What a card transaction tells, apart from who and when.
const TRANSACTION_FIELDS: [&str; 15] = [
    "TX_AMOUNT",
    "TX_DURING_WEEKEND",
    "TX_DURING_NIGHT",
    "CUSTOMER_ID_NB_TX_1DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW",
    "CUSTOMER_ID_NB_TX_7DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_7DAY_WINDOW",
    "CUSTOMER_ID_NB_TX_30DAY_WINDOW",
    "CUSTOMER_ID_AVG_AMOUNT_30DAY_WINDOW",
    "TERMINAL_ID_NB_TX_1DAY_WINDOW",
    "TERMINAL_ID_RISK_1DAY_WINDOW",
    "TERMINAL_ID_NB_TX_7DAY_WINDOW",
    "TERMINAL_ID_RISK_7DAY_WINDOW",
    "TERMINAL_ID_NB_TX_30DAY_WINDOW",
    "TERMINAL_ID_RISK_30DAY_WINDOW",
];

impl Material {
    /// Reads the set `name` from the folder `data`.
    pub fn read(name: &str, data: &Path) -> anyhow::Result<Material> {
        match name {
            NETWORK => network(&data.join("network/kddcup99_10_percent.csv.gz")),
            TRANSACTIONS => {
                let path = data.join("transactions/fdh_anchor_train.csv.gz");
                labelled(&path, "TX_FRAUD", &TRANSACTION_FIELDS)
            }
            _ => {
                let path = data.join("tabular").join(format!("{name}.csv.gz"));
                labelled(&path, "label", &[])
            }
        }
        .with_context(|| format!("reading the set {name}"))
    }
}

/// A file with a label column; all other columns are fields, unless some are named.
fn labelled(path: &Path, label: &str, named: &[&str]) -> anyhow::Result<Material> {
    let mut rows = files::open(path)?;
    let (mut records, mut anomalous, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    let mut record = Vec::new();
    while rows.next(&mut record)? {
        let row: Map<String, Value> = serde_json::from_slice(&record)?;
        if fields.is_empty() {
            let wanted = |path: &String| {
                path != label && (named.is_empty() || named.contains(&path.as_str()))
            };
            fields = row
                .keys()
                .filter(|path| wanted(path))
                .map(|path| Field::open(path, Kind::Numeric))
                .collect();
        }
        let mark = row.get(label).and_then(Value::as_f64);
        anomalous.push(mark.with_context(|| format!("line {}: no {label}", rows.line()))? > 0.5);
        records.push(record.clone());
    }
    ensure!(!records.is_empty(), "{} has no rows", path.display());
    Ok(Material {
        fields,
        records,
        anomalous,
    })
}

/// Connections of KDD Cup 1999: no header, three symbolic columns, the label last.
fn network(path: &Path) -> anyhow::Result<Material> {
    let symbolic = 1..4;
    let columns = 41;
    let kind = |column| match symbolic.contains(&column) {
        true => Kind::Categorical,
        false => Kind::Numeric,
    };
    let fields = (0..columns).map(|column| Field::open(format!("f{column}"), kind(column)));
    let mut material = Material {
        fields: fields.collect(),
        records: Vec::new(),
        anomalous: Vec::new(),
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(MultiGzDecoder::new(File::open(path)?));
    for row in reader.records() {
        let row = row?;
        let mut record = Map::new();
        for (column, cell) in row.iter().take(columns).enumerate() {
            let value = match symbolic.contains(&column) {
                true => Value::from(cell),
                false => Value::from(cell.parse::<f64>()?),
            };
            record.insert(format!("f{column}"), value);
        }
        material.records.push(serde_json::to_vec(&record)?);
        material.anomalous.push(row.get(columns) != Some("normal."));
    }
    Ok(material)
}
