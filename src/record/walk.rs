//! Walks the paths along with a record, in one pass over its text.

use super::cells::Value;
use super::paths::Paths;
use super::rejection::Fault;
use super::scanner::Scanner;
use super::scratch::Scratch;
use crate::config::Policy;
use crate::metrics::DeadLetterClass;

pub(super) struct Walk<'a> {
    pub scanner: Scanner<'a>,
    pub paths: &'a Paths,
    pub scratch: &'a mut Scratch,
    pub cells: &'a mut [f64],
    pub wrong_type: Policy,
}

impl Walk<'_> {
    /// Reads the whole record. Faults are those that hold whatever the filter says.
    pub fn record(&mut self) -> Result<(), Fault> {
        self.scanner.whitespace();
        if self.scanner.peek() != b'{' {
            let start = self.scanner.at;
            self.scanner.skip(0)?;
            self.scanner.end()?;
            let detail = "the record is not an object";
            return Err(Fault::new(DeadLetterClass::TypeMismatch, start, detail));
        }
        self.object(0, 0)?;
        self.scanner.end()
    }

    /// Passes the object that opens here, which lies in `depth` others.
    fn object(&mut self, node: usize, depth: u32) -> Result<(), Fault> {
        let depth = self.scanner.deeper(depth)?;
        self.scanner.at += 1;
        self.scanner.whitespace();
        if self.scanner.peek() == b'}' {
            self.scanner.at += 1;
            return Ok(());
        }
        let mut place = self.paths.members.len() + node;
        loop {
            let detail = "expected a key in double quotes";
            self.scanner.expect(b'"', detail)?;
            match self.key(node, place)? {
                Some(member) => {
                    place = member;
                    self.member(member, depth)?;
                }
                None => self.scanner.skip(depth)?,
            }
            if !self.scanner.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// Passes a key and its colon and returns its member, after the member or node entry `place`.
    #[inline(always)]
    fn key(&mut self, node: usize, place: usize) -> Result<Option<usize>, Fault> {
        let expected = self.scratch.next[place];
        if let Some(member) = self.paths.members.get(expected)
            && let Some(rest) = self.scanner.bytes.get(self.scanner.at..)
            && let Some(length) = member.key.starts(rest)
        {
            self.scanner.at += length;
            self.scanner.whitespace();
            return Ok(Some(expected));
        }
        self.other_key(node, place)
    }

    /// Looks a key up, and expects it at this place from now on.
    fn other_key(&mut self, node: usize, place: usize) -> Result<Option<usize>, Fault> {
        let key = self.scanner.string()?;
        let node = &self.paths.nodes[node];
        let name = self.scratch.text_of(&self.scanner, &key);
        let found = self.paths.find(node, name.as_bytes());
        if let Some(member) = found {
            self.scratch.next[place] = member;
        }
        self.scanner.colon()?;
        Ok(found)
    }

    /// Passes the array that opens here, which lies in `depth` others.
    fn array(&mut self, node: usize, depth: u32) -> Result<(), Fault> {
        let depth = self.scanner.deeper(depth)?;
        self.scanner.at += 1;
        self.scanner.whitespace();
        if self.scanner.peek() == b']' {
            self.scanner.at += 1;
            return Ok(());
        }
        let paths = self.paths;
        let mut wanted = paths.nodes[node].elements.iter().peekable();
        for index in 0.. {
            match wanted.next_if(|(element, _)| *element == index) {
                Some(&(_, member)) => self.member(member, depth)?,
                None => self.scanner.skip(depth)?,
            }
            if !self.scanner.goes_on(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// Passes the value of a member, inside an object or array at `depth`.
    #[inline(always)]
    fn member(&mut self, index: usize, depth: u32) -> Result<(), Fault> {
        if self.scratch.seen[index] == self.scratch.generation {
            let detail = "the key stands twice in its object";
            let fault = Fault::new(DeadLetterClass::DuplicateKey, self.scanner.at, detail);
            return Err(fault.in_member(index));
        }
        self.scratch.seen[index] = self.scratch.generation;
        let member = &self.paths.members[index];
        // Most values by far; none so short is beyond an `f32`.
        if let Some(cell) = member.leaf.number
            && let Some(value) = self.scanner.short_number()
        {
            self.cells[cell] = value;
            return Ok(());
        }
        match member.node {
            Some(node) => self.branch(index, node, depth),
            None => {
                let start = self.scanner.at;
                let value = self.value(depth)?;
                self.take(index, start, value);
                Ok(())
            }
        }
    }

    fn branch(&mut self, index: usize, node: usize, depth: u32) -> Result<(), Fault> {
        let first = self.scanner.peek();
        match first {
            b'{' => self.object(node, depth)?,
            b'[' => self.array(node, depth)?,
            _ => self.scanner.skip(depth)?,
        }
        if first != b'n' {
            self.scratch.conditions_met += self.paths.members[index].leaf.tests.len();
        }
        Ok(())
    }

    #[inline(always)]
    fn value(&mut self, depth: u32) -> Result<Value, Fault> {
        let start = self.scanner.at;
        Ok(match self.scanner.peek() {
            b'-' | b'0'..=b'9' => {
                let value = self.scanner.number()?;
                let token = start..self.scanner.at;
                Value::Number { value, token }
            }
            b'"' => {
                self.scanner.at += 1;
                Value::Text(self.scanner.string()?)
            }
            b't' => {
                self.scanner.literal("true")?;
                Value::Boolean(true)
            }
            b'f' => {
                self.scanner.literal("false")?;
                Value::Boolean(false)
            }
            b'n' => {
                self.scanner.literal("null")?;
                Value::Null
            }
            _ => {
                self.scanner.skip(depth)?;
                Value::Container
            }
        })
    }
}
