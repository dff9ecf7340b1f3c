//! Which format a file has.

use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];
const BYTE_ORDER_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    Ndjson,
}

/// The format, by the name or else by the first bytes, and the text, unpacked and without its byte
/// order mark.
pub(super) fn detect(
    path: &Path,
    mut reader: BufReader<std::fs::File>,
) -> io::Result<(Format, Box<dyn BufRead + Send>)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_lowercase();
    let plain_name = name.strip_suffix(".gz");
    let zipped = plain_name.is_some() || reader.fill_buf()?.starts_with(&GZIP_MAGIC);
    let mut reader: Box<dyn BufRead + Send> = if zipped {
        Box::new(BufReader::new(MultiGzDecoder::new(reader)))
    } else {
        Box::new(reader)
    };
    if reader.fill_buf()?.starts_with(&BYTE_ORDER_MARK) {
        reader.consume(BYTE_ORDER_MARK.len());
    }
    let format = match by_name(plain_name.unwrap_or(&name)) {
        Some(format) => format,
        None => by_text(reader.fill_buf()?),
    };
    Ok((format, reader))
}

fn by_name(name: &str) -> Option<Format> {
    match name.rsplit_once('.')?.1 {
        "csv" => Some(Format::Csv),
        "ndjson" | "jsonl" | "json" => Some(Format::Ndjson),
        _ => None,
    }
}

fn by_text(start: &[u8]) -> Format {
    match start.trim_ascii_start().first() {
        Some(b'{') => Format::Ndjson,
        _ => Format::Csv,
    }
}
