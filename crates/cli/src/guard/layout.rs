//! The layout of the child's arena, as the child prints it.

use serde::{Deserialize, Serialize};

/// A region from the guard before its head to the guard behind its end. Offsets are bytes from its first byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layout {
    /// The address of the first byte, in hexadecimal.
    pub base: String,
    /// The end of the committed part.
    pub frontier: i64,
    /// The end of the reservation.
    pub reserved: i64,
    /// The parts in order, without gaps.
    pub parts: Vec<Part>,
    /// Names for offsets.
    pub marks: Vec<LayoutMark>,
    /// The byte that is touched next.
    pub touched: i64,
}

/// A range of bytes of the same kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its first byte.
    pub start: i64,
    /// The byte after its last byte.
    pub end: i64,
    /// The label.
    pub what: String,
    /// What a touch of it does. (`nature` in JSON.)
    #[serde(rename = "nature")]
    pub accessibility: Accessibility,
}

/// What a touch of a byte does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accessibility {
    /// They are accessible.
    #[serde(rename = "open")]
    Accessible,
    /// A touch is growth.
    Grows,
    /// Inaccessible until the arena uses them.
    #[serde(rename = "closed")]
    Inaccessible,
    /// Never accessible.
    Guard,
}

/// A name for an offset.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayoutMark {
    /// The offset.
    pub at: i64,
    /// The name.
    pub name: String,
}

impl Layout {
    /// A layout that has only a guard before the head.
    pub fn new(base: usize, guard: usize) -> Self {
        let mut layout = Layout {
            base: format!("{base:#x}"),
            frontier: 0,
            reserved: 0,
            parts: Vec::new(),
            marks: vec![LayoutMark { at: 0, name: "head".into() }],
            touched: 0,
        };
        let guard = Part {
            start: -signed(guard),
            end: 0,
            what: "guard before the head".into(),
            accessibility: Accessibility::Guard,
        };
        layout.parts.push(guard);
        layout
    }

    /// Adds a part from the end of the last one to `end`, if it is not empty.
    pub fn up_to(&mut self, end: usize, what: impl Into<String>, accessibility: Accessibility) {
        let start = self.parts.last().map_or(0, |last| last.end);
        let end = signed(end);
        if start < end {
            self.parts.push(Part { start, end, what: what.into(), accessibility });
        }
    }

    /// Adds a name for an offset.
    pub fn mark(&mut self, at: usize, name: &str) {
        self.marks.push(LayoutMark { at: signed(at), name: name.into() });
    }
}

/// Converts a size; no size here exceeds an address space.
pub fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
