//! Gathering what a violation's report says. Signal-safe.

use crate::admission;
#[cfg(feature = "debug-arena")]
use crate::guard::Corruption;
use crate::guard::{self, Access, IMAGE_BYTES, Violation, ViolationKind};
use crate::region::{ControlBlock, NAME_BYTES, Role};
use crate::sys::{self, TryLock, TryLockGuard, try_lock_any};
use core::sync::atomic::Ordering::Relaxed;

/// Where violations are put together, as many at once as threads are likely to report: a handler's stack has little room
/// for one, and none for copies.
static VIOLATIONS: [TryLock<Violation>; 4] = [const {
    TryLock::new(Violation {
        kind: ViolationKind::Unallocated,
        access: Access::Unknown,
        address: 0,
        offset: 0,
        distance: 0,
        region: 0,
        name: [0; NAME_BYTES],
        role: Role::Region,
        reserved: 0,
        committed: 0,
        reach: 0,
        guard: None,
        allocation: None,
        generation: None,
        thread: 0,
        thread_name: [0; 16],
        pc: None,
        image: [0; IMAGE_BYTES],
        image_offset: 0,
    })
}; 4];

/// A violation to put together; `None` when all are in use: a signal handler does not wait.
pub(super) fn violation_buffer() -> Option<TryLockGuard<'static, Violation>> {
    try_lock_any(&VIOLATIONS)
}

/// Everything but the image, which takes longest to find.
pub(super) fn of_fault(
    to: &mut Violation,
    control: &ControlBlock,
    kind: ViolationKind,
    access: Access,
    address: usize,
    pc: Option<usize>,
) {
    let offset = address.wrapping_sub(control.base().addr());
    let allocation = match kind {
        ViolationKind::BeforeHead | ViolationKind::EndOfReservation | ViolationKind::Unallocated => None,
        _ => guard::look(control, offset).and_then(|(_, allocation)| allocation),
    };
    let placed = if kind == ViolationKind::PlacedGuard { control.guard_over(offset) } else { None };
    // The first byte past these counts as 1.
    let from = match kind {
        ViolationKind::EndOfReservation => control.reserved(),
        ViolationKind::BeyondReach => control.frontier.get(),
        ViolationKind::PlacedGuard => placed.as_ref().map_or(offset, |guard| guard.start),
        ViolationKind::UseAfterReset => allocation.map_or(0, |given_up| given_up.offset),
        _ => allocation.map_or(0, |left| left.offset.wrapping_add(left.size)),
    };
    let distance = match kind {
        ViolationKind::BeforeHead => offset.wrapping_neg(),
        ViolationKind::Unallocated => 1,
        _ => offset.saturating_sub(from).saturating_add(1),
    };
    (to.kind, to.access, to.address, to.pc) = (kind, access, address, pc);
    (to.offset, to.distance) = (offset as isize, distance);
    to.region = control.id.load(Relaxed);
    control.name(&mut to.name);
    to.role = control.role();
    (to.reserved, to.committed) = (control.requested_reserve(), control.frontier.get());
    (to.reach, to.guard) = (control.reach.load(Relaxed), placed);
    (to.allocation, to.generation) = (allocation, guard::generation(control));
    (to.thread, to.thread_name) = (sys::thread_id(), sys::thread_name());
    (to.image, to.image_offset) = ([0; IMAGE_BYTES], 0);
}

/// Bytes around an allocation that were found overwritten when it was given up.
#[cfg(feature = "debug-arena")]
pub(super) fn of_corruption(to: &mut Violation, control: &ControlBlock, corruption: &Corruption) {
    let address = control.base().addr().wrapping_add(corruption.offset);
    let allocation = corruption.allocation;
    of_fault(to, control, corruption.kind, Access::Unknown, address, None);
    to.distance = match corruption.kind {
        ViolationKind::Underflow => allocation.offset.wrapping_sub(corruption.offset),
        _ => corruption.offset.wrapping_sub(allocation.offset.wrapping_add(allocation.size)).wrapping_add(1),
    };
    to.allocation = Some(allocation);
}

/// Finds the file that the instruction is in. Without a free buffer the report goes without it: a signal handler does not wait.
pub(super) fn find_image(violation: &mut Violation) {
    let Some(pc) = violation.pc else { return };
    /// The longest path that is looked for.
    const PATH: usize = 1024;
    let Some(mut scratch) = admission::scratch() else { return };
    let Some((path, text)) = scratch.split_at_mut_checked(PATH) else { return };
    if let Some((len, offset)) = sys::image_of(pc, text, path) {
        let path = path.get(..len).unwrap_or_default();
        let mut kept = path.get(path.len().saturating_sub(IMAGE_BYTES)..).unwrap_or_default();
        // Not from the middle of a character.
        while let [0x80..=0xbf, rest @ ..] = kept {
            kept = rest;
        }
        if let Some(image) = violation.image.get_mut(..kept.len()) {
            image.copy_from_slice(kept);
        }
        violation.image_offset = offset;
    }
}
