//! What is fed, and what must come of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::harness::records::readings;
use crate::harness::scores::{Verdict, verdicts};
use crate::harness::{Client, Record, Setup};

pub const PARTITIONS: i32 = 4;

/// One record in so many is odd, and one in so many cannot be read.
const ODD: usize = 400;
const BROKEN: usize = 97;

/// Longer than the messages of a topic that takes little.
const PADDING: usize = 20_000;

/// What a planted defect crashes on.
pub const POISON: &str = "this ends it";

/// Partition and offset of a record.
pub type Place = (i64, i64);

/// Records, and the disposition of each.
pub struct Stream {
    /// They come round again and again if there are fewer than records.
    pub rows: Vec<String>,
    count: usize,
    /// Bits of the score of each outlier.
    pub outliers: BTreeMap<Place, u32>,
    /// Bits of the score of every record that has one.
    pub scores: BTreeMap<Place, u32>,
    pub dead_letters: BTreeMap<Place, &'static str>,
}

/// Rows, and what the model says of them: the same in every cell, and judged once.
fn judged(seed: u64, count: usize, setup: &Setup) -> (Vec<String>, Vec<Verdict>) {
    type Judged = (Vec<String>, Vec<Verdict>);
    static JUDGED: Mutex<BTreeMap<(u64, usize), Judged>> = Mutex::new(BTreeMap::new());
    let mut known = JUDGED.lock().unwrap_or_else(PoisonError::into_inner);
    let judge = || {
        let rows = readings(seed, count, ODD);
        let verdicts = verdicts(setup, &rows);
        (rows, verdicts)
    };
    known.entry((seed, count)).or_insert_with(judge).clone()
}

impl Stream {
    /// `count` records, judged by `outlierd score`. One in `padded` outliers is long, if that is not 0.
    pub fn new(seed: u64, count: usize, padded: usize, setup: &Setup) -> Stream {
        let (mut rows, verdicts) = judged(seed, count, setup);
        let (mut outliers, mut dead_letters) = (BTreeMap::new(), BTreeMap::new());
        let mut scores = BTreeMap::new();
        for (row, text) in rows.iter_mut().enumerate() {
            if row % BROKEN == BROKEN / 2 {
                text.truncate(text.len() / 2);
                dead_letters.insert(place(row), "json_syntax");
                continue;
            }
            scores.insert(place(row), verdicts[row].score_bits);
            if verdicts[row].flagged {
                outliers.insert(place(row), verdicts[row].score_bits);
                if padded > 0 && outliers.len() % padded == 0 {
                    text.pop();
                    text.push_str(&format!(",\"note\":\"{}\"}}", noise(row)));
                }
            }
        }
        Stream {
            count: rows.len(),
            rows,
            outliers,
            scores,
            dead_letters,
        }
    }

    /// Takes other verdicts for the records that have one.
    pub fn rejudge(&mut self, verdicts: &BTreeMap<Place, Verdict>) {
        for (place, verdict) in verdicts {
            self.scores.insert(*place, verdict.score_bits);
            match verdict.flagged {
                true => self.outliers.insert(*place, verdict.score_bits),
                false => self.outliers.remove(place),
            };
        }
    }

    /// Feeds the rows of a range, in turn over the partitions.
    pub fn feed(&self, client: &Client, topic: &str, range: std::ops::Range<usize>) {
        let records: Vec<Record> = range
            .map(|row| Record::of(self.row(row)).to(row as i32 % PARTITIONS))
            .collect();
        client.feed(topic, &records);
    }

    /// Feeds all rows, each with a key of its own of `length` bytes.
    pub fn feed_keyed(&self, client: &Client, topic: &str, length: usize) {
        let records = self.rows.iter().enumerate().map(|(row, text)| {
            let key = format!("{row:0>length$}");
            Record::of(text.as_str())
                .to(row as i32 % PARTITIONS)
                .key(&key)
        });
        client.feed(topic, &records.collect::<Vec<_>>());
    }

    pub fn row(&self, row: usize) -> &str {
        &self.rows[row % self.rows.len()]
    }

    /// The same rows for `count` records.
    pub fn cycled(&self, count: usize) -> Stream {
        let mut cycled = Stream {
            rows: self.rows.clone(),
            count,
            outliers: BTreeMap::new(),
            scores: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
        };
        for row in 0..count {
            let (once, now) = (place(row % self.rows.len()), place(row));
            if let Some(&bits) = self.outliers.get(&once) {
                cycled.outliers.insert(now, bits);
            }
            if let Some(&class) = self.dead_letters.get(&once) {
                cycled.dead_letters.insert(now, class);
            }
        }
        cycled
    }

    /// These rows end whatever judges them, and are to become dead letters for that.
    pub fn poison(&mut self, rows: &[usize]) {
        for &row in rows {
            let text = &mut self.rows[row];
            assert_eq!(text.pop(), Some('}'), "it cannot be read anyway");
            text.push_str(&format!(",\"note\":\"{POISON}\"}}"));
            self.outliers.remove(&place(row));
            self.scores.remove(&place(row));
            self.dead_letters.insert(place(row), "crash");
        }
    }

    /// Nothing is to come of these any more.
    pub fn forget(&mut self, partition: i64, offsets: std::ops::Range<i64>) {
        let is_left = |place: &Place| place.0 != partition || !offsets.contains(&place.1);
        self.outliers.retain(|place, _| is_left(place));
        self.dead_letters.retain(|place, _| is_left(place));
    }

    pub fn len(&self) -> usize {
        self.count
    }
}

/// Letters that no codec makes shorter: brokers measure what is compressed.
fn noise(seed: usize) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed as u64);
    (0..PADDING)
        .map(|_| char::from(random.random_range(b'a'..=b'z')))
        .collect()
}

pub fn place(row: usize) -> Place {
    let partitions = i64::from(PARTITIONS);
    (row as i64 % partitions, row as i64 / partitions)
}
