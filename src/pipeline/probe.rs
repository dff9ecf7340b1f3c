//! The other end of the [`super::Sandbox`]: judges records one at a time, in a process that may die of it.

use std::io::{self, Read, Write};

use super::{Batch, Judge, Messages, Record};

/// Said once the judge is made, and after every record that did no harm.
pub(super) const ALIVE: u8 = b'+';

/// No key, or no payload.
const ABSENT: u64 = u64::MAX;

/// Judges what comes on `input` and says on `output` that it is still alive, until the input ends.
///
/// # Errors
/// When one of them breaks.
pub fn probe(
    judge: &mut Judge,
    messages: &mut Messages,
    mut input: impl Read,
    mut output: impl Write,
) -> io::Result<()> {
    let mut batch = Batch::default();
    output.write_all(&[ALIVE])?;
    output.flush()?;
    while read(&mut input, &mut batch)? {
        let judged = judge.judge(&batch);
        for finding in &judged.outliers {
            messages.outlier(&batch, finding);
        }
        for dead in &judged.dead_letters {
            messages.dead_letter(&batch, dead);
        }
        output.write_all(&[ALIVE])?;
        output.flush()?;
        batch.clear(1 << 20);
    }
    Ok(())
}

/// Writes one record of `batch`: its numbers, the lengths of key and payload, and their bytes.
pub(super) fn write(output: &mut impl Write, batch: &Batch, record: &Record) -> io::Result<()> {
    let (key, payload) = (batch.key(record), batch.payload(record));
    let length = |part: Option<&[u8]>| part.map_or(ABSENT, |part| part.len() as u64);
    output.write_all(&record.partition.to_le_bytes())?;
    output.write_all(&record.offset.to_le_bytes())?;
    output.write_all(&record.timestamp_ms.to_le_bytes())?;
    output.write_all(&length(key).to_le_bytes())?;
    output.write_all(&length(payload).to_le_bytes())?;
    output.write_all(key.unwrap_or_default())?;
    output.write_all(payload.unwrap_or_default())?;
    output.flush()
}

/// Reads one record into `batch`; false at the end.
fn read(input: &mut impl Read, batch: &mut Batch) -> io::Result<bool> {
    let mut partition = [0; 4];
    match input.read_exact(&mut partition) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        read => read?,
    }
    let mut numbers = [[0; 8]; 4];
    for number in &mut numbers {
        input.read_exact(number)?;
    }
    let [offset, timestamp_ms, key, payload] = numbers;
    let mut part = |length: [u8; 8]| match u64::from_le_bytes(length) {
        ABSENT => Ok(None),
        length => {
            let mut bytes = Vec::new();
            let read = input.by_ref().take(length).read_to_end(&mut bytes)?;
            match read as u64 == length {
                true => Ok(Some(bytes)),
                false => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        }
    };
    let (key, payload) = (part(key)?, part(payload)?);
    batch.push(
        i32::from_le_bytes(partition),
        i64::from_le_bytes(offset),
        i64::from_le_bytes(timestamp_ms),
        key.as_deref(),
        payload.as_deref(),
    );
    Ok(true)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_comes_out_as_it_went_in(
            partition: i32, offset: i64, timestamp_ms: i64,
            key in prop::option::of(prop::collection::vec(any::<u8>(), 0..20)),
            payload in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        ) {
            let mut batch = Batch::default();
            batch.push(partition, offset, timestamp_ms, key.as_deref(), payload.as_deref());
            let mut bytes = Vec::new();
            write(&mut bytes, &batch, &batch.records()[0]).unwrap();
            let (mut input, mut back) = (&bytes[..], Batch::default());
            prop_assert!(read(&mut input, &mut back).unwrap());
            prop_assert!(!read(&mut input, &mut Batch::default()).unwrap());
            let record = &back.records()[0];
            prop_assert_eq!((record.partition, record.offset), (partition, offset));
            prop_assert_eq!(record.timestamp_ms, timestamp_ms);
            prop_assert_eq!(back.key(record), key.as_deref());
            prop_assert_eq!(back.payload(record), payload.as_deref());
        }
    }
}
