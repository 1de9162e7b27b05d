//! How much of a growth step is made present at once.

use crate::support;
use highwater::{Arena, Growth, HugePages};

const MIB: usize = 1 << 20;
const STEP: usize = 16 * MIB;

/// The bytes that one growth by a step of 16 MiB made present.
fn populated(huge_pages: HugePages, populate: Option<bool>) -> u64 {
    let builder =
        Arena::builder().reserve(64 * MIB).head(0).growth(Growth::Fixed(STEP)).huge_pages(huge_pages);
    let arena: Arena = match populate {
        Some(populate) => builder.populate(populate).build(),
        None => builder.build(),
    };
    arena.alloc(1u64);
    assert_eq!(arena.stats().commits, 1, "one growth");
    arena.stats().populated
}

/// Whether the system gives huge pages to a range that asks for them.
fn has_huge_pages() -> bool {
    let setting = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    cfg!(target_os = "linux") && (setting.contains("[always]") || setting.contains("[madvise]"))
}

/// The kernel's version, as far as it matters.
fn kernel() -> Option<(u32, u32)> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut numbers = release.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[test]
fn a_step_is_populated_as_far_as_that_pays() {
    if cfg!(highwater_portable) {
        return support::skip("the portable calls populate nothing");
    }
    if kernel() < Some((5, 14)) {
        return support::skip("Linux populates from 5.14 on");
    }
    assert_eq!(populated(HugePages::Never, None), STEP as u64);
    assert_eq!(populated(HugePages::Never, Some(false)), 0);
    assert_eq!(populated(HugePages::Advise, Some(true)), STEP as u64, "all of it when told to");
    let of_huge_pages = if has_huge_pages() { 4 * MIB } else { STEP };
    assert_eq!(populated(HugePages::Advise, None), of_huge_pages as u64);
}
