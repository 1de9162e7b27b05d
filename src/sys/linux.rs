//! Linux. Outside the signal nix makes the calls; what may run inside it calls libc directly.

use super::Errno;
use super::raw;
use core::ffi::{CStr, c_int};
use core::mem::MaybeUninit;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use nix::sys::mman::{self, MapFlags, MmapAdvise, ProtFlags};
use std::ffi::CString;

/// The default reserve.
pub(crate) const DEFAULT_RESERVE: usize =
    if cfg!(target_pointer_width = "64") { 64 << 30 } else { 256 << 20 };

/// Whether what is not committed costs nothing and refuses access: what guards and growth by fault need.
pub(crate) const HAS_PROTECTION: bool = true;

pub(super) fn errno() -> Errno {
    Errno(nix::errno::Errno::last_raw())
}

impl From<nix::errno::Errno> for Errno {
    fn from(errno: nix::errno::Errno) -> Self {
        Errno(errno as i32)
    }
}

pub(super) fn checked(result: c_int) -> Result<(), Errno> {
    if result == 0 { Ok(()) } else { Err(errno()) }
}

/// The page size in bytes. Signal-safe.
pub(crate) fn page_size() -> usize {
    static PAGE: AtomicUsize = AtomicUsize::new(0);
    match PAGE.load(Relaxed) {
        0 => {
            // SAFETY: sysconf has no preconditions.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
            let page = usize::try_from(page).unwrap_or(4096);
            PAGE.store(page, Relaxed);
            page
        }
        page => page,
    }
}

/// What a fresh range allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// `PROT_NONE`: charged to nobody until it is committed.
    None,
    /// Read and write from the start and `MAP_NORESERVE`, without which the kernel's heuristic refuses a
    /// writable range larger than the machine.
    ReadWrite,
}

impl Protection {
    /// Whether a range is made writable by a second call.
    fn is_late(self) -> bool {
        self == Protection::ReadWrite && super::valgrind::under_helgrind()
    }

    fn flags(self) -> (ProtFlags, MapFlags) {
        // No MAP_NORESERVE on inaccessible ranges: they are not charged anyway, and without the flag a
        // commit that cannot be honoured is ENOMEM instead of an invitation to the OOM killer.
        match self {
            Protection::None => (ProtFlags::PROT_NONE, MapFlags::MAP_PRIVATE),
            Protection::ReadWrite => (
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE,
            ),
        }
    }
}

/// Reserves `len` bytes of address space, aligned to a page.
pub(crate) fn reserve(len: usize, access: Protection) -> Result<NonNull<u8>, Errno> {
    let len = NonZeroUsize::new(len).ok_or(Errno(libc::EINVAL))?;
    let (protection, flags) = access.flags();
    // SAFETY: without MAP_FIXED the kernel picks a range that overlaps nothing.
    let range = unsafe { mman::mmap_anonymous(None, len, protection, flags) }?;
    Ok(range.cast())
}

/// Maps `[start, start + len)` over afresh: the pages, their charge, name and advice are gone.
///
/// # Safety
/// The range lies in a mapping of the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn reserve_over(start: NonNull<u8>, len: usize, access: Protection) -> Result<(), Errno> {
    let Some(len) = NonZeroUsize::new(len) else { return Ok(()) };
    let (protection, flags) = access.flags();
    let late = access.is_late();
    let protection = if late { ProtFlags::PROT_NONE } else { protection };
    let address = Some(start.addr());
    // SAFETY: MAP_FIXED replaces only what the caller owns.
    unsafe {
        mman::mmap_anonymous(address, len, protection, flags | MapFlags::MAP_FIXED)?;
        if late { commit(start.as_ptr(), len.get()) } else { Ok(()) }
    }
}

/// Gives a range back to the system.
///
/// # Safety
/// The range is a whole mapping of the caller's, and nothing refers to it any more.
pub(crate) unsafe fn release(start: NonNull<u8>, len: usize) {
    // At the limit of mappings a part of a joined one cannot be unmapped. Then its addresses are lost, and its
    // memory at least is not.
    // SAFETY: the caller owns the range.
    unsafe {
        if mman::munmap(start.cast(), len).is_err() {
            let _ = mman::madvise(start.cast(), len, MmapAdvise::MADV_DONTNEED);
        }
    }
}

