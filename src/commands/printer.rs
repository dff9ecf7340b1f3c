//! Rows on standard output, as lines of JSON or as CSV.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::cli::RowFormat;
use crate::detect::Model;
use crate::record::{PathError, Writer};

/// Standard output, buffered. An early end of who reads it is an error like any other, which the
/// dispatch of the commands takes for a good end.
pub(super) struct Printer {
    output: BufWriter<StdoutLock<'static>>,
}

impl Printer {
    pub fn new() -> Printer {
        let output = BufWriter::new(io::stdout().lock());
        Printer { output }
    }

    pub fn line(&mut self, text: &str) -> io::Result<()> {
        self.output.write_all(text.as_bytes())?;
        self.output.write_all(b"\n")
    }

    /// A line of CSV.
    pub fn row<T: AsRef<[u8]>>(&mut self, texts: impl IntoIterator<Item = T>) -> io::Result<()> {
        let mut line = csv::Writer::from_writer(Vec::new());
        line.write_record(texts).map_err(io::Error::other)?;
        let line = line.into_inner().map_err(csv::IntoInnerError::into_error)?;
        self.output.write_all(&line)
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Records of a model's fields on standard output.
pub(super) struct Records {
    printer: Printer,
    writer: Writer,
    format: RowFormat,
    fields: usize,
    text: String,
}

impl Records {
    pub fn new(model: &Model, format: RowFormat) -> anyhow::Result<Records> {
        let mut printer = Printer::new();
        let writer = writer(model)?;
        if format == RowFormat::Csv {
            printer.row(writer.names())?;
        }
        Ok(Records {
            printer,
            writer,
            format,
            fields: model.encoding.fields.len(),
            text: String::new(),
        })
    }

    /// Prints the records of `cells`, rows x fields.
    pub fn print(&mut self, cells: &[f64]) -> io::Result<()> {
        for row in cells.chunks_exact(self.fields) {
            match self.format {
                RowFormat::Csv => self.printer.row(self.writer.texts(row))?,
                RowFormat::Ndjson => {
                    self.text.clear();
                    self.writer.json(row, &mut self.text);
                    self.printer.line(&self.text)?;
                }
            }
        }
        Ok(())
    }

    pub fn finish(self) -> io::Result<()> {
        self.printer.finish()
    }
}

fn writer(model: &Model) -> Result<Writer, PathError> {
    let fields = model.encoding.fields.iter();
    Writer::new(fields.map(|field| (field.path.as_str(), field.kind, &field.vocabulary[..])))
}

/// A line on standard error, for people; lost if nobody listens there.
pub(super) fn note(text: std::fmt::Arguments<'_>) {
    writeln!(io::stderr(), "outlierd: {text}").ok();
}

/// The end of a note on records: which fields they lack.
pub(super) fn lacking(model: &Model) -> String {
    let unused: Vec<&str> = model.unused_fields().collect();
    match unused[..] {
        [] => String::new(),
        _ => format!(
            "; without {}, constant or absent in training",
            unused.join(", ")
        ),
    }
}
