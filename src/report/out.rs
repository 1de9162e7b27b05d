//! Facts in two shapes: lines for people, one object for programs. Neither allocates.

use super::text::{Bytes, Escaped};
use core::fmt;

/// A fact's value.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Bytes(u64),
    Count(u64),
    Nanoseconds(u64),
    Text(&'a str),
}

/// Where facts go, section by section. A section has one entry, or several in a list.
pub(super) trait Out {
    fn section(&mut self, name: &str, is_list: bool) -> fmt::Result;
    fn entry(&mut self) -> fmt::Result;
    fn fact(&mut self, key: &str, value: Value<'_>) -> fmt::Result;
    fn end_entry(&mut self) -> fmt::Result;
    fn end_section(&mut self) -> fmt::Result;
}

/// Lines: the section's name, then its facts separated by commas; one line for each entry.
pub(super) struct Lines<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    name: Padded,
    is_first: bool,
    /// Nothing was written yet.
    is_empty: bool,
}

/// The first twelve bytes of a name, and then blanks: the entries after the first have no name.
struct Padded([u8; 12]);

impl Padded {
    fn new(name: &str) -> Self {
        let mut bytes = [b' '; 12];
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
        Padded(bytes)
    }
}

impl<'a, 'b> Lines<'a, 'b> {
    /// Lines after what was written already, unless that `is_empty`.
    pub(super) fn to(to: &'a mut fmt::Formatter<'b>, is_empty: bool) -> Self {
        Lines { to, name: Padded::new(""), is_first: true, is_empty }
    }
}

impl Out for Lines<'_, '_> {
    fn section(&mut self, name: &str, _is_list: bool) -> fmt::Result {
        self.name = Padded::new(name);
        Ok(())
    }

    fn entry(&mut self) -> fmt::Result {
        self.is_first = true;
        let name = core::str::from_utf8(&self.name.0).unwrap_or_default();
        let feed = if core::mem::take(&mut self.is_empty) { "" } else { "\n" };
        write!(self.to, "{feed}  {name} ")?;
        self.name = Padded::new("");
        Ok(())
    }

    fn fact(&mut self, key: &str, value: Value<'_>) -> fmt::Result {
        if !core::mem::take(&mut self.is_first) {
            self.to.write_str(", ")?;
        }
        for part in key.split('_') {
            self.to.write_str(part)?;
            self.to.write_str(" ")?;
        }
        match value {
            Value::Bytes(bytes) => write!(self.to, "{}", Bytes(bytes)),
            Value::Count(count) => write!(self.to, "{count}"),
            Value::Nanoseconds(ns) if ns < 10_000_000 => write!(self.to, "{} µs", ns / 1000),
            Value::Nanoseconds(ns) => write!(self.to, "{} ms", ns / 1_000_000),
            Value::Text(text) => self.to.write_str(text),
        }
    }

    fn end_entry(&mut self) -> fmt::Result {
        Ok(())
    }

    fn end_section(&mut self) -> fmt::Result {
        Ok(())
    }
}

/// Members of a JSON object, each after a comma. Bytes and nanoseconds are numbers.
pub(super) struct Members<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    is_list: bool,
    entries: u32,
    is_first: bool,
}

impl<'a, 'b> Members<'a, 'b> {
    pub(super) fn to(to: &'a mut fmt::Formatter<'b>) -> Self {
        Members { to, is_list: false, entries: 0, is_first: true }
    }
}

impl Out for Members<'_, '_> {
    fn section(&mut self, name: &str, is_list: bool) -> fmt::Result {
        (self.is_list, self.entries) = (is_list, 0);
        self.to.write_str(",\"")?;
        name.split(' ').enumerate().try_for_each(|(i, part)| {
            self.to.write_str(if i > 0 { "_" } else { "" })?;
            self.to.write_str(part)
        })?;
        self.to.write_str(if is_list { "\":[" } else { "\":" })
    }

    fn entry(&mut self) -> fmt::Result {
        self.is_first = true;
        self.entries = self.entries.wrapping_add(1);
        self.to.write_str(if self.entries > 1 { ",{" } else { "{" })
    }

    fn fact(&mut self, key: &str, value: Value<'_>) -> fmt::Result {
        let comma = if core::mem::take(&mut self.is_first) { "" } else { "," };
        write!(self.to, "{comma}\"{key}\":")?;
        match value {
            Value::Bytes(number) | Value::Count(number) | Value::Nanoseconds(number) => {
                write!(self.to, "{number}")
            }
            Value::Text(text) => write!(self.to, "\"{}\"", Escaped(text)),
        }
    }

    fn end_entry(&mut self) -> fmt::Result {
        self.to.write_str("}")
    }

    fn end_section(&mut self) -> fmt::Result {
        match (self.is_list, self.entries) {
            (true, _) => self.to.write_str("]"),
            (false, 0) => self.to.write_str("{}"),
            _ => Ok(()),
        }
    }
}
