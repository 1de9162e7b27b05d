//! How the child's arena is laid out, as the child tells it.

use serde::{Deserialize, Serialize};

/// A region from the guard before its head to the guard behind its end. Offsets are bytes from its first byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layout {
    /// The address of the first byte, in hexadecimal.
    pub base: String,
    /// Where the committed part ends.
    pub frontier: i64,
    /// Where the reservation ends.
    pub reserved: i64,
    /// One after the other, without gaps.
    pub parts: Vec<Part>,
    /// What is worth a name and no part.
    pub marks: Vec<Mark>,
    /// The byte that is touched next.
    pub touched: i64,
}

/// Bytes that have something in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its first byte.
    pub start: i64,
    /// The byte after its last one.
    pub end: i64,
    /// What it is.
    pub what: String,
    /// Whether it can be touched.
    pub nature: Nature,
}

/// Whether bytes can be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nature {
    /// They are accessible.
    Open,
    /// A touch is growth.
    Grows,
    /// Inaccessible until the arena has a use for them.
    Closed,
    /// Never to be touched.
    Guard,
}

/// A name for an offset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// The offset.
    pub at: i64,
    /// The name.
    pub name: String,
}

impl Layout {
    /// Nothing yet but a guard before the head.
    pub fn new(base: usize, guard: usize) -> Self {
        let mut layout = Layout {
            base: format!("{base:#x}"),
            frontier: 0,
            reserved: 0,
            parts: Vec::new(),
            marks: vec![Mark { at: 0, name: "head".into() }],
            touched: 0,
        };
        let guard = Part {
            start: -signed(guard),
            end: 0,
            what: "guard before the head".into(),
            nature: Nature::Guard,
        };
        layout.parts.push(guard);
        layout
    }

    /// What follows the last part up to `end`; nothing if that is where it ends already.
    pub fn up_to(&mut self, end: usize, what: impl Into<String>, nature: Nature) {
        let start = self.parts.last().map_or(0, |last| last.end);
        let end = signed(end);
        if start < end {
            self.parts.push(Part { start, end, what: what.into(), nature });
        }
    }

    /// Names an offset.
    pub fn mark(&mut self, at: usize, name: &str) {
        self.marks.push(Mark { at: signed(at), name: name.into() });
    }
}

/// Nothing here is larger than an address space is.
pub fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
