//! Card transactions on the Fraud Detection Handbook's own split.

use std::path::Path;

use anyhow::Context;
use outlierd::config::{Budget, Config};
use outlierd::evaluate::{Figures, Lineup, Outcome, Request, Roles, Trial, contest};

/// The handbook's fifteen features; the flags are 0 or 1.
const FLAGS: [&str; 2] = ["TX_DURING_WEEKEND", "TX_DURING_NIGHT"];
const NUMBERS: [&str; 13] = [
    "TX_AMOUNT",
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

/// These come from labels that arrived a week late, so a detector without labels has no right to
/// them.
const FROM_LABELS: &str = "TERMINAL_ID_RISK";

/// Le Borgne et al. 2022, chapter 7: AUROC, AP, card precision at 100.
const PUBLISHED: [(&str, [f64; 3]); 2] = [
    ("handbook's autoencoder", [0.836, 0.180, 0.217]),
    ("handbook's isolation forest", [0.808, 0.164, 0.190]),
];

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Run autoencoder, iforest, pca and z2 as well.
    #[arg(long)]
    baselines: bool,
}

pub fn run(arguments: &Arguments, data: &Path, quick: bool) -> anyhow::Result<()> {
    let file = |part: &str| data.join(format!("transactions/fdh_anchor_{part}.csv.gz"));
    if !file("train").is_file() || !file("valid").is_file() {
        eprintln!("skipped: no {}", file("train").display());
        return Ok(());
    }
    let lineup = match arguments.baselines && !quick {
        true => "outlierd,autoencoder,iforest,pca,z2",
        false => "outlierd",
    };
    for (title, with_labels) in [
        ("all 15 features", true),
        ("without the 3 features that come from labels", false),
    ] {
        let trial = Trial::prepare(Request {
            file: file("train"),
            test: Some(file("valid")),
            roles: Roles {
                label: "TX_FRAUD".into(),
                key: Some("CUSTOMER_ID".into()),
                time: Some("TX_DATETIME".into()),
            },
            protocol: None,
            clean: false,
            seeds: if quick { 1 } else { arguments.seeds },
            lineup: Some(Lineup::parse(lineup)?),
            budget: Budget::Share(0.01),
            model: None,
            config: Some(configuration(with_labels)?),
        })?;
        let contest = contest(&trial, &mut |what| eprintln!("{what}"))?;
        let (rows, frauds) = (trial.split.test.len(), trial.anomalies());
        println!(
            "\n{title}: {} transactions train, {rows} are scored, {frauds} of them frauds (prevalence \
             {:.2} %)",
            trial.split.train.len(),
            frauds as f64 / rows as f64 * 100.0
        );
        println!(
            "{:28} {:>7} {:>7} {:>8} {:>13} {:>7}",
            "", "AUROC", "AP", "card@100", "false alarms", "recall"
        );
        contest.outcomes.iter().for_each(print);
        if with_labels {
            for (name, [auroc, precision, cards]) in PUBLISHED {
                println!("{name:28} {auroc:7.3} {precision:7.3} {cards:8.3}");
            }
        }
    }
    println!(
        "\ncard@100: each day by itself; the handbook takes cards that were found off the days after. \
         False alarms and recall at a budget of 1 %."
    );
    Ok(())
}

fn print(outcome: &Outcome) {
    let mean = |of: fn(&Figures) -> Option<f64>| outcome.mean(of).unwrap_or(f64::NAN);
    println!(
        "{:28} {:7.3} {:7.3} {:8.3} {:13.4} {:7.3}",
        outcome.name,
        mean(|run| run.auroc),
        mean(|run| run.average_precision),
        mean(|run| run.card_precision),
        mean(|run| run.false_alarm_rate),
        mean(|run| run.recall),
    );
}

fn configuration(with_labels: bool) -> anyhow::Result<Config> {
    let mut text = "[kafka]\nbrokers = \"localhost:9092\"\n[input]\ntopic = \"transactions\"\n\
                    [output]\ntopic = \"frauds\"\n"
        .to_owned();
    let flags = FLAGS.map(|name| (name, "boolean"));
    let numbers = NUMBERS.map(|name| (name, "numeric"));
    for (name, kind) in flags.into_iter().chain(numbers) {
        if with_labels || !name.starts_with(FROM_LABELS) {
            text.push_str(&format!(
                "[[fields]]\npath = \"{name}\"\nkind = \"{kind}\"\n"
            ));
        }
    }
    Config::parse(&text, []).context("the configuration of the transactions")
}
