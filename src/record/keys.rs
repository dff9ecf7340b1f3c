//! The keys of one object, found by their bytes.

/// A configured key. It is compared as it stands in a record, with its closing quote and colon; a
/// record that spells it otherwise (escapes, a space before the colon) takes the table.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub name: String,
    /// The bytes after the opening quote, up to and with the colon.
    quoted: Box<[u8]>,
    /// The first sixteen of them, and which bits of those count.
    prefix: u128,
    mask: u128,
}

impl Key {
    pub fn new(name: &str) -> Self {
        let plain = !name.bytes().any(|b| b == b'"' || b == b'\\' || b < 0x20);
        // A name that only escapes can spell must never match as it stands: no text holds 0xFF.
        let quoted = if plain {
            [name.as_bytes(), b"\":"].concat()
        } else {
            vec![0xFF]
        };
        let mut prefix = [0; 16];
        let mut mask = [0; 16];
        for (i, &byte) in quoted.iter().take(16).enumerate() {
            prefix[i] = byte;
            mask[i] = 0xFF;
        }
        Self {
            name: name.to_owned(),
            quoted: quoted.into(),
            prefix: u128::from_le_bytes(prefix),
            mask: u128::from_le_bytes(mask),
        }
    }

    /// The length of this key with its quote and colon, if `rest` (after an opening quote) starts
    /// with it.
    #[inline(always)]
    pub fn starts(&self, rest: &[u8]) -> Option<usize> {
        let same = match rest.first_chunk() {
            Some(chunk) => {
                u128::from_le_bytes(*chunk) & self.mask == self.prefix
                    && (self.quoted.len() <= 16 || rest[16..].starts_with(&self.quoted[16..]))
            }
            None => rest.starts_with(&self.quoted),
        };
        same.then_some(self.quoted.len())
    }
}

/// An open-addressed table from key to member, at most half full.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyTable {
    /// Members plus one; 0 is empty. A power of two long.
    slots: Vec<u32>,
}

impl KeyTable {
    pub fn new<'a>(keys: impl Iterator<Item = (usize, &'a str)> + Clone) -> Self {
        let size = (2 * keys.clone().count()).next_power_of_two().max(4);
        let mut slots = vec![0; size];
        for (member, name) in keys {
            let mut slot = hash(name.as_bytes()) & (size - 1);
            while slots[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            slots[slot] = member as u32 + 1;
        }
        Self { slots }
    }

    /// The member for which `is` holds among those whose key may be `name`.
    #[inline]
    pub fn find(&self, name: &[u8], is: impl Fn(usize) -> bool) -> Option<usize> {
        let last = self.slots.len().checked_sub(1)?;
        let mut slot = hash(name) & last;
        loop {
            let member = (self.slots[slot] as usize).checked_sub(1)?;
            if is(member) {
                return Some(member);
            }
            slot = (slot + 1) & last;
        }
    }
}

/// Mixes the length, the first eight and the last eight bytes. The table holds configured names
/// only, so a hostile record cannot make chains longer.
#[inline]
fn hash(name: &[u8]) -> usize {
    let (first, last) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => {
            let few = name
                .iter()
                .fold(0, |word: u64, &byte| word << 8 | u64::from(byte));
            (few, 0)
        }
    };
    let mixed =
        (first ^ last.rotate_left(29) ^ name.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as usize
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_matches_itself_and_nothing_else() {
        for length in [0, 1, 7, 8, 14, 15, 16, 17, 40] {
            let name = "k".repeat(length);
            let key = Key::new(&name);
            for tail in ["", "1", " 12345678901234567890"] {
                let same = format!("{name}\":{tail}");
                assert_eq!(key.starts(same.as_bytes()), Some(length + 2));
                let longer = format!("{name}k\":{tail}");
                assert_eq!(key.starts(longer.as_bytes()), None);
            }
            assert_eq!(key.starts(name.as_bytes()), None);
        }
    }

    #[test]
    fn a_key_that_needs_escapes_never_matches_raw() {
        let key = Key::new("a\"b");
        assert_eq!(key.starts(b"a\"b\":1"), None);
        assert_eq!(key.starts(b"a\"b\":1                   "), None);
    }

    #[test]
    fn the_table_finds_all_keys_and_no_other() {
        let names: Vec<String> = (0..500).map(|i| format!("sensor_{i}")).collect();
        let table = KeyTable::new(names.iter().map(String::as_str).enumerate());
        let find = |name: &str| table.find(name.as_bytes(), |member| names[member] == name);
        for (member, name) in names.iter().enumerate() {
            assert_eq!(find(name), Some(member));
        }
        assert_eq!(find("sensor_500"), None);
        assert_eq!(KeyTable::default().find(b"a", |_| true), None);
    }
}
