//! The configured paths as a tree of keys, in step with which a record is read.

use std::sync::Arc;

use super::keys::{Key, KeyTable};
use crate::config::{Condition, Field, Input, Kind};

/// Paths that no record can satisfy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error(
        "path `{0}` has an empty part: write the keys with one dot between them, such as `cpu.user`"
    )]
    Empty(String),
    #[error("path `{0}` is listed twice in [[fields]]: remove one of them")]
    Twice(String),
    #[error(
        "path `{0}` is used as a value and as an object with fields below it: name one or the other"
    )]
    LeafAndObject(String),
}

/// All paths; nodes and members refer to each other by index. Node 0 is the record itself.
#[derive(Debug)]
pub(super) struct Paths {
    pub nodes: Vec<Node>,
    pub members: Vec<Member>,
    /// How many conditions a record must meet.
    pub conditions: usize,
}

/// An object or array that some path leads through.
#[derive(Debug, Default)]
pub(super) struct Node {
    members: Vec<usize>,
    table: KeyTable,
    /// The members that can name an element of an array, in the order of the elements.
    pub elements: Vec<(usize, usize)>,
}

/// One key of a node.
#[derive(Debug)]
pub(super) struct Member {
    pub key: Key,
    /// The whole path down to here.
    pub path: Arc<str>,
    pub leaf: Leaf,
    /// What lies below, if a path goes on.
    pub node: Option<usize>,
}

/// What the value of a member is wanted for.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    pub cell: Option<Cell>,
    pub is_key: bool,
    pub is_time: bool,
    pub tests: Vec<Test>,
    /// Whether anything but the cell is wanted.
    pub has_extras: bool,
    /// The index of the cell where a number is all that is wanted.
    pub number: Option<usize>,
}

/// The cell that a field fills.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub index: usize,
    pub kind: Kind,
    /// Position among the categorical fields.
    pub vocabulary: usize,
}

/// A condition, seen from the value that it looks at.
#[derive(Debug)]
pub(super) enum Test {
    Exists,
    Text(String),
}

impl Paths {
    pub fn new(fields: &[Field], input: &Input) -> Result<Self, PathError> {
        let mut paths = Self {
            nodes: vec![Node::default()],
            members: Vec::new(),
            conditions: 0,
        };
        let mut vocabulary = 0;
        for (index, field) in fields.iter().enumerate() {
            let leaf = paths.leaf(&field.path)?;
            if leaf.cell.is_some() {
                return Err(PathError::Twice(field.path.clone()));
            }
            leaf.cell = Some(Cell {
                index,
                kind: field.kind,
                vocabulary,
            });
            vocabulary += usize::from(field.kind == Kind::Categorical);
        }
        if let Some(path) = &input.key {
            paths.leaf(path)?.is_key = true;
        }
        if let Some(path) = &input.time {
            paths.leaf(path)?.is_time = true;
        }
        for condition in input.filter.iter().flat_map(|filter| &filter.conditions) {
            let (path, test) = match condition {
                Condition::Exists { path } => (path, Test::Exists),
                Condition::Equals { path, value } => (path, Test::Text(value.clone())),
            };
            paths.leaf(path)?.tests.push(test);
            paths.conditions += 1;
        }
        paths.finish()
    }

    /// The member of a node that has this name.
    #[inline]
    pub fn find(&self, node: &Node, name: &[u8]) -> Option<usize> {
        node.table.find(name, |member| {
            self.members[member].key.name.as_bytes() == name
        })
    }

    /// Which member is likely to come first in each node and after each member: the order of the
    /// configuration. Entry `member` is what follows it, entry `members + node` what comes first.
    pub fn configured_order(&self) -> Vec<usize> {
        let none = usize::MAX;
        let mut order = vec![none; self.members.len() + self.nodes.len()];
        for (node, members) in self.nodes.iter().map(|node| &node.members).enumerate() {
            order[self.members.len() + node] = members.first().copied().unwrap_or(none);
            for pair in members.windows(2) {
                order[pair[0]] = pair[1];
            }
        }
        order
    }

    fn leaf(&mut self, path: &str) -> Result<&mut Leaf, PathError> {
        let parts = split_path(path);
        if parts.iter().any(String::is_empty) {
            return Err(PathError::Empty(path.to_owned()));
        }
        let mut node = 0;
        let mut member = 0;
        for depth in 0..parts.len() {
            if depth > 0 {
                node = self.node_below(member);
            }
            member = self.member(node, &parts[..=depth]);
        }
        Ok(&mut self.members[member].leaf)
    }

