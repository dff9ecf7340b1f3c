//! Twelve tabular sets in two protocols, beside the published rows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context;
use outlierd::config::Budget;
use outlierd::evaluate::{
    Figures, Lineup, Outcome, Protocol, Request, Roles, Spread, Trial, contest,
};
use serde_json::json;

/// What `--quick` runs.
const QUICK_SETS: [&str; 4] = ["vowels", "fault", "Waveform", "thyroid"];

/// What the means of ours over the quick sets must reach with seed 1: protocol, AUROC, AP.
const QUICK_FLOORS: [(Protocol, f64, f64); 2] = [
    (Protocol::OneClass, 0.77, 0.48),
    (Protocol::Contaminated, 0.83, 0.40),
];

/// Detectors of the published tables that are shown beside ours.
const PUBLISHED: [&str; 6] = ["kNN", "DTE-NP", "IForest", "LOF", "MCD", "VAE"];

/// Sets that are run at the same time: each takes one core.
const THREADS: usize = 2;

#[derive(clap::Args)]
pub struct Arguments {
    /// Names of sets with commas between them; all if not given.
    #[arg(long, value_delimiter = ',')]
    sets: Vec<String>,
    /// one-class or contaminated; both if not given.
    #[arg(long)]
    protocol: Option<String>,
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Run knn, iforest, mcd, pca and z2 as well.
    #[arg(long)]
    baselines: bool,
    /// Also write the numbers into this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A set in a protocol, with what came of it.
struct Done {
    protocol: Protocol,
    set: String,
    outcomes: Vec<Outcome>,
}

pub fn run(arguments: &Arguments, data: &Path, quick: bool) -> anyhow::Result<()> {
    let folder = data.join("tabular");
    if !folder.is_dir() {
        eprintln!("skipped: no folder {}", folder.display());
        return Ok(());
    }
    let protocols = protocols(arguments)?;
    let sets = sets(arguments, &folder, quick)?;
    let seeds = if quick { 1 } else { arguments.seeds };
    let lineup = Lineup::parse(match arguments.baselines {
        true => "outlierd,knn,iforest,mcd,pca,z2",
        false => "outlierd",
    })?;
    let jobs = protocols
        .iter()
        .flat_map(|&protocol| sets.iter().map(move |set| (protocol, set)));
    let jobs = Mutex::new(jobs.collect::<Vec<_>>().into_iter());
    let done = Mutex::new(Vec::new());
    let work = || -> anyhow::Result<()> {
        while let Some((protocol, set)) = next(&jobs) {
            let file = folder.join(format!("{set}.csv.gz"));
            let outcomes = judge(&file, protocol, seeds, &lineup)?;
            let set = set.clone();
            lock(&done).push(Done {
                protocol,
                set,
                outcomes,
            });
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let mut ended = threads.into_iter().map(|thread| {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread panicked"))?
        });
        ended.try_for_each(|end| end)
    })?;
    let done = done
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut tables = Vec::new();
    for protocol in protocols {
        let table = Table::new(protocol, &sets, &done, data)?;
        table.print();
        tables.push(table);
    }
    if let Some(file) = &arguments.json {
        let tables: Vec<_> = tables.iter().map(Table::json).collect();
        std::fs::write(
            file,
            format!("{:#}\n", json!({"seeds": seeds, "tables": tables})),
        )
        .with_context(|| format!("writing {}", file.display()))?;
    }
    if quick { meet_floors(&tables) } else { Ok(()) }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn next<T>(jobs: &Mutex<std::vec::IntoIter<T>>) -> Option<T> {
    lock(jobs).next()
}

fn protocols(arguments: &Arguments) -> anyhow::Result<Vec<Protocol>> {
    let known = [Protocol::OneClass, Protocol::Contaminated];
    let Some(name) = &arguments.protocol else {
        return Ok(known.into());
    };
    let found = Protocol::named(name).filter(|protocol| known.contains(protocol));
    Ok(vec![found.with_context(|| {
        format!("--protocol {name}: one-class or contaminated is wanted")
    })?])
}

fn sets(arguments: &Arguments, folder: &Path, quick: bool) -> anyhow::Result<Vec<String>> {
    let mut there = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        there.extend(name.strip_suffix(".csv.gz").map(ToOwned::to_owned));
    }
    there.sort_by_key(|name| name.to_lowercase());
    let wanted: Vec<String> = match (arguments.sets.is_empty(), quick) {
        (false, _) => arguments.sets.clone(),
        (true, true) => QUICK_SETS.map(ToOwned::to_owned).into(),
        (true, false) => return Ok(there),
    };
    let absent = wanted.iter().find(|set| !there.contains(set));
    anyhow::ensure!(
        absent.is_none(),
        "there is no set {}: name some of {}",
        absent.map_or("", String::as_str),
        there.join(", ")
    );
    Ok(wanted)
}

/// What every detector makes of one set, with the default configuration.
fn judge(
    file: &Path,
    protocol: Protocol,
    seeds: u64,
    lineup: &Lineup,
) -> anyhow::Result<Vec<Outcome>> {
    let trial = Trial::prepare(Request {
        file: file.to_owned(),
        test: None,
        roles: Roles {
            label: "label".into(),
            ..Roles::default()
        },
        protocol: Some(protocol),
        clean: false,
        seeds,
        lineup: Some(lineup.clone()),
        budget: Budget::Share(0.01),
        model: None,
        config: None,
    })?;
    let began = std::time::Instant::now();
    let contest = contest(&trial, &mut |_| {})?;
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{} {protocol}: {seconds:.0} s", trial.name);
    Ok(contest.outcomes)
}

/// AUROC and AP, in hundredths.
type Pair = (f64, f64);

/// One protocol's table.
struct Table {
    protocol: Protocol,
    /// Ours first, then those that were run beside it, then the published ones.
    columns: Vec<String>,
    /// Ours and those that were run, before the published ones.
    run: usize,
    /// By set, one a column.
    rows: Vec<(String, Vec<Option<Pair>>)>,
    /// Of ours: the standard error of the means over the sets, over seeds.
    errors: Option<Pair>,
}

impl Table {
    fn new(
        protocol: Protocol,
        sets: &[String],
        done: &[Done],
        data: &Path,
    ) -> anyhow::Result<Table> {
        let published = published(protocol, &data.join("published"))?;
        let of = |set: &String| {
            let found = done
                .iter()
                .find(|done| done.protocol == protocol && done.set == *set);
            found.map(|done| &done.outcomes[..]).unwrap_or_default()
        };
        let mut rows = Vec::new();
        for set in sets {
            let ours = of(set).iter().map(pair);
            let theirs = PUBLISHED.map(|name| {
                published
                    .get(&(set.to_lowercase(), name.to_owned()))
                    .copied()
            });
            rows.push((set.clone(), ours.chain(theirs).collect()));
        }
        let names = sets.first().map(of).unwrap_or_default().iter();
        let names: Vec<String> = names.map(|outcome| outcome.name.clone()).collect();
        let published = PUBLISHED.iter().map(|name| format!("{name} (published)"));
        let per_seed = sets.iter().filter_map(|set| of(set).first());
        Ok(Table {
            protocol,
            run: names.len(),
            errors: errors(&per_seed.collect::<Vec<_>>()),
            columns: names.iter().cloned().chain(published).collect(),
            rows,
        })
    }

