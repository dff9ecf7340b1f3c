//! A contest as one page with pictures.

use super::table::{cells, head, legend};
use super::{Contest, ModelFindings, OURS, Point, Ranking, Trial};
use crate::plot::{
    self, Bar, Calibration, Contributions, Curve, Histogram, LatentMap, MapGroup, Page, PlotError,
    Role, ScoreGroup, Section, Table, Topic,
};

/// Odd rows whose reasons are drawn.
const DRAWN_ROWS: usize = 8;

/// The report of the first seed as the text of one self-contained HTML file.
///
/// # Errors
/// Only by a defect in drawing.
pub fn report(trial: &Trial, contest: &Contest) -> Result<String, PlotError> {
    let findings = &contest.findings;
    let rankings: Vec<Drawn<'_>> = findings
        .rankings
        .iter()
        .map(|(name, ranking)| Drawn::new(name, ranking))
        .collect();
    let prevalence = findings
        .rankings
        .first()
        .map(|(_, ranking)| ranking.anomalies() as f64 / ranking.rows().max(1) as f64);
    let roc = curves(&rankings, |drawn| (&drawn.roc, drawn.auroc));
    let precision_recall = curves(&rankings, |drawn| {
        (&drawn.precision_recall, drawn.precision)
    });
    let mut sections = vec![
        Section::new(
            Topic::Roc,
            vec![plot::roc("Receiver operating characteristic", &roc)?],
        ),
        Section::new(
            Topic::PrecisionRecall,
            vec![plot::precision_recall(
                "Precision and recall",
                &precision_recall,
                prevalence,
            )?],
        ),
    ];
    if let Some(model) = &findings.model {
        sections.extend(of_the_model(model, &findings.anomalous)?);
    }
    let mut rows = cells(trial, contest);
    let header = rows.remove(0);
    let emphasised = rows
        .iter()
        .position(|row| row.first().is_some_and(|name| name == OURS));
    Ok(plot::page(&Page {
        title: format!("outlierd evaluate: {}", trial.name),
        remarks: std::iter::once(head(trial))
            .chain(trial.notes.iter().cloned())
            .chain([legend(trial)])
            .collect(),
        summary: Table {
            header,
            rows,
            emphasised,
        },
        sections,
    }))
}

/// A ranking's curves as plain numbers.
struct Drawn<'a> {
    name: &'a str,
    roc: Vec<(f64, f64)>,
    precision_recall: Vec<(f64, f64)>,
    auroc: Option<f64>,
    precision: Option<f64>,
}

impl<'a> Drawn<'a> {
    fn new(name: &'a str, ranking: &Ranking) -> Drawn<'a> {
        let plain = |points: Vec<Point>| points.iter().map(|point| (point.x, point.y)).collect();
        Drawn {
            name,
            roc: plain(ranking.roc_curve()),
            precision_recall: plain(ranking.precision_recall_curve()),
            auroc: ranking.auroc(),
            precision: ranking.average_precision(),
        }
    }
}

/// Points of a curve, and the area under it.
type Area<'a> = (&'a Vec<(f64, f64)>, Option<f64>);

fn curves<'a>(drawn: &'a [Drawn<'a>], of: impl Fn(&'a Drawn<'a>) -> Area<'a>) -> Vec<Curve<'a>> {
    let curve = |drawn: &'a Drawn<'a>| {
        let (points, area) = of(drawn);
        Curve {
            name: drawn.name,
            points,
            area,
            emphasised: drawn.name == OURS,
        }
    };
    drawn.iter().map(curve).collect()
}

fn of_the_model(model: &ModelFindings, anomalous: &[bool]) -> Result<Vec<Section>, PlotError> {
    let scores = plot::histogram(&Histogram {
        title: "Scores",
        groups: &[
            ScoreGroup {
                name: "normal",
                role: Role::Normal,
                scores: &chosen(&model.scores, anomalous, false),
            },
            ScoreGroup {
                name: "anomalies",
                role: Role::Anomaly,
                scores: &chosen(&model.scores, anomalous, true),
            },
        ],
        threshold: Some(model.threshold),
    })?;
    let calibration = plot::calibration(&Calibration {
        title: "Promised and realised false-alarm rates",
        p_values: &model.normal_p,
        calibration_rows: model.calibration_rows,
        budget: Some(model.threshold_p),
    })?;
    let reasons = model.top.iter().take(DRAWN_ROWS).map(reasons);
    Ok(vec![
        Section::new(Topic::Scores, vec![scores]),
        Section::new(Topic::Calibration, vec![calibration]),
        Section::new(Topic::LatentMap, vec![latent_map(model, anomalous)?]),
        Section::new(Topic::Contributions, reasons.collect::<Result<_, _>>()?),
    ])
}

fn latent_map(model: &ModelFindings, anomalous: &[bool]) -> Result<String, PlotError> {
    let projection = plot::project(&model.codes, model.latent)?;
    let groups = [
        MapGroup {
            name: "normal",
            role: Role::Normal,
            points: &chosen(&projection.points, anomalous, false),
        },
        MapGroup {
            name: "anomalies",
            role: Role::Anomaly,
            points: &chosen(&projection.points, anomalous, true),
        },
    ];
    plot::latent_map(&LatentMap {
        title: "Codes of the scored rows, first member",
        groups: &groups,
        shares: Some(projection.shares),
    })
}

fn reasons(row: &super::TopRow) -> Result<String, PlotError> {
    let bars: Vec<Bar<'_>> = row
        .shares
        .iter()
        .enumerate()
        .map(|(rank, (field, share))| Bar {
            field,
            share: f64::from(*share),
            detail: "",
            odd: rank == 0,
        })
        .collect();
    let truth = if row.anomalous {
        "an anomaly"
    } else {
        "a normal row"
    };
    plot::contributions(&Contributions {
        title: &format!("Scored row {}, {truth}: {}", row.row + 1, row.sentence),
        fields: &bars,
        latent: Some(f64::from(row.latent)),
    })
}

fn chosen<T: Copy>(of: &[T], anomalous: &[bool], wanted: bool) -> Vec<T> {
    let rows = of.iter().zip(anomalous);
    rows.filter(|(_, anomalous)| **anomalous == wanted)
        .map(|(value, _)| *value)
        .collect()
}
