//! What each kind of picture shows, for people who do not know the term.

/// A kind of picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Roc,
    PrecisionRecall,
    Scores,
    Calibration,
    LatentMap,
    Contributions,
}

impl Topic {
    /// All of them, in the order in which a page has them.
    pub const ALL: [Topic; 6] = [
        Topic::Roc,
        Topic::PrecisionRecall,
        Topic::Scores,
        Topic::Calibration,
        Topic::LatentMap,
        Topic::Contributions,
    ];

    /// The heading of its section.
    #[must_use]
    pub fn heading(self) -> &'static str {
        match self {
            Topic::Roc => "Found anomalies against false alarms (ROC)",
            Topic::PrecisionRecall => "Right alarms against found anomalies (precision and recall)",
            Topic::Scores => "Scores",
            Topic::Calibration => "Calibration: false alarms promised and realised",
            Topic::LatentMap => "Map of the codes",
            Topic::Contributions => "Why the oddest rows are odd",
        }
    }

    /// One or two sentences on how to read it.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Topic::Roc => {
                "Lower the threshold step by step, and more anomalies are found, at the price of more \
                 false alarms. A good detector's curve rises steeply at the left; AUROC is the \
                 probability that an anomaly scores higher than a normal row (1 is perfect, 0.5 is \
                 chance)."
            }
            Topic::PrecisionRecall => {
                "Of the rows that are flagged, how many are anomalies (precision), while more and more \
                 of the anomalies are found (recall). Where anomalies are rare this tells more than \
                 ROC; AP (average precision) sums it up, and chance reaches the prevalence."
            }
            Topic::Scores => {
                "How many rows have which score. The better the two groups stand apart, the better the \
                 detector; what lies right of the threshold is flagged."
            }
            Topic::Calibration => {
                "A budget of 1 % promises that 1 % of normal rows are flagged. On the diagonal the \
                 promise is kept exactly; within the blue region the difference is no more than chance \
                 explains with so few rows."
            }
            Topic::LatentMap => {
                "The model sums every row up in a few numbers, its code. Rows that are alike lie near \
                 each other; the map shows the codes from the side on which they differ most."
            }
            Topic::Contributions => {
                "Which fields make a row odd, and how much of its score each one has. A bar named \
                 latent is what belongs to no single field: the combination is unusual."
            }
        }
    }
}