/// Makes `[start, start + len)` readable and writable; idempotent. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn commit(start: *mut u8, len: usize) -> Result<(), Errno> {
    // SAFETY: changing the protection of the caller's own range to more access breaks no reference.
    checked(unsafe { libc::mprotect(start.cast(), len, libc::PROT_READ | libc::PROT_WRITE) })
}

/// Makes `[start, start + len)` inaccessible.
///
/// # Safety
/// The range lies in a mapping of the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn protect(start: *mut u8, len: usize) -> Result<(), Errno> {
    // SAFETY: nobody accesses the range through a reference.
    checked(unsafe { libc::mprotect(start.cast(), len, libc::PROT_NONE) })
}

/// Makes the pages of a committed range present, as if written to. It is a matter of speed only: a page that
/// is not populated is paged in when it is touched. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn populate(start: *mut u8, len: usize) -> Result<(), Errno> {
    // Linux 5.14 and later.
    const MADV_POPULATE_WRITE: c_int = 23;
    // SAFETY: the advice changes no contents.
    checked(unsafe { libc::madvise(start.cast(), len, MADV_POPULATE_WRITE) })
}

/// Marks the pages of a range as guards, which drops what is in them: no access is served until they are
/// unmarked, whatever the protection says, and no mapping is split. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn install_guard(start: *mut u8, len: usize) -> Result<(), Errno> {
    // Linux 6.13 and later.
    const MADV_GUARD_INSTALL: c_int = 102;
    // SAFETY: the caller's promise.
    checked(unsafe { libc::madvise(start.cast(), len, MADV_GUARD_INSTALL) })
}

/// Takes the marks of [`install_guard`] away; pages without one stay as they are. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn remove_guard(start: *mut u8, len: usize) -> Result<(), Errno> {
    const MADV_GUARD_REMOVE: c_int = 103;
    // SAFETY: pages with contents are left alone.
    checked(unsafe { libc::madvise(start.cast(), len, MADV_GUARD_REMOVE) })
}

/// Whether [`install_guard`] works, found out once by trying: a call that succeeds may still have been ignored (by an
/// emulator, say), so the page is asked for afterwards.
pub(crate) fn supports_guards() -> bool {
    static ANSWER: AtomicUsize = AtomicUsize::new(0);
    const KNOWN: usize = 2;
    let answer = ANSWER.load(Relaxed);
    if answer >= KNOWN {
        return answer > KNOWN;
    }
    // Where no page is to be had it cannot be known yet: whoever marks one finds out.
    let Some(works) = try_guard() else { return true };
    ANSWER.store(KNOWN + usize::from(works), Relaxed);
    works
}

fn try_guard() -> Option<bool> {
    const MADV_POPULATE_READ: c_int = 22;
    let page = page_size();
    let start = reserve(page, Protection::ReadWrite).ok()?;
    // SAFETY: the page is ours alone.
    unsafe {
        // A program that locks all it maps has locked this page too, and what is locked cannot be marked.
        libc::munlock(start.as_ptr().cast(), page);
        let installed = install_guard(start.as_ptr(), page).is_ok();
        let works = installed
            && checked(libc::madvise(start.as_ptr().cast(), page, MADV_POPULATE_READ))
                == Err(Errno(libc::EFAULT));
        release(start, page);
        Some(works)
    }
}

/// Gives the pages of a range back, and returns whether the system took them: then what is private reads as zero. (Pages
/// that are locked it does not take.) `errno` stays.
///
/// # Safety
/// The range lies in a mapping of the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn purge(start: *mut u8, len: usize) -> bool {
    let errno = nix::errno::Errno::last_raw();
    // SAFETY: the caller's promise.
    let is_taken = unsafe { libc::madvise(start.cast(), len, libc::MADV_DONTNEED) } == 0;
    nix::errno::Errno::set_raw(errno);
    is_taken
}

/// Sleeps for a moment. No cancellation point; `errno` stays.
pub(crate) fn sleep_ns(nanoseconds: u32) {
    let errno = nix::errno::Errno::last_raw();
    raw::sleep(nanoseconds);
    nix::errno::Errno::set_raw(errno);
}

