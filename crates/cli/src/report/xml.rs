//! Elements that are well-formed whatever is in them.

/// A piece of XML that is being written.
#[derive(Default)]
pub struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    /// `<name key="value">` …
    pub fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push('>');
        self.open.push(name);
    }

    /// … and the end of the innermost that is open.
    pub fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.text.push_str(&format!("</{name}>\n"));
        }
    }

    /// One without anything in it.
    pub fn empty(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str("/>\n");
    }

    /// One with text in it.
    pub fn element(&mut self, name: &'static str, attributes: &[(&str, &str)], text: &str) {
        self.open(name, attributes);
        self.text(text);
        self.close();
    }

    /// Between elements.
    pub fn text(&mut self, text: &str) {
        self.text.push_str(&escaped(text));
    }

    /// A document of its own, which must be well-formed: what stands before its root element is left out.
    pub fn document(&mut self, document: &str, root: &str) {
        let start = document.find(&format!("<{root}")).unwrap_or(0);
        self.text.push_str(document[start..].trim_end());
        self.text.push('\n');
    }

    /// All of it, every element closed.
    pub fn end(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.text.push('<');
        self.text.push_str(name);
        for (key, value) in attributes {
            self.text.push_str(&format!(" {key}=\"{}\"", escaped(value)));
        }
    }
}

/// For element and attribute values; what no document may contain is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ if letter.is_control() => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn well_formed_whatever_it_says(text in ".*", value in any::<String>()) {
            let mut xml = Xml::default();
            xml.open("a", &[("key", &value)]);
            xml.element("b", &[], &text);
            xml.empty("c", &[]);
            xml.text(&value);
            let xml = xml.end();
            let document = roxmltree::Document::parse(&xml).unwrap();
            let told = document.descendants().find(|node| node.has_tag_name("b")).unwrap();
            let clean = text.chars().all(|letter| !letter.is_control() && letter < '\u{fffe}');
            prop_assert!(!clean || told.text().unwrap_or_default() == text);
        }
    }

    #[test]
    fn documents_within() {
        let mut xml = Xml::default();
        xml.open("p", &[]);
        xml.document("<?xml version=\"1.0\"?>\n<svg><g/></svg>\n", "svg");
        assert_eq!(xml.end(), "<p><svg><g/></svg>\n</p>\n");
    }
}
