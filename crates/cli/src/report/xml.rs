//! Writes XML that is well-formed whatever its texts are.

use std::io::Write as _;

use quick_xml::{
    Writer,
    events::{BytesEnd, BytesStart, BytesText, Event},
};

/// XML that is being written. (Writing to a `Vec` cannot fail, so errors are ignored.)
pub struct Xml {
    writer: Writer<Vec<u8>>,
    open: Vec<&'static str>,
}

impl Default for Xml {
    fn default() -> Self {
        Self { writer: Writer::new(Vec::new()), open: Vec::new() }
    }
}

impl Xml {
    /// `<name key="value">`
    pub fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.event(Event::Start(start(name, attributes)));
        self.open.push(name);
    }

    /// The end of the innermost open element.
    pub fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.event(Event::End(BytesEnd::new(name)));
            self.line_end();
        }
    }

    /// An element without content.
    pub fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.event(Event::Empty(start(name, attributes)));
        self.line_end();
    }

    /// An element that contains text.
    pub fn element(&mut self, name: &'static str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.text(text);
        self.close();
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        self.event(Event::Text(BytesText::new(&clean(text))));
    }

    /// The root element of a well-formed document, without its declarations.
    pub fn document(&mut self, document: &str, root: &str) {
        let start = document.find(&format!("<{root}")).unwrap_or(0);
        self.event(Event::Text(BytesText::from_escaped(document[start..].trim_end())));
        self.line_end();
    }

    /// The whole text, with every element closed.
    pub fn end(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        String::from_utf8_lossy(&self.writer.into_inner()).into_owned()
    }

    fn event(&mut self, event: Event<'_>) {
        let _ = self.writer.write_event(event);
    }

    fn line_end(&mut self) {
        let _ = self.writer.get_mut().write_all(b"\n");
    }
}

fn start<'n>(name: &'n str, attributes: &[(&str, &str)]) -> BytesStart<'n> {
    let mut start = BytesStart::new(name);
    for (key, value) in attributes {
        start.push_attribute((*key, clean(value).as_str()));
    }
    start
}

/// Replaces the characters that no XML document can contain.
fn clean(text: &str) -> String {
    let is_allowed =
        |c: char| matches!(c, '\t' | '\n') || !(c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}'));
    text.chars().map(|c| if is_allowed(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn well_formed_whatever_the_texts_are(text in ".*", value in any::<String>()) {
            let mut xml = Xml::default();
            xml.open("a", &[("key", &value)]);
            xml.element("b", &[], &text);
            xml.empty("c", &[]);
            xml.text(&value);
            let xml = xml.end();
            let document = roxmltree::Document::parse(&xml).unwrap();
            let element = document.descendants().find(|node| node.has_tag_name("b")).unwrap();
            let clean = text.chars().all(|letter| !letter.is_control() && letter < '\u{fffe}');
            prop_assert!(!clean || element.text().unwrap_or_default() == text);
        }
    }

    #[test]
    fn embedded_documents() {
        let mut xml = Xml::default();
        xml.open("p", &[]);
        xml.document("<?xml version=\"1.0\"?>\n<svg><g/></svg>\n", "svg");
        assert_eq!(xml.end(), "<p><svg><g/></svg>\n</p>\n");
    }
}
