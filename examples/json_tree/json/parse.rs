//! The parser: RFC 8259, which calls a builder of the tree with what it reads.

use highwater::GrowVec;
use std::fmt;

/// Arrays and objects inside of each other, at most: the parser, and dropping a tree of boxes, recurse.
pub const MAX_DEPTH: usize = 512;

/// What makes the nodes of a tree. The values of an array, or the members of an object, are the last ones of a vector
/// (from a place on), and taken out of it.
pub trait Build {
    type Text;
    type Node;

    fn null(&mut self) -> Self::Node;
    fn bool(&mut self, value: bool) -> Self::Node;
    fn number(&mut self, value: f64) -> Self::Node;
    fn text(&mut self, text: &str) -> Self::Text;
    fn string(&mut self, text: Self::Text) -> Self::Node;
    fn array(&mut self, items: &mut GrowVec<Self::Node>, from: usize) -> Self::Node;
    /// Keys may occur twice; the last one counts.
    fn object(&mut self, members: &mut GrowVec<(Self::Text, Self::Node)>, from: usize) -> Self::Node;
}

/// Why a text is no JSON, and where. Lines and columns start at 1; a column is a character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub line: usize,
    pub column: usize,
    pub message: &'static str,
}

impl Error {
    fn at(before: &str, message: &'static str) -> Self {
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error { line, column, message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for Error {}

/// The text of a file.
pub fn text_of(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        Error::at(valid, "not UTF-8")
    })
}

/// Builds the tree of a text that is one JSON value.
pub fn parse<B: Build>(text: &str, build: &mut B) -> Result<B::Node, Error> {
    let stacks = (GrowVec::new(), GrowVec::new());
    let mut parser =
        Parser { text, at: 0, build, items: stacks.0, members: stacks.1, unescaped: String::new() };
    parser.skip_space();
    let root = parser.value(0)?;
    parser.skip_space();
    if parser.at < text.len() { Err(parser.error("nothing may follow the value")) } else { Ok(root) }
}

struct Parser<'t, 'b, B: Build> {
    text: &'t str,
    at: usize,
    build: &'b mut B,
    /// The items of all arrays that are open, and the members of all objects.
    items: GrowVec<B::Node>,
    members: GrowVec<(B::Text, B::Node)>,
    /// The string that is being read, if it has escapes.
    unescaped: String,
}

impl<B: Build> Parser<'_, '_, B> {
    #[cold]
    fn error(&self, message: &'static str) -> Error {
        self.error_at(self.at, message)
    }

    #[cold]
    fn error_at(&self, at: usize, message: &'static str) -> Error {
        let message = if at < self.text.len() { message } else { "the text ends too early" };
        Error::at(self.text.get(..at).unwrap_or(self.text), message)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<B::Node, Error> {
        match self.peek() {
            Some(b'"') => {
                let text = self.string()?;
                Ok(self.build.string(text))
            }
            Some(b'-' | b'0'..=b'9') => {
                let value = self.number()?;
                Ok(self.build.number(value))
            }
            Some(b'[' | b'{') if depth == MAX_DEPTH => Err(self.error("nested too deeply")),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<B::Node, Error> {
        let rest = &self.text[self.at..];
        for (word, value) in [("null", None), ("true", Some(true)), ("false", Some(false))] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(match value {
                    None => self.build.null(),
                    Some(value) => self.build.bool(value),
                });
            }
        }
        Err(self.error("a value is expected"))
    }

    fn array(&mut self, depth: usize) -> Result<B::Node, Error> {
        let from = self.items.len();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(self.build.array(&mut self.items, from));
        }
        loop {
            let item = self.value(depth + 1)?;
            self.items.push(item);
            if self.ends_list(b']', "a comma or the end of the array is expected")? {
                return Ok(self.build.array(&mut self.items, from));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<B::Node, Error> {
        let from = self.members.len();
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(self.build.object(&mut self.members, from));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in quotation marks is expected"));
            }
            let key = self.string()?;
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.error("a colon is expected"));
            }
            self.at += 1;
            self.skip_space();
            let value = self.value(depth + 1)?;
            self.members.push((key, value));
            if self.ends_list(b'}', "a comma or the end of the object is expected")? {
                return Ok(self.build.object(&mut self.members, from));
            }
        }
    }

    /// Steps over what follows an item: a comma, or the end of the list.
    fn ends_list(&mut self, end: u8, message: &'static str) -> Result<bool, Error> {
        self.skip_space();
        let ends = match self.peek() {
            Some(b',') => false,
            Some(byte) if byte == end => true,
            _ => return Err(self.error(message)),
        };
        self.at += 1;
        if !ends {
            self.skip_space();
        }
        Ok(ends)
    }

    fn digits(&mut self) -> Result<(), Error> {
        let from = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == from { Err(self.error("a digit is expected")) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<f64, Error> {
        let from = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let whole = self.at;
        if self.peek() == Some(b'0') {
            self.at += 1
        } else {
            self.digits()?
        }
        let whole = &self.text[whole..self.at];
        if !matches!(self.peek(), Some(b'.' | b'e' | b'E')) && whole.len() <= 15 {
            // Short of 2^53 every whole number is a float.
            let value = whole.bytes().fold(0u64, |value, digit| 10 * value + u64::from(digit - b'0')) as f64;
            return Ok(if whole.len() < self.at - from { -value } else { value });
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        match self.text[from..self.at].parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(self.error_at(from, "the number is too large")),
        }
    }

    /// The string at a quotation mark.
    fn string(&mut self) -> Result<B::Text, Error> {
        self.at += 1;
        let from = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let text = &self.text[from..self.at];
            self.at += 1;
            return Ok(self.build.text(text));
        }
        self.unescaped.clear();
        let mut plain = from;
        loop {
            self.unescaped.push_str(&self.text[plain..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(self.build.text(&self.unescaped));
                }
                Some(b'\\') => {
                    let c = self.escape()?;
                    self.unescaped.push(c);
                }
                _ => return Err(self.error("a control character in a string")),
            }
            plain = self.at;
            self.skip_plain();
        }
    }

    /// Goes on to the next byte that means something in a string, or to the end.
    fn skip_plain(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let special = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < b' ');
        self.at += special.unwrap_or(rest.len());
    }

    /// The character that a backslash and what follows it stand for.
    fn escape(&mut self) -> Result<char, Error> {
        let from = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.escaped_unit(from),
            _ => return Err(self.error("no such escape")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// The character of a `\u`, or of two that are a surrogate pair; `from` is where the escape starts.
    fn escaped_unit(&mut self, from: usize) -> Result<char, Error> {
        let mut units = [self.hex()?, 0];
        let mut len = 1;
        if let 0xd800..0xdc00 = units[0]
            && self.text[self.at..].starts_with("\\u")
        {
            self.at += 1;
            units[1] = self.hex()?;
            len = 2;
        }
        match char::decode_utf16(units[..len].iter().copied()).next() {
            Some(Ok(c)) => Ok(c),
            _ => Err(self.error_at(from, "half of a surrogate pair")),
        }
    }

    /// The number after a `u`.
    fn hex(&mut self) -> Result<u16, Error> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else { return Err(self.error("a hexadecimal digit is expected")) };
            unit = unit << 4 | digit as u16;
            self.at += 1;
        }
        Ok(unit)
    }
}
