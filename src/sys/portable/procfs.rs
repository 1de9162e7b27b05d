//! What the kernel says of this process and of the machine: nothing here.

use crate::sys::figures::{Overcommit, ProcessSize};
use crate::sys::proc_text::{MapsEntry, MemInfo};

/// Not known here.
pub(crate) fn process_size() -> Option<ProcessSize> {
    None
}

/// Not known here.
pub(crate) fn resident_anonymous_bytes() -> Option<u64> {
    None
}

/// Not known here.
pub(crate) fn process_address_space() -> Option<usize> {
    None
}

/// Not known here.
pub fn mem_info(_scratch: &mut [u8]) -> Option<MemInfo> {
    None
}

/// Not known here.
pub(crate) fn overcommit(_scratch: &mut [u8]) -> Option<Overcommit> {
    None
}

/// Not known here, so it is not.
pub(crate) fn overcommit_is_strict() -> bool {
    false
}

/// Not known here, so it was not.
pub(crate) fn overcommit_was_strict() -> bool {
    false
}

/// Not known here.
pub(crate) fn memory_pressure(_scratch: &mut [u8]) -> Option<&str> {
    None
}

/// There are no mappings to be known.
pub fn each_mapping(_scratch: &mut [u8], _call: impl FnMut(&MapsEntry<'_>) -> bool) {}

/// Not known here.
pub(crate) fn mappings(_scratch: &mut [u8]) -> Option<(u64, u64)> {
    None
}

/// There is no limit of mappings.
pub(crate) fn max_mappings() -> usize {
    usize::MAX
}

/// Not known here.
pub(crate) fn largest_gap(_end: usize, _scratch: &mut [u8]) -> Option<u64> {
    None
}

/// Not known here.
pub(crate) fn image_of(_pc: usize, _scratch: &mut [u8], _path: &mut [u8]) -> Option<(usize, usize)> {
    None
}
