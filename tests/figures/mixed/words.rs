//! What one word that training never saw weighs: rows that are ordinary in all else.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::learnt::{Learnt, configuration};

const TRAINING: usize = 4_000;
const SCORED: usize = 500;

/// A made stream: words, and numbers that depend on the first word or on each other.
struct World {
    name: &'static str,
    /// Fields of words, and how many words each has; the later, the rarer.
    words: &'static [usize],
    numbers: usize,
    /// Whether the numbers' means depend on the first word.
    tied: bool,
}

const WORLDS: [World; 6] = [
    World {
        name: "3 words, 3 numbers that follow the word",
        words: &[3],
        numbers: 3,
        tied: true,
    },
    World {
        name: "3 words, 3 numbers",
        words: &[3],
        numbers: 3,
        tied: false,
    },
    World {
        name: "5 words, 8 numbers that follow the word",
        words: &[5],
        numbers: 8,
        tied: true,
    },
    World {
        name: "5 words, 30 numbers",
        words: &[5],
        numbers: 30,
        tied: false,
    },
    World {
        name: "3 fields of 4 words, no number",
        words: &[4, 4, 4],
        numbers: 0,
        tied: false,
    },
    World {
        name: "500 words, 4 numbers",
        words: &[500],
        numbers: 4,
        tied: false,
    },
];

pub fn run(seeds: u64) -> anyhow::Result<()> {
    println!(
        "\nA row that is ordinary but for one thing: median p, and the share that is flagged at 1 % and at 0.1 %"
    );
    println!(
        "{:42} {:>24} {:>24} {:>24} {:>24}",
        "", "nothing odd", "an unseen word", "the rarest word", "a number off by 5 sd"
    );
    for world in &WORLDS {
        let mut sums = [[0.0; 3]; 4];
        for seed in 1..=seeds {
            let made = world.measure(seed)?;
            for (sums, made) in sums.iter_mut().flatten().zip(made.into_iter().flatten()) {
                *sums += made / seeds as f64;
            }
        }
        let cell = |[p, one, tenth]: [f64; 3]| {
            format!("{p:8.4} {:6.1} % {:5.1} %", one * 100.0, tenth * 100.0)
        };
        println!(
            "{:42} {:>24} {:>24} {:>24} {:>24}",
            world.name,
            cell(sums[0]),
            cell(sums[1]),
            cell(sums[2]),
            cell(sums[3])
        );
    }
    Ok(())
}

impl World {
    fn measure(&self, seed: u64) -> anyhow::Result<[[f64; 3]; 4]> {
        let mut fields: Vec<(String, &str)> = (0..self.words.len())
            .map(|field| (format!("w{field}"), "categorical"))
            .collect();
        fields.extend((0..self.numbers).map(|field| (format!("v{field}"), "numeric")));
        let config = configuration(&fields, &format!("seed = {seed}"))?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let training: Vec<String> = (0..TRAINING)
            .map(|_| self.row(&mut random, None, 0.0))
            .collect();
        let mut learnt = Learnt::from(&config, &training)?;
        let last = self.words[0] - 1;
        let kinds = [
            (None, 0.0),
            (Some(usize::MAX), 0.0),
            (Some(last), 0.0),
            (None, 5.0),
        ];
        let mut measured = [[0.0; 3]; 4];
        for (measured, (word, shift)) in measured.iter_mut().zip(kinds) {
            let rows: Vec<String> = (0..SCORED)
                .map(|_| self.row(&mut random, word, shift))
                .collect();
            let mut p: Vec<f64> = learnt.score(&rows)?.iter().map(|scored| scored.p).collect();
            p.sort_by(f64::total_cmp);
            let flagged = |budget| p.partition_point(|&p| p <= budget) as f64 / SCORED as f64;
            *measured = [p[SCORED / 2], flagged(0.01), flagged(0.001)];
        }
        Ok(measured)
    }

    /// A row whose first word is replaced by `word` (beyond the known ones: one never seen), while
    /// its numbers stay those of an ordinary word, and whose first number is off by `shift`.
    fn row(&self, random: &mut impl Rng, word: Option<usize>, shift: f64) -> String {
        let mut cells = Vec::new();
        let mut first = 0;
        for (field, &count) in self.words.iter().enumerate() {
            let drawn = rank(random, count);
            if field == 0 {
                first = drawn;
            }
            let shown = if field == 0 {
                word.unwrap_or(drawn)
            } else {
                drawn
            };
            cells.push(format!("\"w{field}\":\"word {shown}\""));
        }
        let common: f64 = StandardNormal.sample(random);
        for field in 0..self.numbers {
            let own: f64 = StandardNormal.sample(random);
            let tied = if self.tied { 4.0 * first as f64 } else { 0.0 };
            let value = tied
                + common
                + 0.5 * own
                + if field == 0 {
                    shift * 1.25_f64.sqrt()
                } else {
                    0.0
                };
            cells.push(format!("\"v{field}\":{value:.4}"));
        }
        format!("{{{}}}", cells.join(","))
    }
}

/// A number below `count`, k with a probability that falls as 1 / (k + 1).
fn rank(random: &mut impl Rng, count: usize) -> usize {
    let total: f64 = (1..=count).map(|k| 1.0 / k as f64).sum();
    let mut left = random.random::<f64>() * total;
    for k in 0..count {
        left -= 1.0 / (k + 1) as f64;
        if left <= 0.0 {
            return k;
        }
    }
    count - 1
}