/// How many mappings a process may have.
pub(crate) fn max_mappings() -> usize {
    let mut text = [0; 32];
    let len = read_file(c"/proc/sys/vm/max_map_count", &mut text).unwrap_or(0);
    decimal(text.get(..len).unwrap_or_default()).map_or(65_530, |most| most as usize)
}

/// Asks for huge pages in a range, or forbids them. Best effort.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn advise_huge(start: NonNull<u8>, len: usize, wanted: bool) {
    let advice = if wanted { MmapAdvise::MADV_HUGEPAGE } else { MmapAdvise::MADV_NOHUGEPAGE };
    // SAFETY: the advice changes no contents.
    let _ = unsafe { mman::madvise(start.cast(), len, advice) };
}

/// Whether a range that is advised so gets huge pages when it is touched, as far as the system's setting
/// says; asked once.
pub(crate) fn huge_pages_on_advice() -> bool {
    static ANSWER: AtomicUsize = AtomicUsize::new(UNKNOWN);
    const UNKNOWN: usize = 2;
    match ANSWER.load(Relaxed) {
        UNKNOWN => {
            let mut text = [0u8; 64];
            let len = read_file(c"/sys/kernel/mm/transparent_hugepage/enabled", &mut text).unwrap_or(0);
            let text = text.get(..len).unwrap_or_default();
            let has = |word: &[u8]| text.windows(word.len()).any(|part| part == word);
            let answer = has(b"[always]") || has(b"[madvise]");
            ANSWER.store(usize::from(answer), Relaxed);
            answer
        }
        answer => answer == 1,
    }
}

/// Includes a range in core dumps, or leaves it out: a debugger's dump would write the whole reserve.
/// Best effort. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn set_dumpable(start: *mut u8, len: usize, wanted: bool) {
    let advice = if wanted { libc::MADV_DODUMP } else { libc::MADV_DONTDUMP };
    // SAFETY: the advice changes no contents.
    unsafe { libc::madvise(start.cast(), len, advice) };
}

/// Keeps a range out of forked children.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn dont_fork(start: NonNull<u8>, len: usize) -> Result<(), Errno> {
    // SAFETY: the advice changes no contents in this process.
    Ok(unsafe { mman::madvise(start.cast(), len, MmapAdvise::MADV_DONTFORK) }?)
}

/// Has a function called in every forked child, before `fork` returns there.
pub(crate) fn on_fork_in_child(call: unsafe extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: the function keeps to what is allowed in the child of a process with threads.
    match unsafe { libc::pthread_atfork(None, None, Some(call)) } {
        0 => Ok(()),
        error => Err(Errno(error)),
    }
}

/// Has functions called around every fork: before it, and after it in the parent and in the child.
#[cfg(feature = "global-alloc")]
pub(crate) fn around_forks(
    before: unsafe extern "C" fn(),
    parent: unsafe extern "C" fn(),
    child: unsafe extern "C" fn(),
) -> Result<(), Errno> {
    // SAFETY: the functions keep to what is allowed in a process with threads, and in its child.
    match unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) } {
        0 => Ok(()),
        error => Err(Errno(error)),
    }
}

/// Makes `[start, start + len)` inaccessible if nothing is mapped there. Best effort. Signal-safe.
///
/// # Safety
/// The range may be taken.
pub(crate) unsafe fn reserve_if_free(start: *mut u8, len: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: what is mapped there already is not replaced.
    unsafe { libc::mmap(start.cast(), len, libc::PROT_NONE, flags, -1, 0) };
}

/// Names a range in `/proc/self/maps` where the kernel can (`CONFIG_ANON_VMA_NAME`). Best effort.
///
/// # Safety
/// The range lies in a mapping of the caller's.
pub(crate) unsafe fn set_name(start: NonNull<u8>, len: usize, name: &CStr) {
    const PR_SET_VMA: c_int = 0x53_56_4d_41;
    const PR_SET_VMA_ANON_NAME: libc::c_ulong = 0;
    static UNKNOWN: AtomicBool = AtomicBool::new(false);
    if UNKNOWN.load(Relaxed) {
        return;
    }
    let (start, len) = (start.addr().get() as libc::c_ulong, len as libc::c_ulong);
    // SAFETY: the kernel copies the name; a range or a name that it does not like is only refused.
    let result = unsafe { libc::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, start, len, name.as_ptr()) };
    // The name is made of what is allowed, so it is the call that this kernel does not know.
    if checked(result) == Err(Errno::EINVAL) {
        UNKNOWN.store(true, Relaxed);
    }
}

