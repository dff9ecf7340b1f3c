//! Which rows train a detector, and which it is judged on.

use std::fmt;

/// The share of the rows that trains in [`Protocol::Forward`].
const FORWARD_SHARE: f64 = 0.7;

/// How rows are used. Labels choose rows in [`Protocol::OneClass`] alone; no detector sees them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// A user's own case: the first 70 % of the rows train, the rest is scored.
    #[default]
    Forward,
    /// The first half of the normal rows trains, and is known to be clean; the other normal rows and
    /// all anomalies are scored. That of ADBench's semi-supervised tables.
    OneClass,
    /// All rows train, anomalies included, and all are scored. That of ADBench's unsupervised tables.
    Contaminated,
}

/// Places of rows, each list ascending. No row is in both but in [`Protocol::Contaminated`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    pub train: Vec<usize>,
    pub test: Vec<usize>,
}

impl Protocol {
    pub const ALL: [Protocol; 3] = [
        Protocol::Forward,
        Protocol::OneClass,
        Protocol::Contaminated,
    ];

    /// As a user names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Forward => "forward",
            Protocol::OneClass => "one-class",
            Protocol::Contaminated => "contaminated",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Protocol> {
        Protocol::ALL
            .into_iter()
            .find(|protocol| protocol.name() == name)
    }

    /// Splits the rows of one file, of which `anomalous` has the labels, in their order.
    #[must_use]
    pub fn split(self, anomalous: &[bool]) -> Split {
        let rows = anomalous.len();
        match self {
            Protocol::Forward => {
                let first = (rows as f64 * FORWARD_SHARE) as usize;
                Split {
                    train: (0..first).collect(),
                    test: (first..rows).collect(),
                }
            }
            Protocol::OneClass => {
                let normal: Vec<usize> = (0..rows).filter(|&row| !anomalous[row]).collect();
                let train = normal[..normal.len() / 2].to_vec();
                let beyond = train.last().map_or(0, |last| last + 1);
                let test = (0..rows).filter(|&row| row >= beyond || anomalous[row]);
                Split {
                    test: test.collect(),
                    train,
                }
            }
            Protocol::Contaminated => Split {
                train: (0..rows).collect(),
                test: (0..rows).collect(),
            },
        }
    }

    /// Splits rows whose first `training` are those of a training file and whose others are those of
    /// a test file: all of the first train, the normal ones alone in [`Protocol::OneClass`].
    #[must_use]
    pub fn split_as_given(self, anomalous: &[bool], training: usize) -> Split {
        let clean = self == Protocol::OneClass;
        let train = (0..training).filter(|&row| !(clean && anomalous[row]));
        Split {
            train: train.collect(),
            test: (training..anomalous.len()).collect(),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_protocols_are_those_of_their_names() {
        let labels = [
            false, true, false, false, true, false, false, true, false, false,
        ];
        let forward = Protocol::Forward.split(&labels);
        assert_eq!(
            (forward.train.len(), &forward.test[..]),
            (7, &[7, 8, 9][..])
        );
        let one_class = Protocol::OneClass.split(&labels);
        assert_eq!(one_class.train, [0, 2, 3]);
        assert_eq!(one_class.test, [1, 4, 5, 6, 7, 8, 9]);
        let given = Protocol::OneClass.split_as_given(&labels, 5);
        assert_eq!(
            (given.train, given.test),
            (vec![0, 2, 3], vec![5, 6, 7, 8, 9])
        );
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::named(protocol.name()), Some(protocol));
        }
        assert_eq!(Protocol::named("backward"), None);
    }

    proptest! {
        #[test]
        fn no_row_trains_and_is_scored_unless_it_is_said_to(
            labels in proptest::collection::vec(any::<bool>(), 0..200), part in 0.0..1.0_f64,
        ) {
            let training = (labels.len() as f64 * part) as usize;
            for protocol in [Protocol::Forward, Protocol::OneClass] {
                for split in [protocol.split(&labels), protocol.split_as_given(&labels, training)] {
                    prop_assert!(split.train.iter().all(|row| !split.test.contains(row)));
                    prop_assert!(split.train.is_sorted() && split.test.is_sorted());
                    let clean = split.train.iter().all(|&row| !labels[row]);
                    prop_assert!(clean || protocol == Protocol::Forward);
                }
                let split = protocol.split(&labels);
                prop_assert_eq!(split.train.len() + split.test.len(), labels.len());
            }
            let anomalies = |rows: &[usize]| rows.iter().filter(|&&row| labels[row]).count();
            let all = labels.iter().filter(|&&label| label).count();
            prop_assert_eq!(anomalies(&Protocol::OneClass.split(&labels).test), all);
            let both = Protocol::Contaminated.split(&labels);
            prop_assert!(both.train == both.test && both.test.len() == labels.len());
        }
    }
}
