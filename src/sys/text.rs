//! Formatting into a buffer of fixed size.

use core::fmt;

/// Text in borrowed bytes. What does not fit is cut off between two characters, and the write that was cut is an error.
/// Signal-safe: it allocates nothing and cannot panic.
#[derive(Debug)]
pub struct TextBuffer<'b> {
    bytes: &'b mut [u8],
    len: usize,
}

impl<'b> TextBuffer<'b> {
    /// No text, with space for `bytes.len()` bytes.
    pub fn new(bytes: &'b mut [u8]) -> Self {
        TextBuffer { bytes, len: 0 }
    }

    /// How many bytes the text has.
    pub fn written(&self) -> usize {
        self.len
    }
}

impl fmt::Write for TextBuffer<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let space = self.bytes.get_mut(self.len..).unwrap_or_default();
        let mut fitting = space.len().min(piece.len());
        while !piece.is_char_boundary(fitting) {
            fitting = fitting.saturating_sub(1);
        }
        let kept = piece.as_bytes().get(..fitting).unwrap_or_default();
        space.iter_mut().zip(kept).for_each(|(to, byte)| *to = *byte);
        self.len = self.len.saturating_add(fitting);
        if fitting < piece.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn what_does_not_fit_is_cut_between_characters() {
        let mut bytes = [0; 5];
        let mut text = TextBuffer::new(&mut bytes);
        assert!(write!(text, "ab").is_ok());
        assert!(write!(text, "cäx").is_err());
        assert_eq!(text.written(), 5);
        assert_eq!(&bytes, "abcä".as_bytes());
        let mut text = TextBuffer::new(&mut bytes[..4]);
        assert!(write!(text, "abcä").is_err());
        assert_eq!(text.written(), 3);
    }
}