/// Gives `[offset, offset + len)` of a file its blocks, so that writing there cannot find the disk full.
/// Signal-safe.
///
/// Blocks alone are not enough: when a page of them is first written, ext4 notes that in its extent tree, which may
/// have to grow, and where nothing is left for that the write is SIGBUS. So a little is left free.
pub(crate) fn allocate_blocks(fd: c_int, offset: usize, len: usize) -> Result<(), Errno> {
    const LEFT_FREE: u64 = 512 << 10;
    let needed = (len as u64).saturating_add(LEFT_FREE).saturating_add(len as u64 / 256);
    if free_on_disk(fd).is_some_and(|free| free < needed) {
        return Err(Errno::ENOSPC);
    }
    let (offset, len) = (offset as libc::off64_t, len as libc::off64_t);
    loop {
        // SAFETY: fallocate takes any numbers.
        match checked(unsafe { raw::allocate(fd, 0, offset, len) }) {
            Err(Errno(libc::EINTR)) => continue,
            result => return result,
        }
    }
}

/// Takes the blocks of `[offset, offset + len)` of a file away again: it reads as zeroes.
pub(crate) fn punch_hole(fd: c_int, offset: usize, len: usize) -> Result<(), Errno> {
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    // SAFETY: fallocate takes any numbers.
    checked(unsafe { raw::allocate(fd, mode, offset as libc::off64_t, len as libc::off64_t) })
}

/// Maps a file over a range, inaccessible, kept out of forked children and of core dumps. Signal-safe.
///
/// # Safety
/// The range lies in a mapping of the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn map_file_over(
    start: *mut u8,
    len: usize,
    fd: c_int,
    offset: usize,
) -> Result<(), Errno> {
    let flags = libc::MAP_SHARED | libc::MAP_FIXED;
    // SAFETY: MAP_FIXED replaces only what the caller owns.
    unsafe {
        if libc::mmap64(start.cast(), len, libc::PROT_NONE, flags, fd, offset as libc::off64_t)
            == libc::MAP_FAILED
        {
            return Err(errno());
        }
        // (Should that be refused: a forked child covers the range in any case.)
        libc::madvise(start.cast(), len, libc::MADV_DONTFORK);
        set_dumpable(start, len, false);
    }
    Ok(())
}

/// Makes `[start, start + len)` a fresh inaccessible range, whatever was there. Best effort. Signal-safe.
///
/// # Safety
/// The range is the caller's, and nothing refers to its contents any more.
pub(crate) unsafe fn replace_with_reserved(start: *mut u8, len: usize) {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    // SAFETY: the caller's promise.
    unsafe { libc::mmap(start.cast(), len, libc::PROT_NONE, flags, -1, 0) };
}

/// Sets this thread's alternate signal stack, `None` for none, and returns what it was. Signal-safe.
#[cfg(highwater_fault)]
pub(crate) fn change_alternate_stack(to: Option<libc::stack_t>) -> libc::stack_t {
    let none = libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    let (new, mut old) = (to.unwrap_or(none), none);
    // SAFETY: both are stacks; what is set was in force before, or is none.
    unsafe { libc::sigaltstack(&new, &mut old) };
    // Asked from elsewhere, so nobody is on it.
    libc::stack_t { ss_flags: old.ss_flags & !libc::SS_ONSTACK, ..old }
}

