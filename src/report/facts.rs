//! Gathering what a violation's report says. Signal-safe.

use crate::guard::{Access, Broken, IMAGE_BYTES, Kind, Ledger, Violation};
use crate::region::{NAME_BYTES, Slot};
use crate::sys;
use core::cell::UnsafeCell;
use core::sync::atomic::AtomicBool;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Everything but the image, which takes longest to find.
pub(super) fn of_fault(slot: &Slot, kind: Kind, access: Access, address: usize, pc: usize) -> Violation {
    let offset = address.wrapping_sub(slot.base().addr());
    let ledger = Ledger::of(slot);
    let allocation = match kind {
        Kind::BeforeHead | Kind::EndOfReservation | Kind::Unallocated => None,
        _ => ledger.and_then(|ledger| ledger.look(offset).1),
    };
    let guard = if kind == Kind::PlacedGuard { slot.guard_over(offset) } else { None };
    // The first byte past these counts as 1.
    let from = match kind {
        Kind::EndOfReservation => slot.reserved(),
        Kind::BeyondReach => slot.frontier.get(),
        Kind::PlacedGuard => guard.as_ref().map_or(offset, |guard| guard.start),
        Kind::UseAfterReset => allocation.map_or(0, |given_up| given_up.offset),
        _ => allocation.map_or(0, |left| left.offset.wrapping_add(left.size)),
    };
    let distance = match kind {
        Kind::BeforeHead => offset.wrapping_neg(),
        Kind::Unallocated => 1,
        _ => offset.saturating_sub(from).saturating_add(1),
    };
    let mut name = [0; NAME_BYTES];
    slot.name(&mut name);
    Violation {
        kind,
        access,
        address,
        offset: offset as isize,
        distance,
        region: slot.id.load(Relaxed),
        name,
        reserved: slot.reserved(),
        committed: slot.frontier.get(),
        reach: slot.reach.load(Relaxed),
        guard,
        allocation,
        generation: ledger.map(Ledger::generation),
        thread: sys::thread_id(),
        thread_name: sys::thread_name(),
        pc: Some(pc),
        image: [0; IMAGE_BYTES],
        image_offset: 0,
    }
}

/// Bytes around an allocation that were found overwritten when it was given up.
pub(super) fn of_broken(slot: &Slot, broken: &Broken) -> Violation {
    let address = slot.base().addr().wrapping_add(broken.offset);
    let allocation = broken.allocation;
    let found = of_fault(slot, broken.kind, Access::Unknown, address, 0);
    let distance = match broken.kind {
        Kind::Underflow => allocation.offset.wrapping_sub(broken.offset),
        _ => broken.offset.wrapping_sub(allocation.offset.wrapping_add(allocation.size)).wrapping_add(1),
    };
    Violation { allocation: Some(allocation), distance, pc: None, ..found }
}

struct Scratch {
    taken: AtomicBool,
    text: UnsafeCell<[u8; 4096]>,
    path: UnsafeCell<[u8; 1024]>,
}

// SAFETY: only whoever set `taken` touches the rest.
unsafe impl Sync for Scratch {}

static SCRATCH: Scratch = Scratch {
    taken: AtomicBool::new(false),
    text: UnsafeCell::new([0; 4096]),
    path: UnsafeCell::new([0; 1024]),
};

/// Finds the file that the instruction is in. Whoever comes while another thread does so goes without: nobody
/// waits.
pub(super) fn find_image(violation: &mut Violation) {
    let Some(pc) = violation.pc else { return };
    if SCRATCH.taken.swap(true, Acquire) {
        return;
    }
    // SAFETY: ours while `taken` is set.
    let (text, path) = unsafe { (&mut *SCRATCH.text.get(), &mut *SCRATCH.path.get()) };
    if let Some((len, offset)) = sys::image_of(pc, text, path) {
        let path = path.get(..len).unwrap_or_default();
        let kept = path.get(path.len().saturating_sub(IMAGE_BYTES)..).unwrap_or_default();
        violation.image.iter_mut().zip(kept).for_each(|(to, byte)| *to = *byte);
        violation.image_offset = offset;
    }
    SCRATCH.taken.store(false, Release);
}
