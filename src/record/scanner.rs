//! A strict scanner over JSON text: it moves forward, checks everything, keeps nothing.

use super::rejection::Fault;
use crate::metrics::DeadLetterClass;

/// How deep objects and arrays may nest, the outermost counted.
pub(super) const MAX_DEPTH: u32 = 32;

/// A position in text that is known to be UTF-8.
pub(super) struct Scanner<'a> {
    pub text: &'a str,
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
        }
    }

    /// The byte here, 0 at the end: no token starts with a 0.
    #[inline(always)]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// The next eight bytes, the first one lowest.
    #[inline(always)]
    pub fn word(&self) -> Option<u64> {
        let rest = self.bytes.get(self.at..)?;
        rest.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }

    #[inline(always)]
    pub fn whitespace(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    #[inline(always)]
    pub fn expect(&mut self, byte: u8, detail: &'static str) -> Result<(), Fault> {
        if self.peek() != byte {
            return Err(Fault::syntax(self.at, detail));
        }
        self.at += 1;
        Ok(())
    }

    /// Passes a comma, or the closing bracket; says whether it was the comma.
    #[inline(always)]
    pub fn goes_on(&mut self, close: u8) -> Result<bool, Fault> {
        self.whitespace();
        let byte = self.peek();
        if byte == b',' {
            self.at += 1;
            self.whitespace();
            return Ok(true);
        }
        self.expect(close, "expected a comma or the closing bracket")?;
        Ok(false)
    }

    /// Passes the colon between a key and its value.
    #[inline(always)]
    pub fn colon(&mut self) -> Result<(), Fault> {
        self.whitespace();
        self.expect(b':', "expected a colon after the key")?;
        self.whitespace();
        Ok(())
    }

    pub fn literal(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Fault::syntax(self.at, "expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// The depth of a bracket that opens here, inside `depth`.
    #[inline]
    pub fn deeper(&self, depth: u32) -> Result<u32, Fault> {
        if depth >= MAX_DEPTH {
            return Err(Fault::new(
                DeadLetterClass::JsonDepth,
                self.at,
                "objects and arrays nest deeper than 32",
            ));
        }
        Ok(depth + 1)
    }

    /// Passes one value of any kind, fully checked.
    pub fn skip(&mut self, depth: u32) -> Result<(), Fault> {
        match self.peek() {
            b'"' => {
                self.at += 1;
                self.string().map(drop)
            }
            b'-' | b'0'..=b'9' => self.skip_number(),
            b'{' => self.skip_object(depth),
            b'[' => self.skip_array(depth),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            _ => self.literal("null"),
        }
    }

    fn skip_object(&mut self, depth: u32) -> Result<(), Fault> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.whitespace();
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.expect(b'"', "expected a key in double quotes")?;
            self.string()?;
            self.colon()?;
            self.skip(depth)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    fn skip_array(&mut self, depth: u32) -> Result<(), Fault> {
        let depth = self.deeper(depth)?;
        self.at += 1;
        self.whitespace();
        if self.peek() == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip(depth)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), Fault> {
        self.whitespace();
        if self.at < self.bytes.len() {
            return Err(Fault::syntax(self.at, "text follows the end of the record"));
        }
        Ok(())
    }
}