/// The signals that a thread raises itself: their handlers must run, or the process dies.
pub(crate) const SYNCHRONOUS_SIGNALS: [c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// Blocks every signal but those, and returns what this thread blocked before. Signal-safe.
pub(crate) fn block_async_signals() -> u64 {
    let open = SYNCHRONOUS_SIGNALS.into_iter().fold(0u64, |mask, signal| mask | 1 << (signal - 1));
    change_signal_mask(libc::SIG_BLOCK, !open)
}

/// Blocks what [`block_async_signals`] found blocked. Signal-safe.
pub(crate) fn restore_signal_mask(mask: u64) {
    change_signal_mask(libc::SIG_SETMASK, mask);
}

/// What is said of the file system of a file. Signal-safe.
fn file_system(fd: c_int) -> Option<libc::statfs> {
    let mut facts = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: `facts` is a statfs to write to, and zeroes are valid.
    unsafe { (libc::fstatfs(fd, facts.as_mut_ptr()) == 0).then(|| facts.assume_init()) }
}

/// Bytes that are free on the file system of a file, for everybody; `None` where it does not say.
fn free_on_disk(fd: c_int) -> Option<u64> {
    let facts = file_system(fd).filter(|facts| facts.f_blocks > 0)?;
    Some((facts.f_bavail).saturating_mul(facts.f_bsize as u64))
}

/// Whether a file lives in memory.
pub(crate) fn is_in_memory(fd: c_int) -> bool {
    const RAMFS: u64 = 0x8584_58f6;
    let kind = file_system(fd).map_or(0, |facts| facts.f_type as u64);
    kind == libc::TMPFS_MAGIC as u64 || kind == RAMFS
}

/// Nanoseconds on the monotonic clock. Signal-safe.
pub(crate) fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64)
}

/// An address that is this thread's alone, and its copy's in a forked child. Signal-safe.
pub(crate) fn thread_address() -> usize {
    // SAFETY: where `errno` is; nothing is read.
    unsafe { libc::__errno_location() }.addr()
}

/// The kernel's number of this thread. Signal-safe.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: gettid has no preconditions.
    (unsafe { libc::syscall(libc::SYS_gettid) }) as u32
}

/// Whether a thread of this process has the number. Without a doubt only if not: a number is given out again.
pub(crate) fn thread_exists(thread: u32) -> bool {
    // Only "no such thread" is a no: what may not be asked is taken for a thread that lives.
    // SAFETY: signal 0 is sent to nobody.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, 0) };
    result == 0 || errno() != Errno(libc::ESRCH)
}

/// This thread's name, up to the first zero. Signal-safe.
pub(crate) fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes at most 16 bytes.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

/// This process's number. Signal-safe.
pub(crate) fn process_id() -> u32 {
    // SAFETY: getpid has no preconditions.
    (unsafe { libc::getpid() }) as u32
}

/// Bytes of physical memory.
pub(crate) fn physical_memory() -> usize {
    // SAFETY: sysconf has no preconditions.
    let pages = unsafe { libc::sysconf(libc::_SC_PHYS_PAGES) };
    usize::try_from(pages).unwrap_or(0).saturating_mul(page_size())
}

