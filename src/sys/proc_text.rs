//! The text of files in `/proc`: numbers, and the lines that are read here.
//!
//! Contract: plain functions over bytes; they allocate nothing and cannot panic, so they are signal-safe.

/// The decimal number that a text begins with, after spaces. `None` where there is none, or it is beyond 64 bits.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(text.first().filter(|byte| byte.is_ascii_digit()).map(|_| 0u64), |value, &byte| {
        value?.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0')))
    })
}

/// The number that hexadecimal digits and nothing else stand for.
pub(crate) fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        value.checked_mul(16)?.checked_add(u64::from(digit))
    })
}

/// The bytes of a field like `VmData:      1234 kB`, if the line has that label.
pub(crate) fn kib_field(line: &[u8], label: &[u8]) -> Option<u64> {
    decimal(line.strip_prefix(label)?.strip_prefix(b":")?)?.checked_mul(1024)
}

/// The figures of `/proc/meminfo`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemInfo {
    /// `MemTotal`.
    pub total: u64,
    /// `MemAvailable`: what programs could have without swapping. `None` before Linux 3.14.
    pub available: Option<u64>,
    /// `SwapTotal`.
    pub swap_total: u64,
    /// `SwapFree`.
    pub swap_free: u64,
    /// `CommitLimit`: how much memory may be charged for where `vm.overcommit_memory` is 2.
    pub commit_limit: Option<u64>,
    /// `Committed_AS`: how much memory is charged for.
    pub committed: Option<u64>,
}

/// What separators divide: as `slice::split` does, in one function for all callers. Signal-safe.
pub(crate) fn pieces(text: &[u8], separator: u8) -> Pieces<'_> {
    Pieces { rest: Some(text), separator }
}

/// See [`pieces`].
pub(crate) struct Pieces<'t> {
    rest: Option<&'t [u8]>,
    separator: u8,
}

impl<'t> Pieces<'t> {
    /// What is left, with the separators in it; `None` when the last piece was handed out.
    pub(crate) fn rest(&self) -> Option<&'t [u8]> {
        self.rest
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        let rest = self.rest?;
        let mut end = 0;
        while rest.get(end).is_some_and(|&byte| byte != self.separator) {
            end += 1;
        }
        let (piece, rest) = rest.split_at_checked(end)?;
        self.rest = rest.get(1..);
        Some(piece)
    }
}

impl MemInfo {
    /// From the text of the file; `None` if it does not say how much memory there is.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut info = MemInfo::default();
        let mut total = None;
        for line in pieces(text, b'\n') {
            let field = |label: &[u8]| kib_field(line, label);
            // (By the first letter first: most lines are none of these.)
            match line.first() {
                Some(b'M') => {
                    total = total.or_else(|| field(b"MemTotal"));
                    info.available = info.available.or_else(|| field(b"MemAvailable"));
                }
                Some(b'S') => {
                    info.swap_total = field(b"SwapTotal").unwrap_or(info.swap_total);
                    info.swap_free = field(b"SwapFree").unwrap_or(info.swap_free);
                }
                Some(b'C') => {
                    info.commit_limit = info.commit_limit.or_else(|| field(b"CommitLimit"));
                    info.committed = info.committed.or_else(|| field(b"Committed_AS"));
                }
                _ => {}
            }
        }
        info.total = total?;
        Some(info)
    }
}

/// A mapping: a line of `/proc/self/maps`, such as
/// `7f1c0a000000-7f1c0a021000 rw-p 00000000 00:00 0                  [heap]`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct MapsEntry<'l> {
    /// The first address.
    pub start: usize,
    /// The address behind the last one.
    pub end: usize,
    /// Such as `rw-p`.
    pub permissions: &'l [u8],
    /// A path, or a name in brackets; empty for none.
    pub name: &'l [u8],
}

