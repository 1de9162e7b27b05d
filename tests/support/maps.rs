//! What the kernel says of a range of this process's memory.

use highwater::Region;
use std::ops::Range;

/// One line of `/proc/self/smaps` and the lines under it, as far as the tests ask.
#[derive(Debug)]
pub struct Mapping {
    pub range: Range<usize>,
    pub protection: String,
    pub name: String,
    pub resident: usize,
    pub flags: Vec<String>,
}

impl Mapping {
    pub fn is_accessible(&self) -> bool {
        self.protection.starts_with("rw")
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|other| other == flag)
    }
}

/// The addresses that a region reserves.
pub fn reserved(region: &Region) -> Range<usize> {
    let start = region.as_ptr().addr();
    start..start + region.reserved_bytes()
}

/// The mappings that overlap a range.
pub fn mappings(range: Range<usize>) -> Vec<Mapping> {
    let text = std::fs::read_to_string("/proc/self/smaps").expect("/proc is mounted");
    let mut found: Vec<Mapping> = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some(at) = addresses(first) {
            let protection = words.next().unwrap_or_default().to_owned();
            let name = words.skip(3).collect::<Vec<_>>().join(" ");
            found.push(Mapping { range: at, protection, name, resident: 0, flags: Vec::new() });
        } else if let Some(mapping) = found.last_mut() {
            match first {
                "Rss:" => mapping.resident = words.next().unwrap().parse::<usize>().unwrap() * 1024,
                "VmFlags:" => mapping.flags = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
    }
    found.retain(|mapping| mapping.range.start < range.end && range.start < mapping.range.end);
    found
}

/// How many mappings overlap a range: fast enough for processes that have tens of thousands.
pub fn count(range: Range<usize>) -> usize {
    let text = std::fs::read_to_string("/proc/self/maps").expect("/proc is mounted");
    let at = text.lines().filter_map(|line| addresses(line.split(' ').next()?));
    at.filter(|at| at.start < range.end && range.start < at.end).count()
}

/// `start-end` in hexadecimal.
fn addresses(word: &str) -> Option<Range<usize>> {
    let (start, end) = word.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

/// A figure of `/proc/self/statm` in bytes: 0 is the address space, 5 the private writable memory.
pub fn statm(field: usize) -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("/proc is mounted");
    text.split_ascii_whitespace().nth(field).unwrap().parse::<usize>().unwrap() * super::raw::page()
}