/// The soft limit of a resource in bytes, `None` where there is none. Signal-safe.
pub(crate) fn resource_limit(resource: Resource) -> Option<u64> {
    let resource = match resource {
        Resource::AddressSpace => libc::RLIMIT_AS,
        Resource::FileSize => libc::RLIMIT_FSIZE,
        Resource::Data => libc::RLIMIT_DATA,
        Resource::Locked => libc::RLIMIT_MEMLOCK,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is an rlimit to write to.
    let result = unsafe { libc::getrlimit(resource, &mut limit) };
    (result == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// A resource that the system limits.
#[derive(Clone, Copy)]
pub(crate) enum Resource {
    /// `RLIMIT_AS`
    AddressSpace,
    /// `RLIMIT_DATA`
    Data,
    /// `RLIMIT_FSIZE`
    FileSize,
    /// `RLIMIT_MEMLOCK`
    Locked,
}

/// What this process has. Signal-safe, with some 4 KiB of stack.
pub(crate) fn process_size() -> Option<super::ProcessSize> {
    // By lines: a process may be in so many groups that their numbers fill any buffer.
    let mut buffer = [0u8; 4096];
    let mut found = [None; 4];
    let mut is_admin = false;
    lines_of(c"/proc/self/status", &mut buffer, |line| {
        let labels: [&[u8]; 4] = [b"VmSize:", b"VmData:", b"VmLck:", b"VmRSS:"];
        for (found, label) in found.iter_mut().zip(labels) {
            if line.starts_with(label) {
                *found = kib_after(line, label);
            }
        }
        if let Some(capabilities) = line.strip_prefix(b"CapEff:\t") {
            const SYS_ADMIN: u32 = 21;
            is_admin = from_hex_64(capabilities).is_some_and(|set| set >> SYS_ADMIN & 1 == 1);
        }
        true
    });
    // (Not asked of those who have no such right.)
    is_admin = is_admin && super::in_initial_user_namespace();
    let [total, data, locked, resident] = found;
    Some(super::ProcessSize { total: total?, data: data?, locked: locked?, resident: resident?, is_admin })
}

/// Bytes of this process that are present in memory and in no file. Signal-safe.
pub(crate) fn resident_anonymous_bytes() -> Option<u64> {
    let mut text = [0u8; 128];
    let len = read_file(c"/proc/self/statm", &mut text)?;
    let mut pages = text.get(..len)?.split(|&byte| byte == b' ').skip(1).filter_map(decimal);
    let (resident, shared) = (pages.next()?, pages.next()?);
    Some(resident.saturating_sub(shared).saturating_mul(page_size() as u64))
}

/// How many mappings there are, and how many there may be. Signal-safe.
pub(crate) fn mappings(scratch: &mut [u8]) -> Option<(u64, u64)> {
    let most = read_file(c"/proc/sys/vm/max_map_count", scratch)?;
    let most = decimal(scratch.get(..most)?)?;
    let mut count = 0u64;
    lines_of(c"/proc/self/maps", scratch, |_| {
        count = count.wrapping_add(1);
        true
    });
    Some((count, most))
}

/// What the kernel has promised. Signal-safe.
pub(crate) fn overcommit(scratch: &mut [u8]) -> Option<super::Overcommit> {
    let mode = read_file(c"/proc/sys/vm/overcommit_memory", scratch)?;
    let mode = decimal(scratch.get(..mode)?)?;
    let mut kib = |path| {
        let len = read_file(path, scratch).unwrap_or(0);
        scratch.get(..len).and_then(decimal).unwrap_or(0).saturating_mul(1024)
    };
    let user_reserve = kib(c"/proc/sys/vm/user_reserve_kbytes");
    let admin_reserve = kib(c"/proc/sys/vm/admin_reserve_kbytes");
    let len = read_file(c"/proc/meminfo", scratch)?;
    let text = scratch.get(..len)?;
    let memory = kib_after(text, b"MemTotal:")?;
    Some(super::Overcommit {
        mode,
        commit_limit: kib_after(text, b"\nCommitLimit:")?,
        committed: kib_after(text, b"\nCommitted_AS:")?,
        total: memory.saturating_add(kib_after(text, b"\nSwapTotal:").unwrap_or(0)),
        user_reserve,
        admin_reserve,
    })
}

/// What the machine has. Signal-safe.
pub(crate) fn machine_memory(scratch: &mut [u8]) -> Option<super::MachineMemory> {
    let len = read_file(c"/proc/meminfo", scratch)?;
    let text = scratch.get(..len)?;
    Some(super::MachineMemory {
        total: kib_after(text, b"MemTotal:")?,
        available: kib_after(text, b"\nMemAvailable:")?,
        swap_free: kib_after(text, b"\nSwapFree:").unwrap_or(0),
    })
}

/// How long programs waited for memory, in the kernel's words: `avg10=0.00 avg60=…`. Signal-safe.
pub(crate) fn memory_pressure(scratch: &mut [u8]) -> Option<&str> {
    let len = read_file(c"/proc/pressure/memory", scratch)?;
    let line = scratch.get(..len)?.split(|&byte| byte == b'\n').next()?;
    core::str::from_utf8(line).ok()
}

/// The number that a text begins with.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(None, |value, &byte| {
        let digit = u64::from(byte.wrapping_sub(b'0'));
        Some(value.unwrap_or(0u64).wrapping_mul(10).wrapping_add(digit))
    })
}

/// The bytes of a line like `VmData:      1234 kB`.
pub(crate) fn kib_after(text: &[u8], label: &[u8]) -> Option<u64> {
    let at = text.windows(label.len()).position(|window| window == label)?;
    let digits = text.get(at.checked_add(label.len())?..)?.trim_ascii_start();
    let mut value = 0u64;
    for byte in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        value = value.checked_mul(10)?.checked_add(u64::from(byte.wrapping_sub(b'0')))?;
    }
    value.checked_mul(1024)
}

