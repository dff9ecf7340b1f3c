//! Which detectors are compared.

use super::EvaluationError;
use super::baselines::{Autoencoder, Kind};

/// As the model that `run` serves is named.
pub const OURS: &str = "outlierd";

/// As the networks of the ensemble are named together.
const MEMBERS: &str = "members";

/// The detectors of a contest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineup {
    /// The ensemble as `run` serves it.
    pub ours: bool,
    /// Its networks, each alone.
    pub members: bool,
    pub autoencoder: bool,
    pub plain: Vec<Kind>,
}

impl Lineup {
    /// `all`, or names with commas between them: `outlierd`, `members`, `autoencoder`, `pca`, `mcd`,
    /// `iforest`, `knn`, `z2`, `random`.
    ///
    /// # Errors
    /// A name that is none of them.
    pub fn parse(text: &str) -> Result<Lineup, EvaluationError> {
        let all = text.trim() == "all";
        let mut lineup = Lineup {
            ours: all,
            members: all,
            autoencoder: all,
            plain: if all { Kind::ALL.to_vec() } else { vec![] },
        };
        if all {
            return Ok(lineup);
        }
        for name in text.split(',').map(str::trim) {
            match (name, Kind::named(name)) {
                (OURS, _) => lineup.ours = true,
                (MEMBERS, _) => lineup.members = true,
                (Autoencoder::NAME, _) => lineup.autoencoder = true,
                (_, Some(kind)) if lineup.plain.contains(&kind) => {}
                (_, Some(kind)) => lineup.plain.push(kind),
                (_, None) => {
                    let names = [OURS, MEMBERS, Autoencoder::NAME].into_iter();
                    let names: Vec<&str> = names.chain(Kind::ALL.map(Kind::name)).collect();
                    return Err(EvaluationError::Usage(format!(
                        "--detectors {text:?}: there is no detector {name:?}; write all, or some of {} \
                         with commas between them",
                        names.join(", ")
                    )));
                }
            }
        }
        Ok(lineup)
    }

    /// The model alone, whole and in parts: what can be judged without training rows.
    #[must_use]
    pub fn of_the_model() -> Lineup {
        Lineup {
            ours: true,
            members: true,
            autoencoder: false,
            plain: vec![],
        }
    }

    /// Whether one of them must be fitted to the training rows, even if there is a model.
    #[must_use]
    pub fn needs_training_rows(&self) -> bool {
        self.autoencoder || !self.plain.is_empty()
    }

    /// Whether the network of the model is wanted.
    #[must_use]
    pub fn needs_the_model(&self) -> bool {
        self.ours || self.members
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn detectors_are_all_or_a_list_without_repetitions() {
        let all = Lineup::parse("all").unwrap();
        assert!(all.ours && all.members && all.autoencoder);
        assert_eq!(all.plain, Kind::ALL);
        let some = Lineup::parse("knn, outlierd,knn").unwrap();
        assert!(some.ours && !some.members && !some.autoencoder);
        assert_eq!(some.plain, [Kind::NearestNeighbours]);
    }

    #[test]
    fn an_unknown_detector_is_told_with_those_that_there_are() {
        for text in ["lof", "", "all,knn", "knn,,pca"] {
            let refused = Lineup::parse(text).unwrap_err();
            assert!(refused.is_usage());
            let said = refused.to_string();
            assert!(said.contains("autoencoder, pca, mcd"), "{said}");
        }
    }
}
