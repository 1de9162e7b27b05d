//! How much address space there is: what the kernel has, not what the processor could have.
//!
//! The same program meets kernels with 39, 42, 47 and 48 bits of addresses, and processes of which a sanitizer has taken
//! most. (On machines with more, 52, 56 or 57 bits, the kernel keeps to 47 or 48 unless it is asked otherwise. This library
//! does not ask: pointers that carry tags would not survive it.)
//!
//! Contract: [`address_space`] is signal-safe; [`mapped_by_others`] is called outside of signals, and takes some 4 KiB of
//! stack.

#[cfg(not(highwater_portable))]
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The possible ends of address space, the highest first.
const ENDS: &[u64] = if cfg!(target_pointer_width = "32") {
    &[4 << 30, 3 << 30, 2 << 30, 1 << 30]
} else if cfg!(target_arch = "x86_64") {
    &[1 << 47, 1 << 46, 1 << 45, 1 << 44, 1 << 42, 1 << 40, 1 << 39, 1 << 38, 1 << 36]
} else {
    &[1 << 48, 1 << 47, 1 << 46, 1 << 45, 1 << 44, 1 << 42, 1 << 40, 1 << 39, 1 << 38, 1 << 36]
};

/// How far below an end an address is tried: some kernels do not hand out the last page, or the last few.
const BELOW: u64 = 1 << 20;

/// The end of the address space: the highest below which an address `exists`. Where none does, the kernel cannot be asked (a
/// sandbox forbids it, or a limit is met), and the end is what this kind of processor usually has.
fn end_of_space(mut exists: impl FnMut(u64) -> bool) -> u64 {
    let usual = if cfg!(target_pointer_width = "32") { 3 << 30 } else { ENDS[0] };
    ENDS.iter().copied().find(|end| exists(end - BELOW)).unwrap_or(usual)
}

/// The bytes of address space that the kernel hands out by itself, asked once. Signal-safe.
pub(crate) fn address_space() -> usize {
    #[cfg(not(highwater_portable))]
    {
        static ANSWER: AtomicUsize = AtomicUsize::new(0);
        match ANSWER.load(Relaxed) {
            0 => {
                let answer = end_of_space(super::address_exists);
                let answer = usize::try_from(answer).unwrap_or(usize::MAX);
                ANSWER.store(answer, Relaxed);
                answer
            }
            answer => answer,
        }
    }
    #[cfg(highwater_portable)]
    usize::try_from(end_of_space(|_| false)).unwrap_or(usize::MAX)
}

/// The bytes of it that this process has mapped beside the `ours` that regions have.
pub(crate) fn mapped_by_others(ours: usize) -> usize {
    let space = address_space();
    let all = super::process_address_space().unwrap_or(0);
    let others = all.saturating_sub(ours);
    if others <= space / 8 {
        return others;
    }
    // So much that it matters where it is: a mapping beyond the usual end takes nothing from regions.
    let mut below = 0usize;
    let mut scratch = [0u8; 4096];
    super::each_mapping(&mut scratch, |entry| {
        below = below.saturating_add(entry.end.min(space).saturating_sub(entry.start));
        true
    });
    below.saturating_sub(ours).min(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_end_is_that_of_the_kernel() {
        for bits in [36, 38, 39, 40, 42, 44, 45, 46, 47] {
            assert_eq!(end_of_space(|address| address < 1 << bits), 1 << bits, "{bits} bits");
            // A kernel that does not hand out the last pages.
            assert_eq!(end_of_space(|address| address < (1 << bits) - (64 << 10)), 1 << bits, "{bits} bits");
        }
        // Where there is more the kernel keeps to this all the same.
        for bits in [52, 56, 57] {
            assert_eq!(end_of_space(|address| address < 1 << bits), ENDS[0], "{bits} bits");
        }
        // An unknown size counts as the next smaller one.
        assert_eq!(end_of_space(|address| address < 1 << 41), 1 << 40);
        assert_eq!(end_of_space(|_| false), ENDS[0]);
    }

    #[test]
    #[cfg(all(not(miri), not(highwater_portable)))]
    fn everything_that_is_mapped_lies_in_it() {
        let here = core::ptr::from_ref(&ENDS).addr();
        let local = 0u8;
        assert!(here.max(core::ptr::from_ref(&local).addr()) < address_space());
        let others = mapped_by_others(0);
        assert!(others > 0 && others < address_space(), "{others}");
        assert!(mapped_by_others(others / 2) < others);
    }
}