    /// Means over the sets; a column that lacks a set has none.
    fn means(&self) -> Vec<Option<Pair>> {
        let count = self.rows.len() as f64;
        let mean = |column: usize| {
            let pairs = self.rows.iter().map(|(_, pairs)| pairs[column]);
            let pairs: Vec<Pair> = pairs.collect::<Option<_>>()?;
            let sum = |of: fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>();
            Some((sum(|pair| pair.0) / count, sum(|pair| pair.1) / count))
        };
        (0..self.columns.len()).map(mean).collect()
    }

    fn print(&self) {
        let shown = |pair: &Option<Pair>| match pair {
            Some((auroc, precision)) => format!("{auroc:.1} / {precision:.1}"),
            None => "-".to_owned(),
        };
        println!("\n{}: AUROC / AP in hundredths", self.protocol);
        let titles = self
            .columns
            .iter()
            .map(|name| name.replace(" (published)", ""));
        let titles: Vec<String> = titles.collect();
        let line = |name: &str, cells: &[String]| {
            let cells = cells.iter().enumerate().map(|(index, cell)| {
                let mark = if index == self.run { "| " } else { "" };
                format!("{mark}{cell:>13}")
            });
            println!("{name:12}{}", cells.collect::<Vec<_>>().join(" "));
        };
        line("set", &titles);
        for (set, pairs) in &self.rows {
            line(set, &pairs.iter().map(shown).collect::<Vec<_>>());
        }
        line("mean", &self.means().iter().map(shown).collect::<Vec<_>>());
        println!("(right of the bar: published)");
        if let Some((auroc, precision)) = self.errors {
            println!("standard error of the first mean over seeds: {auroc:.2} / {precision:.2}");
        }
    }

