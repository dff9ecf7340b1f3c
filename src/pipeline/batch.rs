//! The unit of work: whole runs of offsets, in order, of one or several partitions.

use std::ops::Range;

use super::succession::By;

/// Records and their bytes. Batches are reused: once warm, taking a record in allocates nothing.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// By which model it is judged.
    pub(super) by: By,
}

/// Where one record came from, and where its bytes lie in the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    /// Epoch milliseconds; -1 if the record has none.
    pub timestamp_ms: i64,
    /// Whether judging it ended a process.
    pub condemned: bool,
    key: Option<Range<usize>>,
    payload: Option<Range<usize>>,
}

impl Batch {
    /// Copies one record in.
    pub fn push(
        &mut self,
        partition: i32,
        offset: i64,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
    ) {
        let mut copy = |part: &[u8]| {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(part);
            start..self.bytes.len()
        };
        let record = Record {
            partition,
            offset,
            timestamp_ms,
            condemned: false,
            key: key.map(&mut copy),
            payload: payload.map(&mut copy),
        };
        self.records.push(record);
    }

    pub fn records(&self) -> &[Record] {
        &self.records
    }

    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of keys and payloads.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn key(&self, record: &Record) -> Option<&[u8]> {
        record.key.clone().map(|range| &self.bytes[range])
    }

    /// `None` is a tombstone.
    pub fn payload(&self, record: &Record) -> Option<&[u8]> {
        record.payload.clone().map(|range| &self.bytes[range])
    }

    /// Record `index` is not to be judged.
    pub(super) fn condemn(&mut self, index: usize) {
        self.records[index].condemned = true;
    }

    /// Forgets the records of `partitions`, which are somebody else's now.
    pub fn forget(&mut self, partitions: &[i32]) {
        self.records
            .retain(|record| !partitions.contains(&record.partition));
    }

    /// Empties the batch for its next use; a buffer that one huge record blew up is given back.
    pub fn clear(&mut self, keep_bytes: usize) {
        self.by = None;
        self.records.clear();
        self.bytes.clear();
        self.bytes.shrink_to(keep_bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_went_in_and_revoked_partitions_are_forgotten() {
        let mut batch = Batch::default();
        batch.push(0, 10, 5, Some(b"k"), Some(b"{}"));
        batch.push(1, 20, 6, None, None);
        batch.forget(&[0]);
        assert_eq!(batch.len(), 1);
        let record = &batch.records()[0];
        assert_eq!((record.partition, record.offset), (1, 20));
        assert_eq!((batch.key(record), batch.payload(record)), (None, None));
        batch.clear(0);
        batch.push(2, 1, -1, Some(b""), Some(b"abc"));
        let record = &batch.records()[0];
        assert_eq!(batch.payload(record), Some(&b"abc"[..]));
        assert_eq!(batch.key(record), Some(&b""[..]));
    }
}
