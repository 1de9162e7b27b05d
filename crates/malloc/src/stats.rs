//! The figures of the heap: a line at the end of the process, or a record that is there all the time.

use crate::options::StatsOutput;
use crate::state::MallocState;
use core::ffi::{CStr, c_int};
use core::fmt::{self, Write};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize};
use highwater::heap::{HeapPolicy, HeapStats};
use highwater::internal::Bytes;
use highwater::internal::heap::record::{self, HeapRecord, RecordField};
use highwater::internal::sys::{
    RawFile, TextBuffer, file_identity, monotonic_ns, process_id, thread_name, write_line_to,
};

/// The record of this process.
static RECORD: AtomicPtr<HeapRecord> = AtomicPtr::new(null_mut());
/// The committed bytes when the record was last written to.
static RECORDED_COMMITTED: AtomicUsize = AtomicUsize::new(0);

fn record() -> Option<&'static HeapRecord> {
    // SAFETY: null, or a record that `begin` mapped. It is unmapped in a forked child only, by its one thread.
    NonNull::new(RECORD.load(Acquire)).map(|record| unsafe { record.as_ref() })
}

/// Begins what is asked for: the record, or a copy of standard error.
pub(crate) fn begin(state: &MallocState) {
    let directory = match &state.stats {
        StatsOutput::None => return,
        StatsOutput::Text => return keep_standard_error(),
        StatsOutput::Records(directory) => directory,
    };
    if !RECORD.load(Relaxed).is_null() {
        return;
    }
    // (A process that cannot write a record does without.)
    let Some(mapped) = map_record(directory) else { return };
    // SAFETY: a page of zeros that was mapped just now, and is unmapped in forked children only.
    let record = unsafe { mapped.as_ref() };
    let name = thread_name();
    let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    // SAFETY: getppid has no preconditions.
    let parent = unsafe { libc::getppid() };
    record.set(RecordField::Process, u64::from(process_id()));
    record.set(RecordField::Parent, u64::from(parent.cast_unsigned()));
    record.set(RecordField::State, 1);
    let policy = match state.policy {
        HeapPolicy::Stack(_) => 1,
        HeapPolicy::Bump(_) => 2,
        HeapPolicy::Blocks(_) => 3,
        _ => 0,
    };
    record.set(RecordField::Policy, policy);
    record.set(RecordField::Started, monotonic_ns());
    record.begin(&name[..len]);
    RECORD.store(mapped.as_ptr(), Release);
    write_region(state, record);
}

/// A copy of standard error, for programs that close it before they end, as GNU's do. -1 for none.
static STANDARD_ERROR: AtomicI32 = AtomicI32::new(-1);
/// The identity of its file: the descriptors may belong to other files by the end.
static IDENTITY: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

fn keep_standard_error() {
    let Some([device, inode]) = file_identity(2) else { return };
    if STANDARD_ERROR.load(Relaxed) < 0 {
        IDENTITY[0].store(device, Relaxed);
        IDENTITY[1].store(inode, Relaxed);
        // (Not one of the low numbers, which a program may count on.)
        // SAFETY: duplicates a descriptor and changes no other.
        STANDARD_ERROR.store(unsafe { libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 512) }, Relaxed);
    }
}

/// A descriptor that still is the standard error of the start.
fn standard_error() -> Option<c_int> {
    let wanted = Some([IDENTITY[0].load(Relaxed), IDENTITY[1].load(Relaxed)]);
    [2, STANDARD_ERROR.load(Relaxed)].into_iter().find(|fd| file_identity(*fd) == wanted)
}

/// In a forked child: the parent's record is not the child's.
pub(crate) fn begin_in_child(state: &MallocState) {
    let old = RECORD.swap(null_mut(), AcqRel);
    if !old.is_null() {
        // SAFETY: `begin` mapped it, and the one thread of this process has no reference to it.
        unsafe { libc::munmap(old.cast(), record::BYTES) };
    }
    begin(state);
}

/// Maps a new file in a directory, whose name ends with a zero. It is as long as a record and zero.
fn map_record(directory: &[u8]) -> Option<NonNull<HeapRecord>> {
    let directory = CStr::from_bytes_until_nul(directory).ok()?.to_bytes();
    let mut path = [0; 1200];
    path.get_mut(..directory.len())?.copy_from_slice(directory);
    let mut name = TextBuffer::new(&mut path[directory.len()..]);
    write!(name, "/highwater-{}-{}.rec\0", process_id(), monotonic_ns()).ok()?;
    let file = RawFile::create_new(CStr::from_bytes_until_nul(&path).ok()?)?;
    // (Written, so that it has its blocks: writing to a mapped page for which a full disk has none is SIGBUS.)
    if !file.write_all(&[0; record::BYTES]) {
        return None;
    }
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping of a file that is as long.
    let mapped = unsafe { libc::mmap(null_mut(), record::BYTES, access, libc::MAP_SHARED, file.fd(), 0) };
    if mapped == libc::MAP_FAILED { None } else { NonNull::new(mapped.cast()) }
}

