//! Writing that remembers its first error, so that code which writes many pieces checks for it once.

use core::fmt::{self, Display, Formatter, Write};

/// A formatter and the first error that it returned. After an error nothing more is written.
pub(super) struct StickyFormatter<'a, 'b> {
    to: &'a mut Formatter<'b>,
    result: fmt::Result,
}

impl<'a, 'b> StickyFormatter<'a, 'b> {
    pub(super) fn new(to: &'a mut Formatter<'b>) -> Self {
        StickyFormatter { to, result: Ok(()) }
    }

    /// Writes a piece of text.
    pub(super) fn text(&mut self, text: &str) {
        if self.result.is_ok() {
            self.result = self.to.write_str(text);
        }
    }

    /// Writes a value as its `Display` does.
    pub(super) fn value(&mut self, value: &dyn Display) {
        if self.result.is_ok() {
            self.result = value.fmt(self.to);
        }
    }

    /// Writes a value inside the quotes of a JSON string.
    pub(super) fn escaped(&mut self, value: &dyn Display) {
        if self.result.is_ok() {
            self.result = write!(JsonEscaper(self.to), "{value}");
        }
    }

    pub(super) fn finish(self) -> fmt::Result {
        self.result
    }
}

/// Escapes what is written through it.
struct JsonEscaper<'a, 'b>(&'a mut Formatter<'b>);

impl Write for JsonEscaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Up to where the text was written.
        let mut written = 0;
        for (at, byte) in text.bytes().enumerate() {
            // What is escaped is one byte long, so the text may be split before and behind it.
            if matches!(byte, b'"' | b'\\' | 0..0x20 | 0x7f) {
                self.0.write_str(text.get(written..at).unwrap_or_default())?;
                match byte {
                    b'"' => self.0.write_str("\\\"")?,
                    b'\\' => self.0.write_str("\\\\")?,
                    _ => write!(self.0, "\\u{byte:04x}")?,
                }
                written = at + 1;
            }
        }
        self.0.write_str(text.get(written..).unwrap_or_default())
    }
}

/// The members of a JSON object, objects in it, and lists of objects.
pub(super) struct JsonObject<'a, 'b> {
    to: StickyFormatter<'a, 'b>,
    /// Whether the next member or element follows another one.
    needs_comma: bool,
}

impl<'a, 'b> JsonObject<'a, 'b> {
    pub(super) fn new(to: &'a mut Formatter<'b>) -> Self {
        let mut object = JsonObject { to: StickyFormatter::new(to), needs_comma: false };
        object.open("{");
        object
    }

    /// Begins a member. A blank in the key becomes `_`.
    fn key(&mut self, key: &str) {
        self.comma();
        self.to.text("\"");
        for (i, part) in key.split(' ').enumerate() {
            self.to.text(if i > 0 { "_" } else { "" });
            self.to.text(part);
        }
        self.to.text("\":");
    }

    fn comma(&mut self) {
        if core::mem::replace(&mut self.needs_comma, true) {
            self.to.text(",");
        }
    }

    fn open(&mut self, bracket: &str) {
        self.to.text(bracket);
        self.needs_comma = false;
    }

    fn close(&mut self, bracket: &str) {
        self.to.text(bracket);
        self.needs_comma = true;
    }

    /// A member whose value is a string.
    pub(super) fn string(&mut self, key: &str, value: &dyn Display) {
        self.key(key);
        self.to.text("\"");
        self.to.escaped(value);
        self.to.text("\"");
    }

    /// A member whose value is a number.
    pub(super) fn number(&mut self, key: &str, value: &dyn Display) {
        self.key(key);
        self.to.value(value);
    }

    /// A member whose value is an address or an offset in hexadecimal, as a string.
    pub(super) fn hex(&mut self, key: &str, value: usize) {
        self.string(key, &format_args!("{value:#x}"));
    }

    /// Begins a member whose value is an object, or the next object of a list.
    pub(super) fn begin(&mut self, key: Option<&str>) {
        match key {
            Some(key) => self.key(key),
            None => self.comma(),
        }
        self.open("{");
    }

    pub(super) fn end(&mut self) {
        self.close("}");
    }

    pub(super) fn begin_list(&mut self, key: &str) {
        self.key(key);
        self.open("[");
    }

    pub(super) fn end_list(&mut self) {
        self.close("]");
    }

    pub(super) fn finish(mut self) -> fmt::Result {
        self.end();
        self.to.finish()
    }
}
