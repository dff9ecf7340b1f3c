//! All pictures of made data on one page. To look at them:
//! `OUTLIERD_PICTURES=DIR cargo test plot::gallery` writes them there.

use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use super::well_formed::check;
use super::{
    Bar, Calibration, Contributions, Curve, Histogram, LatentMap, MapGroup, Page, Role, ScoreGroup,
    Section, Table, Topic, calibration, contributions, histogram, latent_map, page,
    precision_recall, project, roc,
};

const NAMES: [&str; 11] = [
    "outlierd",
    "outlierd, floor 0.1",
    "outlierd, floor 1.0",
    "autoencoder",
    "PCA (T2 + Q)",
    "robust Mahalanobis (MCD)",
    "isolation forest",
    "k nearest neighbours",
    "sum of squared z-scores",
    "random",
    "a detector <of> one's own with a very long name",
];

fn normals(seed: u64, count: usize, mean: f64, deviation: f64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(mean, deviation).unwrap();
    (0..count).map(|_| normal.sample(&mut random)).collect()
}

/// A ROC curve, the steeper the better the detector: recall = rate ^ e^-separation.
fn roc_of(separation: f64) -> Vec<(f64, f64)> {
    let rates = (0..=2_000).map(|step| {
        let at = f64::from(step) / 2_000.0;
        (at, at.powf((-separation).exp()))
    });
    rates.collect()
}

/// Recall and precision where one row in twenty is an anomaly.
fn precision_of(roc: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let points = roc.iter().skip(1).map(|(rate, recall)| {
        let (hits, false_alarms) = (0.05 * recall, 0.95 * rate);
        (*recall, hits / (hits + false_alarms))
    });
    points.collect()
}

fn named(points: &[Vec<(f64, f64)>]) -> Vec<Curve<'_>> {
    let curves = NAMES.into_iter().zip(points).enumerate();
    curves
        .map(|(place, (name, points))| Curve {
            name,
            points,
            // One has no number, as a detector of a set without anomalies has none.
            area: Some(0.95 - 0.04 * place as f64).filter(|_| place != 9),
            emphasised: place == 0,
        })
        .collect()
}

fn curves() -> [String; 2] {
    let rocs: Vec<_> = (0..11_u8)
        .map(|place| roc_of(3.0 - 0.3 * f64::from(place)))
        .collect();
    let precisions: Vec<_> = rocs.iter().map(|roc| precision_of(roc)).collect();
    let title = "Precision and recall of eleven detectors";
    [
        roc("ROC of eleven detectors", &named(&rocs)).unwrap(),
        precision_recall(title, &named(&precisions), Some(0.05)).unwrap(),
    ]
}

fn scores() -> String {
    let single = |values: Vec<f64>| values.into_iter().map(|value| value.exp() as f32).collect();
    let normal: Vec<f32> = single(normals(1, 5_000, 0.0, 0.5));
    let mut anomalies: Vec<f32> = single(normals(2, 200, 2.0, 0.8));
    anomalies.extend([1e9, f32::NAN]);
    let group = |name, role, scores| ScoreGroup { name, role, scores };
    histogram(&Histogram {
        title: "Scores of 5,000 normal rows and 202 anomalies",
        groups: &[
            group("normal rows", Role::Normal, &normal),
            group("anomalies", Role::Anomaly, &anomalies),
        ],
        threshold: Some(3.2),
    })
    .unwrap()
}

fn promises() -> String {
    let calibrating = normals(3, 1_500, 0.0, 1.0);
    let p_values: Vec<f64> = normals(4, 3_000, 0.1, 1.0)
        .into_iter()
        .map(|score| {
            let above = calibrating.iter().filter(|other| **other >= score).count();
            (1 + above) as f64 / 1_501.0
        })
        .collect();
    calibration(&Calibration {
        title: "Promised and realised false-alarm rate",
        p_values: &p_values,
        calibration_rows: 1_500,
        budget: Some(0.01),
    })
    .unwrap()
}

fn map() -> String {
    let at = |seed, count: usize, mean| {
        let values = normals(seed, count * 4, mean, 1.0).into_iter().enumerate();
        let stretched = values.map(|(place, value)| value as f32 * [3.0, 1.0, 2.0, 0.5][place % 4]);
        stretched.collect::<Vec<f32>>()
    };
    let (normal, flagged, odd) = (at(5, 9_000, 0.0), at(6, 90, 1.0), at(7, 120, 2.5));
    let codes = [
        normal,
        flagged,
        odd,
        vec![900.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0],
    ]
    .concat();
    let plane = project(&codes, 4).unwrap();
    let group = |name, role, range: std::ops::Range<usize>| MapGroup {
        name,
        role,
        points: &plane.points[range],
    };
    latent_map(&LatentMap {
        title: "Codes of 9,212 rows",
        groups: &[
            group("normal rows", Role::Normal, 0..9_000),
            group("flagged", Role::Flagged, 9_000..9_090),
            group("anomalies", Role::Anomaly, 9_090..9_212),
        ],
        shares: Some(plane.shares),
    })
    .unwrap()
}