/// After a call that may have grown the heap.
#[inline]
pub(crate) fn note(state: &MallocState) {
    if !RECORD.load(Relaxed).is_null()
        && state.heap.committed_bytes() != RECORDED_COMMITTED.load(Relaxed)
        && let Some(record) = own_record(state)
    {
        write_region(state, record);
    }
}

/// The record, if it is this process's; a child that was made without the handlers of forks begins one of its own.
#[cold]
fn own_record(state: &MallocState) -> Option<&'static HeapRecord> {
    let record = record()?;
    if record.get(RecordField::Process) == u64::from(process_id()) {
        return Some(record);
    }
    begin_in_child(state);
    self::record()
}

#[cold]
fn write_region(state: &MallocState, record: &HeapRecord) {
    let Some(stats) = state.heap.monitor().stats() else { return };
    RECORDED_COMMITTED.store(stats.committed, Relaxed);
    record.set(RecordField::Reserved, stats.reserved as u64);
    record.set(RecordField::Committed, stats.committed as u64);
    record.set(RecordField::PeakCommitted, stats.peak_committed as u64);
    record.set(RecordField::Growths, stats.commits);
    record.set(RecordField::Written, monotonic_ns());
}

struct FaultUsage {
    minor: u64,
    major: u64,
    peak: u64,
}

fn usage() -> FaultUsage {
    // SAFETY: getrusage writes the structure, for which zeros are valid.
    let usage = unsafe {
        let mut usage: libc::rusage = core::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let figure = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    FaultUsage {
        minor: figure(usage.ru_minflt),
        major: figure(usage.ru_majflt),
        peak: figure(usage.ru_maxrss) * 1024,
    }
}

/// At the end of the process.
pub(crate) fn finish(state: &MallocState) {
    match state.stats {
        StatsOutput::None => {}
        StatsOutput::Text => {
            let Some(to) = standard_error() else { return };
            match heap_stats(state) {
                Some(stats) => write_line_to(to, format_args!("{}", StatsLine(&stats, &usage()))),
                None => {
                    write_line_to(to, format_args!("the process ends in the middle of a call: no figures"))
                }
            }
        }
        StatsOutput::Records(_) => {
            let Some(record) = own_record(state) else { return };
            let usage = usage();
            write_region(state, record);
            if let Some(stats) = heap_stats(state) {
                record.set(RecordField::LiveBlocks, stats.live_blocks as u64);
                record.set(RecordField::LiveBytes, stats.live_bytes as u64);
                record.set(RecordField::PeakLiveBytes, stats.peak_live_bytes as u64);
            }
            record.set(RecordField::MinorFaults, usage.minor);
            record.set(RecordField::MajorFaults, usage.major);
            record.set(RecordField::PeakResident, usage.peak);
            record.set(RecordField::State, 2);
        }
    }
}

/// The heap's figures; `None` if a call holds its lock and does not end: the process may end in a signal handler that
/// interrupted the call.
fn heap_stats(state: &MallocState) -> Option<HeapStats> {
    let began = monotonic_ns();
    while state.heap.is_locked() {
        if monotonic_ns() - began > 100_000_000 {
            return None;
        }
        // SAFETY: sched_yield has no preconditions.
        unsafe { libc::sched_yield() };
    }
    Some(state.heap.stats())
}

struct StatsLine<'a>(&'a HeapStats, &'a FaultUsage);

impl fmt::Display for StatsLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StatsLine(heap, usage) = self;
        let size = |bytes: usize| Bytes(bytes as u64);
        write!(
            f,
            "{} committed in {} steps (peak {}, reserved {}), {} live in {} blocks (peak {}), {} page faults, {} with \
             input, peak resident {}",
            size(heap.region.committed),
            heap.region.commits,
            size(heap.region.peak_committed),
            size(heap.region.reserved),
            size(heap.live_bytes),
            heap.live_blocks,
            size(heap.peak_live_bytes),
            usage.minor,
            usage.major,
            Bytes(usage.peak)
        )
    }
}

/// What `mallinfo2` returns: glibc's structure, in bytes.
#[repr(C)]
#[derive(Default)]
pub struct Mallinfo2 {
    /// Committed.
    arena: usize,
    /// Runs of free memory.
    ordblks: usize,
    smblks: usize,
    hblks: usize,
    hblkhd: usize,
    usmblks: usize,
    fsmblks: usize,
    /// In live blocks.
    uordblks: usize,
    /// Committed, and in no live block.
    fordblks: usize,
    /// The longest free run: what a trim can give back of one run, at most.
    keepcost: usize,
}

pub(crate) fn mallinfo2(state: &MallocState) -> Mallinfo2 {
    let stats = state.heap.stats();
    Mallinfo2 {
        arena: stats.region.committed,
        ordblks: stats.free_runs,
        uordblks: stats.live_bytes,
        fordblks: stats.region.committed.saturating_sub(stats.live_bytes),
        keepcost: stats.largest_free_run,
        ..Mallinfo2::default()
    }
}

const _: () = assert!(size_of::<Mallinfo2>() == 10 * size_of::<usize>());