/// What device and file a descriptor is. Signal-safe.
pub(crate) fn file_identity(fd: c_int) -> Option<[u64; 2]> {
    let mut facts = MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: `facts` is a stat to write to.
    let known = unsafe { libc::fstat(fd, facts.as_mut_ptr()) } == 0;
    // SAFETY: the call filled it in, and zeroes are valid.
    let facts = unsafe { facts.assume_init() };
    known.then_some([facts.st_dev, facts.st_ino])
}

/// A file of the system's that is kept open, to be read again and again, inside the signal too.
pub(crate) struct PolledFile {
    path: CString,
    fd: AtomicI32,
    /// What the descriptor was when it was opened: a program may close numbers that it knows nothing of, and
    /// they are given out again.
    identity: [AtomicU64; 2],
}

impl PolledFile {
    /// Opens a file; `None` if it cannot be.
    pub(crate) fn open(path: CString) -> Option<Self> {
        let probe =
            PolledFile { path, fd: AtomicI32::new(-1), identity: [AtomicU64::new(0), AtomicU64::new(0)] };
        probe.reopen().then_some(probe)
    }

    fn reopen(&self) -> bool {
        // SAFETY: the path is a string.
        let fd = unsafe { raw::open(&self.path) };
        let Some([device, file]) = (fd >= 0).then(|| file_identity(fd)).flatten() else { return false };
        self.identity[0].store(device, Relaxed);
        self.identity[1].store(file, Relaxed);
        self.fd.store(fd, Relaxed);
        true
    }

    /// Reads the file from its start, as much as fits; `None` when it is not to be had (any more). One thread at
    /// a time. Signal-safe.
    pub(crate) fn read<'a>(&self, to: &'a mut [u8]) -> Option<&'a [u8]> {
        let known = [self.identity[0].load(Relaxed), self.identity[1].load(Relaxed)];
        // The number may be somebody else's by now: it is theirs to close.
        if file_identity(self.fd.load(Relaxed)) != Some(known) && !self.reopen() {
            return None;
        }
        // SAFETY: `to` is memory to write to.
        let len = unsafe { raw::read_start(self.fd.load(Relaxed), to) };
        to.get(..usize::try_from(len).ok()?)
    }
}

/// Bytes of free memory and free swap, the cheapest figures there are. Signal-safe.
pub(crate) fn free_memory() -> Option<u64> {
    let mut facts = MaybeUninit::<libc::sysinfo>::zeroed();
    // SAFETY: `facts` is a sysinfo to write to, and zeroes are valid.
    let facts = unsafe {
        if libc::sysinfo(facts.as_mut_ptr()) != 0 {
            return None;
        }
        facts.assume_init()
    };
    let unit = u64::from(facts.mem_unit.max(1));
    Some((facts.freeram as u64).wrapping_add(facts.freeswap as u64).saturating_mul(unit))
}

/// How many of the pages of a range are present in memory. Signal-safe; one thread at a time.
///
/// # Safety
/// The range lies in a mapping of the caller's and begins at a page.
pub(crate) unsafe fn resident_pages(start: *mut u8, len: usize, scratch: &mut [u8]) -> usize {
    let page = page_size();
    let mut present = 0usize;
    let mut at = 0;
    while at < len {
        let chunk = scratch.len().saturating_mul(page).min(len.wrapping_sub(at));
        // SAFETY: the answer takes a byte per page, for which there is room.
        if unsafe { libc::mincore(start.wrapping_add(at).cast(), chunk, scratch.as_mut_ptr()) } != 0 {
            return present;
        }
        let pages = scratch.get(..chunk.div_ceil(page)).unwrap_or_default();
        present = present.wrapping_add(pages.iter().filter(|&&page| page & 1 == 1).count());
        at = at.wrapping_add(chunk);
    }
    present
}

/// Reads the start of a file, as much as fits; the bytes read. Signal-safe.
pub(super) fn read_file(path: &CStr, to: &mut [u8]) -> Option<usize> {
    // SAFETY: `path` is a string, `to` is memory to write to, and the descriptor is closed by nobody else.
    unsafe {
        let fd = raw::open(path);
        if fd < 0 {
            return None;
        }
        let len = raw::read(fd, to);
        raw::close(fd);
        usize::try_from(len).ok()
    }
}

