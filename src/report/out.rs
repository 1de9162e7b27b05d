//! Facts in two shapes: lines for people, one object for programs. Neither allocates.

use super::sticky::{JsonObject, StickyFormatter};
use super::text::Bytes;
use core::fmt;

/// A fact's value.
#[derive(Clone, Copy)]
pub(super) enum FactValue<'a> {
    Bytes(u64),
    Count(u64),
    Nanoseconds(u64),
    Text(&'a str),
}

/// Where facts go, section by section. A section has one entry, or several in a list. The first error stops the output.
pub(super) trait FactWriter {
    fn section(&mut self, name: &'static str, is_list: bool);
    fn entry(&mut self);
    fn fact(&mut self, key: &str, value: FactValue<'_>);
    fn end_entry(&mut self);
    fn end_section(&mut self);
}

/// Lines of text: the section's name, then its facts separated by commas; one line for each entry.
pub(super) struct TextWriter<'a, 'b> {
    to: StickyFormatter<'a, 'b>,
    /// The section's name, in front of its first entry only.
    name: &'static str,
    is_first_fact: bool,
    is_empty: bool,
}

impl<'a, 'b> TextWriter<'a, 'b> {
    /// Lines after text that is there already, unless that `is_empty`.
    pub(super) fn new(to: &'a mut fmt::Formatter<'b>, is_empty: bool) -> Self {
        TextWriter { to: StickyFormatter::new(to), name: "", is_first_fact: true, is_empty }
    }

    pub(super) fn finish(self) -> fmt::Result {
        self.to.finish()
    }
}

impl FactWriter for TextWriter<'_, '_> {
    fn section(&mut self, name: &'static str, _is_list: bool) {
        self.name = name;
    }

    fn entry(&mut self) {
        self.is_first_fact = true;
        self.to.text(if core::mem::take(&mut self.is_empty) { "" } else { "\n" });
        let name = core::mem::take(&mut self.name);
        self.to.value(&format_args!("  {name:<12} "));
    }

    fn fact(&mut self, key: &str, value: FactValue<'_>) {
        if !core::mem::take(&mut self.is_first_fact) {
            self.to.text(", ");
        }
        for part in key.split('_') {
            self.to.text(part);
            self.to.text(" ");
        }
        match value {
            FactValue::Bytes(bytes) => self.to.value(&Bytes(bytes)),
            FactValue::Count(count) => self.to.value(&count),
            FactValue::Nanoseconds(ns) if ns < 10_000_000 => self.to.value(&format_args!("{} µs", ns / 1000)),
            FactValue::Nanoseconds(ns) => self.to.value(&format_args!("{} ms", ns / 1_000_000)),
            FactValue::Text(text) => self.to.text(text),
        }
    }

    fn end_entry(&mut self) {}

    fn end_section(&mut self) {}
}

/// Members of a JSON object. Bytes and nanoseconds are numbers.
pub(super) struct JsonWriter<'a, 'b> {
    to: JsonObject<'a, 'b>,
    section: &'static str,
    is_list: bool,
    has_entry: bool,
}

impl<'a, 'b> JsonWriter<'a, 'b> {
    /// Sections after the members that the object has already.
    pub(super) fn new(to: JsonObject<'a, 'b>) -> Self {
        JsonWriter { to, section: "", is_list: false, has_entry: false }
    }

    pub(super) fn finish(self) -> fmt::Result {
        self.to.finish()
    }
}

impl FactWriter for JsonWriter<'_, '_> {
    fn section(&mut self, name: &'static str, is_list: bool) {
        (self.section, self.is_list, self.has_entry) = (name, is_list, false);
        if is_list {
            self.to.begin_list(name);
        }
    }

    fn entry(&mut self) {
        self.has_entry = true;
        self.to.begin((!self.is_list).then_some(self.section));
    }

    fn fact(&mut self, key: &str, value: FactValue<'_>) {
        match value {
            FactValue::Bytes(number) | FactValue::Count(number) | FactValue::Nanoseconds(number) => {
                self.to.number(key, &number);
            }
            FactValue::Text(text) => self.to.string(key, &text),
        }
    }

    fn end_entry(&mut self) {
        self.to.end();
    }

    fn end_section(&mut self) {
        if self.is_list {
            self.to.end_list();
        } else if !self.has_entry {
            self.to.begin(Some(self.section));
            self.to.end();
        }
    }
}