    fn json(&self) -> serde_json::Value {
        let pairs = |pairs: &[Option<Pair>]| -> serde_json::Value {
            let pairs = self.columns.iter().zip(pairs);
            let pairs = pairs.filter_map(|(name, pair)| {
                pair.map(|(auroc, ap)| (name.clone(), json!({"auroc": auroc, "ap": ap})))
            });
            serde_json::Map::from_iter(pairs).into()
        };
        let sets = self.rows.iter().map(|(set, row)| (set.clone(), pairs(row)));
        json!({
            "protocol": self.protocol.name(),
            "sets": serde_json::Map::from_iter(sets),
            "mean": pairs(&self.means()),
            "standard_error": self.errors.map(|(auroc, ap)| json!({"auroc": auroc, "ap": ap})),
        })
    }
}

fn pair(outcome: &Outcome) -> Option<Pair> {
    let mean = |of: fn(&Figures) -> Option<f64>| outcome.mean(of).map(|mean| mean * 100.0);
    mean(|run| run.auroc).zip(mean(|run| run.average_precision))
}

/// The standard error over seeds of the means over sets; `None` with one seed.
fn errors(outcomes: &[&Outcome]) -> Option<Pair> {
    let seeds = outcomes.iter().map(|outcome| outcome.runs.len()).min()?;
    let error = |of: fn(&Figures) -> Option<f64>| {
        let mean = |seed: usize| {
            let figures = outcomes
                .iter()
                .filter_map(|outcome| of(&outcome.runs[seed]));
            figures.sum::<f64>() / outcomes.len() as f64 * 100.0
        };
        let deviation = Spread::of((0..seeds).map(mean))?.deviation?;
        Some(deviation / (seeds as f64).sqrt())
    };
    error(|run| run.auroc).zip(error(|run| run.average_precision))
}

/// The published pairs by set (in lower case) and detector.
fn published(
    protocol: Protocol,
    folder: &Path,
) -> anyhow::Result<BTreeMap<(String, String), Pair>> {
    let kind = match protocol {
        Protocol::OneClass => "semi",
        _ => "unsup",
    };
    let read = |metric: &str| -> anyhow::Result<BTreeMap<(String, String), f64>> {
        let file = folder.join(format!("DTE_{kind}_{metric}_mean.csv"));
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let titles = lines.next().unwrap_or_default();
        let cells = lines.flat_map(|cells| {
            let set = cells[0].to_lowercase();
            let cells = titles
                .clone()
                .into_iter()
                .zip(cells)
                .map(move |(title, cell)| {
                    let value = cell.trim().parse().ok()?;
                    Some(((set.clone(), title.to_owned()), value))
                });
            cells.flatten().collect::<Vec<_>>()
        });
        Ok(cells.collect())
    };
    let (areas, precisions) = (read("aucroc")?, read("aucpr")?);
    let pairs = areas.into_iter().filter_map(|(key, area)| {
        let precision = *precisions.get(&key)?;
        Some((key, (area, precision)))
    });
    Ok(pairs.collect())
}

fn meet_floors(tables: &[Table]) -> anyhow::Result<()> {
    for table in tables {
        let floors = QUICK_FLOORS
            .iter()
            .find(|(protocol, ..)| *protocol == table.protocol);
        let means = table.means().first().copied().flatten();
        let Some((&(protocol, auroc, precision), means)) = floors.zip(means) else {
            continue;
        };
        anyhow::ensure!(
            means.0 >= auroc * 100.0 && means.1 >= precision * 100.0,
            "{protocol}: the means {:.1} / {:.1} are below {:.1} / {:.1}",
            means.0,
            means.1,
            auroc * 100.0,
            precision * 100.0
        );
    }
    Ok(())
}
