//! What can be done about each cause.

use crate::admission::Cause;

/// One sentence or two.
pub(super) const fn advice(cause: Cause) -> &'static str {
    match cause {
        Cause::ReservationExhausted => {
            "reserve more (Builder::reserve); addresses cost nothing until they are used"
        }
        Cause::RegionLimit => "raise the limit (Builder::limit, set_allocation_limit), or reset earlier",
        Cause::ProcessLimit => "raise the limit (oom::set_process_limit), or trim or drop other arenas",
        Cause::AddressSpace => {
            "reserve less per region, or drop regions: together they may take a quarter of the space that others left"
        }
        Cause::CgroupLimit { .. } => {
            "raise the cgroup's limit (memory.max, or the container's or job's memory setting), use less, or trim other \
             arenas"
        }
        Cause::SystemMemory => "use less, stop other programs, or add memory or swap",
        Cause::RlimitData => "raise the limit (ulimit -d, LimitDATA= of a systemd unit)",
        Cause::RlimitAs => "raise the limit (ulimit -v, LimitAS= of a systemd unit)",
        Cause::Overcommit => {
            "with vm.overcommit_memory=2 raise vm.overcommit_ratio, or add swap; reserve less, and less is kept back \
             (vm.user_reserve_kbytes); with 0 a step may not be larger than memory and swap"
        }
        Cause::MapCount => "raise vm.max_map_count, or use fewer guards and mappings",
        Cause::LockedLimit => {
            "raise the limit (ulimit -l), reserve less (under mlockall a reservation counts in full), or lock less memory"
        }
        Cause::DiskFull => "make room in the directory of the backing file",
        Cause::HugePages => "reserve more huge pages (vm.nr_hugepages)",
        Cause::NotInherited => "make a region of its own in the forked process",
        Cause::Injected => "nothing: a test wanted it so (Injection)",
        Cause::Kernel(_) => "see errno(3), and the kernel's log",
        Cause::Allocator => "use less of malloc's memory, or raise the limit of the global allocator",
    }
}