    fn node_below(&mut self, member: usize) -> usize {
        let next = self.nodes.len();
        let node = *self.members[member].node.get_or_insert(next);
        if node == next {
            self.nodes.push(Node::default());
        }
        node
    }

    fn member(&mut self, node: usize, parts: &[String]) -> usize {
        let name = parts.last().map_or("", String::as_str);
        let known = self.nodes[node].members.iter().copied();
        if let Some(member) = known
            .into_iter()
            .find(|&m| self.members[m].key.name == name)
        {
            return member;
        }
        self.members.push(Member {
            key: Key::new(name),
            path: join_path(parts).into(),
            leaf: Leaf::default(),
            node: None,
        });
        self.nodes[node].members.push(self.members.len() - 1);
        self.members.len() - 1
    }

    fn finish(mut self) -> Result<Self, PathError> {
        for Member {
            leaf, node, path, ..
        } in &mut self.members
        {
            let texts = leaf.tests.iter().any(|test| matches!(test, Test::Text(_)));
            leaf.has_extras = leaf.is_key || leaf.is_time || !leaf.tests.is_empty();
            let numeric = leaf.cell.filter(|cell| cell.kind == Kind::Numeric);
            leaf.number = numeric.filter(|_| !leaf.has_extras).map(|cell| cell.index);
            let needs_a_value = leaf.cell.is_some() || leaf.is_key || leaf.is_time || texts;
            if needs_a_value && node.is_some() {
                return Err(PathError::LeafAndObject(path.to_string()));
            }
        }
        for node in &mut self.nodes {
            let named = node
                .members
                .iter()
                .map(|&m| (m, self.members[m].key.name.as_str()));
            node.table = KeyTable::new(named.clone());
            node.elements = named
                .filter_map(|(m, name)| Some((element(name)?, m)))
                .collect();
            node.elements.sort_unstable();
        }
        Ok(self)
    }
}

/// The array index that `name` spells.
fn element(name: &str) -> Option<usize> {
    let index: usize = name.parse().ok()?;
    (index.to_string() == name).then_some(index)
}

/// The keys of a dotted path: `cpu.user` is `cpu`, then `user`. A backslash takes the next
/// character as it is, so that `cpu\.user` is one key.
pub fn split_path(path: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            '.' => {
                parts.push(String::new());
                continue;
            }
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        };
        if let Some(part) = parts.last_mut() {
            part.push(literal);
        }
    }
    parts
}

/// The dotted path of some keys: the inverse of [`split_path`].
pub fn join_path<S: AsRef<str>>(parts: &[S]) -> String {
    let escape = |part: &S| part.as_ref().replace('\\', "\\\\").replace('.', "\\.");
    parts.iter().map(escape).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixtures::{field, input};
    use super::*;

    #[test]
    fn a_path_and_its_keys_are_inverse() {
        for (path, parts) in [
            ("a", vec!["a"]),
            ("cpu.user", vec!["cpu", "user"]),
            ("cpu\\.user.x", vec!["cpu.user", "x"]),
            ("a\\\\.b", vec!["a\\", "b"]),
        ] {
            assert_eq!(split_path(path), parts);
            assert_eq!(join_path(&parts), path);
        }
    }

    #[test]
    fn paths_that_cannot_hold_together_are_refused() {
        let paths = |names: &[&str]| {
            let fields: Vec<Field> = names.iter().map(|n| field(n, Kind::Numeric)).collect();
            Paths::new(&fields, &input()).map(drop)
        };
        assert_eq!(paths(&["a", "b.c", "b.d"]), Ok(()));
        assert_eq!(paths(&["a", "a"]), Err(PathError::Twice("a".into())));
        assert_eq!(
            paths(&["a", "a.b"]),
            Err(PathError::LeafAndObject("a".into()))
        );
        assert_eq!(
            paths(&["a.b.c", "a.b"]),
            Err(PathError::LeafAndObject("a.b".into()))
        );
        assert_eq!(paths(&["a..b"]), Err(PathError::Empty("a..b".into())));
        assert_eq!(paths(&[""]), Err(PathError::Empty("".into())));
    }
}
