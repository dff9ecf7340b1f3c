//! The closed sets of label values. A label is never a key, a message or anything else that a
//! stream can invent.

use super::declare::{LabelSet, LabelValue};

/// Declares an enum whose variants are the values of one label: the doc comments are the texts of
/// the metrics page.
macro_rules! label {
    (
        $(#[$outer:meta])*
        pub enum $set:ident as $name:literal {
            $( #[doc = $help:literal] $variant:ident = $value:literal, )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $set {
            $( #[doc = $help] $variant, )+
        }

        impl $set {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The value as it stands in the label.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $value, )+
                }
            }
        }

        impl LabelSet for $set {
            const NAME: &'static str = $name;
            const VALUES: &'static [LabelValue] = &[
                $( LabelValue { value: $value, help: $help.trim_ascii() }, )+
            ];

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

label! {
    /// What became of a record. Every record has exactly one.
    pub enum Disposition as "disposition" {
        /// Scored, and not odd enough to be an outlier, or muted.
        Normal = "normal",
        /// Scored, odd enough, and published.
        Outlier = "outlier",
        /// Could not be scored: it stands on the dead-letter topic.
        DeadLetter = "dead_letter",
        /// Not meant to be scored, for a reason.
        Skipped = "skipped",
    }
}

label! {
    /// Why a record was not meant to be scored.
    pub enum SkipReason as "reason" {
        /// It does not match the `where` of `[input]`.
        Filtered = "filtered",
        /// It has no value: Kafka's mark of a deleted key.
        Tombstone = "tombstone",
    }
}

label! {
    /// Why a record could not be scored.
    pub enum DeadLetterClass as "class" {
        /// Longer than `max_record_bytes`.
        TooLarge = "too_large",
        /// Not valid UTF-8.
        Utf8 = "utf8",
        /// Not valid JSON.
        JsonSyntax = "json_syntax",
        /// Nested too deeply.
        JsonDepth = "json_depth",
        /// A number that a 32-bit float cannot hold.
        NumberRange = "number_range",
        /// A configured field that stands in the record twice.
        DuplicateKey = "duplicate_key",
        /// A field of the wrong type, where the policy is to refuse it, or a record that is no object.
        TypeMismatch = "type_mismatch",
        /// A missing field, where the policy is to refuse it.
        MissingField = "missing_field",
        /// A row whose width is not the one the model was trained on.
        DimMismatch = "dim_mismatch",
        /// An event time that cannot be read.
        Timestamp = "timestamp",
        /// A payload that cannot be decompressed.
        Decompression = "decompression",
        /// Scoring it failed twice, the second time on its own.
        Panic = "panic",
        /// Scoring it ended a process.
        Crash = "crash",
    }
}

label! {
    /// What people say of an outlier.
    pub enum FeedbackLabel as "label" {
        /// Something was wrong.
        Confirmed = "confirmed",
        /// Nothing was.
        FalseAlarm = "false_alarm",
    }
}

label! {
    /// What came of a retrain.
    pub enum RetrainOutcome as "outcome" {
        /// The new model has passed its gate, and serves.
        Serves = "serves",
        /// It has passed, and is tried beside the one that serves.
        Shadow = "shadow",
        /// It has passed, and waits for somebody to promote it.
        Candidate = "candidate",
        /// It has not passed.
        Refused = "refused",
        /// The same rows have made a model that there was.
        Unchanged = "unchanged",
        /// Another instance, or one before, has seen to its slot.
        DoneBefore = "done_before",
        /// Another instance is at it.
        Elsewhere = "elsewhere",
        /// There is no new model.
        Failed = "failed",
    }
}

label! {
    /// A part of the way of a batch.
    pub enum Stage as "stage" {
        /// From bytes to rows.
        Decode = "decode",
        /// From rows to verdicts.
        Score = "score",
        /// From verdicts to durable messages.
        Publish = "publish",
        /// From durable messages to the committed offsets.
        Commit = "commit",
    }
}

label! {
    /// What a rebalance did to this instance.
    pub enum Rebalance as "kind" {
        /// It was given partitions.
        Assigned = "assigned",
        /// It had to give partitions back.
        Revoked = "revoked",
    }
}

label! {
    /// How a commit of offsets ended.
    pub enum CommitResult as "result" {
        /// The group has the offsets.
        Ok = "ok",
        /// It was refused or never answered; the offsets go with the next one.
        Failed = "failed",
    }
}

label! {
    /// Why a message was not published.
    pub enum PublishError as "reason" {
        /// Larger than the topic or the broker takes.
        TooLarge = "too_large",
        /// The cluster refused it: unknown topic, no permission, wrong configuration.
        Refused = "refused",
        /// No answer within the delivery timeout.
        Timeout = "timeout",
        /// Anything else.
        Other = "other",
    }
}

label! {
    /// A topic that outlierd writes.
    pub enum OutputTopic as "topic" {
        /// The topic of `[output]`.
        Outliers = "outliers",
        /// The topic of `[dead_letter]`.
        DeadLetters = "dead_letters",
        /// The topic of `[audit]`.
        Audit = "audit",
    }
}

label! {
    /// One end of a range.
    pub enum Bound as "bound" {
        /// Of all partitions of this instance, the smallest.
        Smallest = "smallest",
        /// Of all partitions of this instance, the largest.
        Largest = "largest",
    }
}

label! {
    /// A place where work waits.
    pub enum Queue as "queue" {
        /// Batches that wait to be scored.
        Score = "score",
        /// Batches that wait to be published.
        Publish = "publish",
        /// Messages that were produced and are not durable yet.
        InFlight = "in_flight",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_a_label_is_its_place_among_the_values() {
        for (place, class) in DeadLetterClass::ALL.iter().enumerate() {
            assert_eq!(class.index(), place);
            assert_eq!(DeadLetterClass::VALUES[place].value, class.as_str());
        }
    }
}
