//! Words in bytes that may come in pieces and need not be text.

use bstr::decode_last_utf8;

/// The runs of letters and digits; what is not UTF-8 parts them like a blank.
pub fn words(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes
        .utf8_chunks()
        .flat_map(|chunk| chunk.valid().split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

/// How many of these bytes more bytes cannot change the words of: all up to a last word, or last
/// character, that may go on.
pub fn settled(bytes: &[u8]) -> usize {
    let mut end = whole_characters(bytes);
    while let (Some(c), length) = decode_last_utf8(&bytes[..end])
        && c.is_alphanumeric()
    {
        end -= length;
    }
    end
}

/// Without a character at the end that is not complete yet.
pub fn whole_characters(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let at = bytes.len() - back;
        let wanted = match bytes[at] {
            // Continues a character that began further left.
            0x80..=0xBF => continue,
            0xF0..=0xF7 => 4,
            0xE0..=0xEF => 3,
            0xC0..=0xDF => 2,
            _ => 1,
        };
        return if back < wanted { at } else { bytes.len() };
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
    fn what_may_go_on_is_not_settled() {
        assert_eq!(settled(b"one two"), 4);
        assert_eq!(settled(b"one two "), 8);
        assert_eq!(settled(b"one"), 0);
        assert_eq!(settled(b""), 0);
        assert_eq!(settled("ab é".as_bytes()), 3);
        assert_eq!(settled(b"ab \xc3"), 3);
        assert_eq!(settled(b"ab\xf0\x9f\x98"), 0);
        assert_eq!(settled(b"ab\xff"), 3);
    }

    /// In pieces, the way files are read.
    fn piecewise(bytes: &[u8], piece: usize) -> Vec<String> {
        let (mut found, mut held) = (Vec::new(), Vec::new());
        for more in bytes.chunks(piece) {
            held.extend_from_slice(more);
            let cut = settled(&held);
            found.extend(words(&held[..cut]).map(str::to_owned));
            held.drain(..cut);
        }
        found.extend(words(&held).map(str::to_owned));
        found
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(text in "[a-c é世\u{1F600} ,]{0,60}", piece in 1..9_usize) {
            prop_assert_eq!(piecewise(text.as_bytes(), piece), of(text.as_bytes()));
        }

        #[test]
        fn nor_when_it_is_not_text(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1..9_usize) {
            prop_assert_eq!(piecewise(&bytes, piece), of(&bytes));
        }
    }
}
