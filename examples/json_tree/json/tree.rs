//! The queries of a tree, however it is stored.

use super::parse::Error;
use std::fmt::Write;

/// An object with more members than this has an index beside them.
pub const LARGE: usize = 32;

/// What a value is, and a scalar's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind<'t> {
    Null,
    Bool(bool),
    Number(f64),
    Text(&'t str),
    Array,
    Object,
}

/// A value of a tree that lives for `'t`. The members of an object come in the order of their keys.
pub trait Node<'t>: Copy {
    fn kind(self) -> Kind<'t>;
    /// How many items or members there are; none in a scalar.
    fn len(self) -> usize;
    fn item(self, place: usize) -> Option<Self>;
    fn member(self, key: &str) -> Option<Self>;
    fn items(self) -> impl Iterator<Item = Self>;
    fn members(self) -> impl Iterator<Item = (&'t str, Self)>;
}

/// What is done with a tree while there is one.
pub trait Visit {
    type Result;

    /// `used` is how many bytes of an arena the tree takes; a heap does not say.
    fn visit<'t>(self, root: impl Node<'t>, used: Option<usize>) -> Self::Result;
}

/// A way of keeping trees in memory, one after the other.
pub trait Keep: Default {
    const NAME: &'static str;
    /// Bytes of a value, and of a key with its value.
    const SIZES: [usize; 2];

    /// Parses a text, has the tree visited, and gives its memory up.
    fn with_tree<V: Visit>(&mut self, text: &str, visit: V) -> Result<V::Result, Error>;
}

/// How many values there are.
pub fn count<'t>(node: impl Node<'t>) -> usize {
    let items: usize = node.items().map(count).sum();
    let members: usize = node.members().map(|(_, value)| count(value)).sum();
    1 + items + members
}

/// Writes a value as JSON, without spaces.
pub fn write<'t>(node: impl Node<'t>, out: &mut String) {
    match node.kind() {
        Kind::Null => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        // As many digits as it takes to read the same number again.
        Kind::Number(value) => _ = write!(out, "{value}"),
        Kind::Text(text) => quote(text, out),
        Kind::Array => {
            out.push('[');
            for (i, item) in node.items().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Kind::Object => {
            out.push('{');
            for (i, (key, value)) in node.members().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                quote(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\0'..='\x1f' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            _ => out.push(c),
        }
    }
    out.push('"');
}
