//! Splits bytes into words. The bytes come in pieces and need not be valid UTF-8.

use bstr::decode_last_utf8;

/// The runs of letters and digits; bytes that are not UTF-8 separate words like a blank.
pub fn words(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes
        .utf8_chunks()
        .flat_map(|chunk| chunk.valid().split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

/// The length of the prefix whose words are complete: without a last word, or last character, that more bytes could
/// continue.
pub fn complete_words(bytes: &[u8]) -> usize {
    let mut end = complete_characters(bytes);
    while let (Some(c), length) = decode_last_utf8(&bytes[..end])
        && c.is_alphanumeric()
    {
        end -= length;
    }
    end
}

/// The length of the prefix without an incomplete character at the end.
pub fn complete_characters(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let start = bytes.len() - back;
        let length = match bytes[start] {
            // A continuation byte of a character that starts earlier.
            0x80..=0xBF => continue,
            0xF0..=0xF7 => 4,
            0xE0..=0xEF => 3,
            0xC0..=0xDF => 2,
            _ => 1,
        };
        return if back < length { start } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(bytes: &[u8]) -> Vec<&str> {
        words(bytes).collect()
    }

    #[test]
    fn letters_and_digits() {
        assert_eq!(of(b"to be, or_not 2b!"), ["to", "be", "or", "not", "2b"]);
        assert_eq!(of("Grüße, 世界 naïve".as_bytes()), ["Grüße", "世界", "naïve"]);
        assert_eq!(of(b"caf\xe9 na\xffive\xc3"), ["caf", "na", "ive"]);
        assert_eq!(of(b""), Vec::<&str>::new());
        assert_eq!(of(b" \n"), Vec::<&str>::new());
    }

    #[test]
    fn words_that_may_continue_are_not_complete() {
        assert_eq!(complete_words(b"one two"), 4);
        assert_eq!(complete_words(b"one two "), 8);
        assert_eq!(complete_words(b"one"), 0);
        assert_eq!(complete_words(b""), 0);
        assert_eq!(complete_words("ab é".as_bytes()), 3);
        assert_eq!(complete_words(b"ab \xc3"), 3);
        assert_eq!(complete_words(b"ab\xf0\x9f\x98"), 0);
        assert_eq!(complete_words(b"ab\xff"), 3);
    }

    /// Splits the bytes in pieces, as files are read.
    fn piecewise(bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut found, mut kept) = (Vec::new(), Vec::new());
        for more in bytes.chunks(piece) {
            kept.extend_from_slice(more);
            let cut = complete_words(&kept);
            found.extend(words(&kept[..cut]).map(str::to_owned));
            kept.drain(..cut);
        }
        found.extend(words(&kept).map(str::to_owned));
        found
    }

    proptest! {
        #[test]
        fn pieces_of_text_have_the_same_words(text in "[a-c é世\u{1F600} ,]{0,60}", piece in 1..9_usize) {
            prop_assert_eq!(piecewise(text.as_bytes(), piece), of(text.as_bytes()));
        }

        #[test]
        fn pieces_of_other_bytes_have_the_same_words(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..9_usize) {
            prop_assert_eq!(piecewise(&bytes, piece), of(&bytes));
        }
    }
}
