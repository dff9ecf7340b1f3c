//! The closed sets that label metrics and messages.

/// Why a record became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadLetterClass {
    TooLarge,
    Utf8,
    JsonSyntax,
    JsonDepth,
    NumberRange,
    DuplicateKey,
    TypeMismatch,
    MissingField,
    DimMismatch,
    Timestamp,
    Decompression,
    Panic,
}

impl DeadLetterClass {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Utf8 => "utf8",
            Self::JsonSyntax => "json_syntax",
            Self::JsonDepth => "json_depth",
            Self::NumberRange => "number_range",
            Self::DuplicateKey => "duplicate_key",
            Self::TypeMismatch => "type_mismatch",
            Self::MissingField => "missing_field",
            Self::DimMismatch => "dim_mismatch",
            Self::Timestamp => "timestamp",
            Self::Decompression => "decompression",
            Self::Panic => "panic",
        }
    }
}

/// Why a record was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    Tombstone,
    Filtered,
}

impl SkipReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::Filtered => "filtered",
        }
    }
}