/// Reads a whole file through a buffer and hands out its lines, those that fit it, until `line` wants no
/// more. Signal-safe.
pub(super) fn lines_of(path: &CStr, buffer: &mut [u8], mut line: impl FnMut(&[u8]) -> bool) {
    // SAFETY: `path` is a string.
    let fd = unsafe { raw::open(path) };
    if fd < 0 {
        return;
    }
    let mut filled = 0;
    'reading: while let Some(room) = buffer.get_mut(filled..) {
        // SAFETY: `room` is memory to write to.
        let read = unsafe { raw::read(fd, room) };
        let Some(read) = usize::try_from(read).ok().filter(|&read| read > 0) else { break };
        filled = filled.wrapping_add(read);
        let mut rest = buffer.get(..filled).unwrap_or_default();
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            if !line(rest.get(..end).unwrap_or_default()) {
                break 'reading;
            }
            rest = rest.get(end.wrapping_add(1)..).unwrap_or_default();
        }
        // The beginning of a line that goes on; one that is longer than the buffer is given up.
        let left = if rest.len() == buffer.len() { 0 } else { rest.len() };
        let from = filled.wrapping_sub(left);
        if from <= filled && filled <= buffer.len() {
            buffer.copy_within(from..filled, 0);
        }
        filled = left;
    }
    // SAFETY: the descriptor is ours.
    unsafe { raw::close(fd) };
}

/// The file that the code at `pc` was loaded from, and how far behind the start of its first mapping that is:
/// what a symbolizer asks for. The path goes to `path`, cut where it is too long. Signal-safe.
pub(crate) fn image_of(pc: usize, buffer: &mut [u8], path: &mut [u8]) -> Option<(usize, usize)> {
    let mut len = 0;
    let mut base = 0;
    let mut found = None;
    lines_of(c"/proc/self/maps", buffer, |line| {
        let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        let mut range = words.next().unwrap_or_default().split(|&byte| byte == b'-').map(from_hex);
        let (Some(start), Some(end)) = (range.next().flatten(), range.next().flatten()) else { return true };
        // The name may have spaces in it: from its first slash to the end of the line.
        let name =
            line.iter().position(|&byte| byte == b'/').and_then(|at| line.get(at..)).unwrap_or_default();
        let kept = name.get(..name.len().min(path.len())).unwrap_or_default();
        if !name.is_empty() && path.get(..len) != Some(kept) {
            len = kept.len();
            path.iter_mut().zip(kept).for_each(|(to, byte)| *to = *byte);
            base = start;
        }
        if start <= pc && pc < end {
            found = (!name.is_empty()).then(|| (len, pc.wrapping_sub(base)));
            return false;
        }
        true
    });
    found
}

pub(super) fn from_hex(digits: &[u8]) -> Option<usize> {
    usize::try_from(from_hex_64(digits)?).ok()
}

fn from_hex_64(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |value, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        value.checked_mul(16)?.checked_add(u64::from(digit))
    })
}

/// Changes the signals that this thread blocks (bit n - 1 is signal n), and returns which it did before. Not by
/// libc's call: its sets take 128 bytes each of a stack that several handlers, ours and others, may have to share.
/// Signal-safe.
pub(crate) fn change_signal_mask(how: c_int, set: u64) -> u64 {
    let mut before = 0u64;
    let (new, old) = (&raw const set, &raw mut before);
    // SAFETY: the kernel's sets are one word, which is what the last argument says.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, new, old, size_of::<u64>()) };
    before
}

/// The descriptor of an open file.
pub(crate) fn raw_fd(file: &std::fs::File) -> Option<c_int> {
    Some(std::os::fd::AsRawFd::as_raw_fd(file))
}

/// Writes all of `text` to a file descriptor, as far as it takes it; whether it took all. Signal-safe.
pub(crate) fn write_all(fd: c_int, mut text: &[u8]) -> bool {
    while !text.is_empty() {
        // SAFETY: `text` is readable memory.
        let written = unsafe { raw::write(fd, text) };
        match usize::try_from(written) {
            Ok(0) => return false,
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(_) if errno() == Errno(libc::EINTR) => {}
            Err(_) => return false,
        }
    }
    true
}
