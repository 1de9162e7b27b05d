//! How a process ends: in a function named after the reason, so that stack traces show it.

use crate::admission::Cause;
#[cfg(any(highwater_fault, feature = "debug-arena"))]
use crate::guard::ViolationKind;

/// A function per reason, none of them inlined or merged.
macro_rules! ends {
    ($($name:ident),+ $(,)?) => {$(
        #[inline(never)]
        fn $name() -> ! {
            // Something that differs, or the linker folds them into one.
            core::hint::black_box(stringify!($name).as_ptr());
            // SAFETY: abort has no preconditions.
            unsafe { libc::abort() }
        }
    )+};
}

#[cfg(any(highwater_fault, feature = "debug-arena"))]
ends!(
    highwater_guard_overflow,
    highwater_guard_underflow,
    highwater_guard_use_after_reset,
    highwater_guard_unallocated,
    highwater_guard_beyond_reach,
    highwater_guard_end_of_reservation,
    highwater_guard_before_head,
    highwater_guard_placed_guard,
);

#[cfg(any(highwater_fault, feature = "debug-arena"))]
pub(super) fn violated(kind: ViolationKind) -> ! {
    match kind {
        ViolationKind::Overflow => highwater_guard_overflow(),
        ViolationKind::Underflow => highwater_guard_underflow(),
        ViolationKind::UseAfterReset => highwater_guard_use_after_reset(),
        ViolationKind::Unallocated => highwater_guard_unallocated(),
        ViolationKind::BeyondReach => highwater_guard_beyond_reach(),
        ViolationKind::EndOfReservation => highwater_guard_end_of_reservation(),
        ViolationKind::BeforeHead => highwater_guard_before_head(),
        ViolationKind::PlacedGuard => highwater_guard_placed_guard(),
    }
}

ends!(
    highwater_oom_reservation_exhausted,
    highwater_oom_region_limit,
    highwater_oom_process_limit,
    highwater_oom_address_space,
    highwater_oom_cgroup_limit,
    highwater_oom_system_memory,
    highwater_oom_rlimit_data,
    highwater_oom_rlimit_as,
    highwater_oom_overcommit,
    highwater_oom_map_count,
    highwater_oom_locked_limit,
    highwater_oom_disk_full,
    highwater_oom_huge_pages,
    highwater_oom_not_inherited,
    highwater_oom_injected,
    highwater_oom_kernel,
    highwater_oom_allocator,
);

pub(super) fn out_of_memory(cause: Cause) -> ! {
    match cause {
        Cause::ReservationExhausted => highwater_oom_reservation_exhausted(),
        Cause::RegionLimit => highwater_oom_region_limit(),
        Cause::ProcessLimit => highwater_oom_process_limit(),
        Cause::AddressSpace => highwater_oom_address_space(),
        Cause::CgroupLimit { .. } => highwater_oom_cgroup_limit(),
        Cause::SystemMemory => highwater_oom_system_memory(),
        Cause::RlimitData => highwater_oom_rlimit_data(),
        Cause::RlimitAs => highwater_oom_rlimit_as(),
        Cause::Overcommit => highwater_oom_overcommit(),
        Cause::MapCount => highwater_oom_map_count(),
        Cause::LockedLimit => highwater_oom_locked_limit(),
        Cause::DiskFull => highwater_oom_disk_full(),
        Cause::HugePages => highwater_oom_huge_pages(),
        Cause::NotInherited => highwater_oom_not_inherited(),
        Cause::Injected => highwater_oom_injected(),
        Cause::Kernel(_) => highwater_oom_kernel(),
        Cause::Allocator => highwater_oom_allocator(),
    }
}
