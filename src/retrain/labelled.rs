//! Records of the training range that people have said something of.

use crate::config::{Config, Kind};
use crate::record::{Decoder, PathError, Vocabularies};
use crate::training::Lesson;

/// Raw records by what they were.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labelled {
    /// Nothing was wrong: they are fitted on, however odd they look.
    pub false_alarms: Vec<Vec<u8>>,
    /// Something was: they are learnt from in no way.
    pub confirmed: Vec<Vec<u8>>,
}

impl Labelled {
    /// The cells of the false alarms, as the lesson has them.
    pub(super) fn rows(
        &self,
        config: &Config,
        lesson: &Lesson,
    ) -> Result<Vec<Vec<f64>>, PathError> {
        let mut decoder = Decoder::new(&config.fields, &config.input)?;
        let words = lesson
            .fields()
            .iter()
            .filter(|field| field.kind == Kind::Categorical);
        let mut words = Vocabularies::frozen(words.map(|field| field.words.clone()).collect());
        let mut rows = Vec::new();
        for record in &self.false_alarms {
            let mut cells = vec![f64::NAN; config.fields.len()];
            if decoder.decode(record, &mut words, &mut cells).is_ok() {
                rows.push(cells);
            }
        }
        Ok(rows)
    }
}
