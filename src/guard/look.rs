//! What the ledger of a checked arena knows of a byte. Signal-safe.

use super::ledger::Ledger;
use super::{Allocation, PageState};
use crate::region::ControlBlock;

/// The state of a byte's page, and the allocation that the byte is in or comes after; `None` where the region has no
/// ledger.
pub(crate) fn look(control: &ControlBlock, offset: usize) -> Option<(PageState, Option<Allocation>)> {
    Ledger::of(control).map(|ledger| ledger.look(offset))
}

/// The generation that the region's ledger is in, if it has one.
pub(crate) fn generation(control: &ControlBlock) -> Option<u32> {
    Ledger::of(control).map(Ledger::generation)
}
