//! Names, by value: a region is also made when there is no memory for a string.

use core::ffi::CStr;
use core::fmt;

/// The longest region name that is kept, in bytes.
pub(crate) const NAME_BYTES: usize = 40;

/// The name of a region: at most [`NAME_BYTES`] bytes of text, zeroes behind it.
#[derive(Clone, Copy)]
pub(crate) struct RegionName([u8; NAME_BYTES]);

impl Default for RegionName {
    fn default() -> Self {
        RegionName([0; NAME_BYTES])
    }
}

impl RegionName {
    /// As much of a text as fits. One line of a report stays one line, and a terminal gets no control characters.
    pub(crate) fn new(text: &str) -> Self {
        let mut bytes = [0; NAME_BYTES];
        let mut len = 0;
        for c in text.chars() {
            let c = if c.is_control() { '_' } else { c };
            let Some(to) = bytes.get_mut(len..len + c.len_utf8()) else { break };
            c.encode_utf8(to);
            len += c.len_utf8();
        }
        RegionName(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; NAME_BYTES] {
        &self.0
    }

    /// The name as the kernel takes it: printable ASCII without the characters that would confuse a reader of
    /// the maps file.
    pub(crate) fn in_maps(&self) -> NameInMaps {
        const START: &[u8] = b"highwater:";
        let mut bytes = [0; MAPS_BYTES];
        bytes[..START.len()].copy_from_slice(START);
        for (to, c) in bytes[START.len()..].iter_mut().zip(text_of(&self.0).chars()) {
            *to = match c {
                '\\' | '`' | '$' | '[' | ']' => b'_',
                ' '..='~' => c as u8,
                _ => b'_',
            };
        }
        NameInMaps(bytes)
    }
}

impl fmt::Debug for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text_of(&self.0).fmt(f)
    }
}

/// A name from its bytes, up to the first zero.
pub(crate) fn text_of(name: &[u8; NAME_BYTES]) -> &str {
    // Another region's name may have been moving in while the bytes were read: then they need not be text.
    core::str::from_utf8(up_to_zero(name)).unwrap_or_default()
}

/// The bytes before the first zero, all of them where there is none.
pub(crate) fn up_to_zero(bytes: &[u8]) -> &[u8] {
    let mut len = 0;
    while bytes.get(len).is_some_and(|&byte| byte != 0) {
        len += 1;
    }
    bytes.get(..len).unwrap_or_default()
}

/// The prefix of every name there, the name, and a zero.
const MAPS_BYTES: usize = 10 + NAME_BYTES + 1;

/// A name for the maps file.
pub(crate) struct NameInMaps([u8; MAPS_BYTES]);

impl NameInMaps {
    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe_for_the_maps_file() {
        assert_eq!(RegionName::new("a[b]$\n").in_maps().as_c_str(), c"highwater:a_b___");
        assert_eq!(RegionName::new(&"x".repeat(200)).in_maps().as_c_str().count_bytes(), 10 + NAME_BYTES);
        assert_eq!(RegionName::new("").in_maps().as_c_str(), c"highwater:");
        // Not a part of a character.
        assert_eq!(RegionName::new(&"ü".repeat(30)).in_maps().as_c_str().count_bytes(), 10 + NAME_BYTES / 2);
        assert_eq!(
            RegionName::new(&format!("x{}", "ü".repeat(30))).in_maps().as_c_str().count_bytes(),
            10 + 20
        );
    }
}