impl<'l> MapsEntry<'l> {
    /// `None` where a line is no mapping, as most lines of `smaps` are.
    pub fn parse(line: &'l [u8]) -> Option<Self> {
        let mut fields = pieces(line, b' ');
        let mut range = pieces(fields.next()?, b'-');
        let start = usize::try_from(hexadecimal(range.next()?)?).ok()?;
        let end = usize::try_from(hexadecimal(range.next()?)?).ok()?;
        let permissions = fields.next()?;
        // The offset, the device and the inode. The name may have spaces in it.
        for _ in 0..3 {
            fields.next();
        }
        let name = fields.rest().unwrap_or_default().trim_ascii_start();
        Some(MapsEntry { start, end, permissions, name })
    }

    /// Whether an address lies in the mapping.
    pub fn contains(&self, address: usize) -> bool {
        self.start <= address && address < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_those_of_the_standard_library() {
        for text in ["", ",", "a", "a,", ",a", "a,,b", "ab,cd,", ",,"] {
            let expected: Vec<_> = text.as_bytes().split(|&byte| byte == b',').collect();
            assert_eq!(pieces(text.as_bytes(), b',').collect::<Vec<_>>(), expected, "{text:?}");
        }
        let mut fields = pieces(b"a b c", b' ');
        assert_eq!((fields.next(), fields.rest()), (Some(&b"a"[..]), Some(&b"b c"[..])));
        fields.nth(1);
        assert_eq!((fields.rest(), fields.next()), (None, None));
    }

    #[test]
    fn numbers_end_where_their_digits_do() {
        assert_eq!(decimal(b"  1048576 kB"), Some(1 << 20));
        assert_eq!(decimal(b"0\n"), Some(0));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"18446744073709551616"), None);
        assert_eq!((decimal(b""), decimal(b"max\n"), decimal(b"-1")), (None, None, None));
        assert_eq!(hexadecimal(b"7fff00"), Some(0x7f_ff00));
        assert_eq!((hexadecimal(b"7g"), hexadecimal(b"10000000000000000")), (None, None));
        assert_eq!(kib_field(b"VmRSS:\t    12 kB", b"VmRSS"), Some(12 << 10));
        assert_eq!(kib_field(b"VmRSSx:\t    12 kB", b"VmRSS"), None);
    }

    #[test]
    fn meminfo_is_read_by_labels() {
        let text = b"MemTotal:       24601284 kB\nMemFree:          100 kB\nMemAvailable:   20000000 kB\n\
            SwapCached:            7 kB\nSwapTotal:          2048 kB\nSwapFree:           1024 kB\n\
            CommitLimit:    12300640 kB\nCommitted_AS:    1048576 kB\nCmaTotal:              9 kB\n";
        let info = MemInfo::parse(text).unwrap();
        assert_eq!((info.total, info.available), (24_601_284 << 10, Some(20_000_000 << 10)));
        assert_eq!((info.swap_total, info.swap_free), (2 << 20, 1 << 20));
        assert_eq!((info.commit_limit, info.committed), (Some(12_300_640 << 10), Some(1 << 30)));
        assert_eq!(
            MemInfo::parse(b"MemTotal: 4 kB\n").unwrap(),
            MemInfo { total: 4096, ..MemInfo::default() }
        );
        assert_eq!(MemInfo::parse(b"MemFree: 4 kB\n"), None);
    }

    #[test]
    fn mappings_have_ranges_permissions_and_names() {
        let entry =
            MapsEntry::parse(b"00400000-0040b000 r-xp 00000000 08:01 131   /a dir/with spaces").unwrap();
        assert_eq!((entry.start, entry.end, entry.permissions), (0x40_0000, 0x40_b000, &b"r-xp"[..]));
        assert_eq!(entry.name, b"/a dir/with spaces");
        assert!(entry.contains(0x40_0000) && !entry.contains(0x40_b000));
        let heap =
            MapsEntry::parse(b"7f1c0a000000-7f1c0a021000 rw-p 00000000 00:00 0                  [heap]");
        assert_eq!(heap.unwrap().name, b"[heap]");
        assert_eq!(MapsEntry::parse(b"7f1c0a000000-7f1c0a021000 rw-p 00000000 00:00 0 ").unwrap().name, b"");
        assert!(MapsEntry::parse(b"Rss:                   4 kB").is_none());
        assert!(MapsEntry::parse(b"").is_none());
    }
}