fn classes() -> String {
    let points: Vec<Vec<(f32, f32)>> = (0..10_u16)
        .map(|class| {
            let angle = f64::from(class) * 0.7;
            let x = normals(10 + u64::from(class), 400, 3.0 * angle.cos(), 0.6);
            let y = normals(30 + u64::from(class), 400, 3.0 * angle.sin(), 0.6);
            x.into_iter()
                .map(|x| x as f32)
                .zip(y.into_iter().map(|y| y as f32))
                .collect()
        })
        .collect();
    let names: Vec<String> = (0..10).map(|class| format!("class {class}")).collect();
    let groups: Vec<MapGroup<'_>> = names
        .iter()
        .zip(&points)
        .map(|(name, points)| MapGroup {
            name,
            role: Role::Category,
            points,
        })
        .collect();
    let title = "Codes of two numbers, ten classes";
    latent_map(&LatentMap {
        title,
        groups: &groups,
        shares: None,
    })
    .unwrap()
}

fn rows() -> Vec<String> {
    let bar = |field, share, detail, odd| Bar {
        field,
        share,
        detail,
        odd,
    };
    let fields = [
        bar("amount", 0.62, "observed 920, expected 31 ± 22", true),
        bar(
            "merchant.category",
            0.17,
            "observed jewellery, expected groceries",
            false,
        ),
        bar(
            "customer.address.history.previous.country",
            0.04,
            "observed FR, expected DE (97 %)",
            false,
        ),
        bar(
            "hour",
            0.02,
            "observed 03:12, expected an ordinary time",
            false,
        ),
    ];
    let many: Vec<Bar<'_>> = [
        "a", "b", "c<d>", "d", "e", "f", "g", "h", "i", "j", "k", "l",
    ]
    .into_iter()
    .map(|field| {
        bar(
            field,
            0.075,
            "observed 1.23, expected -0.4 ± 0.31 and more words than have room",
            false,
        )
    })
    .collect();
    let row = |title, fields: &[Bar<'_>], latent| {
        contributions(&Contributions {
            title,
            fields,
            latent,
        })
        .unwrap()
    };
    vec![
        row(
            "row 4,711, score 12.4, p 0.0002 (anomaly)",
            &fields,
            Some(0.15),
        ),
        row("row 12, score 8.1, p 0.0007", &many, Some(0.1)),
        row("row 13, nothing known", &[], None),
    ]
}

fn whole() -> Page {
    let cells = |row: &[&str]| {
        row.iter()
            .map(|cell| (*cell).to_owned())
            .collect::<Vec<String>>()
    };
    let [roc, precision_recall] = curves();
    let contents = [
        vec![roc],
        vec![precision_recall],
        vec![scores()],
        vec![promises()],
        vec![map(), classes()],
        rows(),
    ];
    let sections = Topic::ALL.into_iter().zip(contents);
    Page {
        title: "transactions.csv".to_owned(),
        remarks: cells(&[
            "protocol forward, 9,000 rows learnt, 5,202 scored (202 anomalies), 3 seeds",
        ]),
        summary: Table {
            header: cells(&[
                "detector",
                "AUROC",
                "AP",
                "recall",
                "precision",
                "false alarms",
                "µs a row",
            ]),
            rows: vec![
                cells(&[
                    "outlierd",
                    "0.950 ± 0.004",
                    "0.612 ± 0.02",
                    "71 %",
                    "64 %",
                    "1.1 %",
                    "3.2",
                ]),
                cells(&[
                    "isolation forest",
                    "0.812 ± 0.01",
                    "0.35 ± 0.03",
                    "41 %",
                    "44 %",
                    "1.2 %",
                    "9.5",
                ]),
                cells(&["random", "0.500", "0.05", "1 %", "5 %", "1 %"]),
            ],
            emphasised: Some(0),
        },
        sections: sections
            .map(|(topic, pictures)| Section::new(topic, pictures))
            .collect(),
    }
}

#[test]
fn a_page_with_every_picture_is_well_formed_and_below_a_megabyte() {
    let contents = whole();
    let html = page(&contents);
    check(&html).unwrap();
    assert!(html.len() < 1_000_000, "{} bytes", html.len());
    assert_eq!(html, page(&whole()), "the same data give the same page");
    if let Some(folder) = std::env::var_os("OUTLIERD_PICTURES") {
        let folder = Path::new(&folder);
        std::fs::write(folder.join("page.html"), &html).unwrap();
        for (place, section) in contents.sections.iter().enumerate() {
            for (number, picture) in section.pictures.iter().enumerate() {
                std::fs::write(folder.join(format!("{place}-{number}.svg")), picture).unwrap();
            }
        }
    }
}
