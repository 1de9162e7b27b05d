//! Facts in two shapes: lines for people, one object for programs. Neither allocates.

use super::text::{Bytes, JsonEscaped};
use core::fmt;

/// A fact's value.
#[derive(Clone, Copy)]
pub(super) enum FactValue<'a> {
    Bytes(u64),
    Count(u64),
    Nanoseconds(u64),
    Text(&'a str),
}

/// Where facts go, section by section. A section has one entry, or several in a list.
pub(super) trait FactWriter {
    fn section(&mut self, name: &str, is_list: bool) -> fmt::Result;
    fn entry(&mut self) -> fmt::Result;
    fn fact(&mut self, key: &str, value: FactValue<'_>) -> fmt::Result;
    fn end_entry(&mut self) -> fmt::Result;
    fn end_section(&mut self) -> fmt::Result;
}

/// Lines of text: the section's name, then its facts separated by commas; one line for each entry.
pub(super) struct TextWriter<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    name: PaddedName,
    is_first: bool,
    /// Nothing was written yet.
    is_empty: bool,
}

/// The first twelve bytes of a name, and then blanks: the entries after the first have no name.
struct PaddedName([u8; 12]);

impl PaddedName {
    fn new(name: &str) -> Self {
        let mut bytes = [b' '; 12];
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
        PaddedName(bytes)
    }
}

impl<'a, 'b> TextWriter<'a, 'b> {
    /// Lines after what was written already, unless that `is_empty`.
    pub(super) fn to(to: &'a mut fmt::Formatter<'b>, is_empty: bool) -> Self {
        TextWriter { to, name: PaddedName::new(""), is_first: true, is_empty }
    }
}

impl FactWriter for TextWriter<'_, '_> {
    fn section(&mut self, name: &str, _is_list: bool) -> fmt::Result {
        self.name = PaddedName::new(name);
        Ok(())
    }

    fn entry(&mut self) -> fmt::Result {
        self.is_first = true;
        let name = core::str::from_utf8(&self.name.0).unwrap_or_default();
        let feed = if core::mem::take(&mut self.is_empty) { "" } else { "\n" };
        write!(self.to, "{feed}  {name} ")?;
        self.name = PaddedName::new("");
        Ok(())
    }

    fn fact(&mut self, key: &str, value: FactValue<'_>) -> fmt::Result {
        if !core::mem::take(&mut self.is_first) {
            self.to.write_str(", ")?;
        }
        for part in key.split('_') {
            self.to.write_str(part)?;
            self.to.write_str(" ")?;
        }
        match value {
            FactValue::Bytes(bytes) => write!(self.to, "{}", Bytes(bytes)),
            FactValue::Count(count) => write!(self.to, "{count}"),
            FactValue::Nanoseconds(ns) if ns < 10_000_000 => write!(self.to, "{} µs", ns / 1000),
            FactValue::Nanoseconds(ns) => write!(self.to, "{} ms", ns / 1_000_000),
            FactValue::Text(text) => self.to.write_str(text),
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
pub(super) struct JsonWriter<'a, 'b> {
    to: &'a mut fmt::Formatter<'b>,
    is_list: bool,
    entries: u32,
    is_first: bool,
}

impl<'a, 'b> JsonWriter<'a, 'b> {
    pub(super) fn to(to: &'a mut fmt::Formatter<'b>) -> Self {
        JsonWriter { to, is_list: false, entries: 0, is_first: true }
    }
}

impl FactWriter for JsonWriter<'_, '_> {
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

    fn fact(&mut self, key: &str, value: FactValue<'_>) -> fmt::Result {
        let comma = if core::mem::take(&mut self.is_first) { "" } else { "," };
        write!(self.to, "{comma}\"{key}\":")?;
        match value {
            FactValue::Bytes(number) | FactValue::Count(number) | FactValue::Nanoseconds(number) => {
                write!(self.to, "{number}")
            }
            FactValue::Text(text) => write!(self.to, "\"{}\"", JsonEscaped(text)),
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
