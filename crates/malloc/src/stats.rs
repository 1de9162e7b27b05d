//! What the process tells of its heap: a line at its end, or a record that is there all the time.

use crate::options::Told;
use crate::process::{self, Process};
use core::ffi::c_int;
use core::fmt::{self, Write};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, AtomicUsize};
use highwater::heap::{HeapPolicy, HeapStats};
use highwater::internal::Bytes;
use highwater::internal::heap::record::{self, HeapRecord, RecordField};
use highwater::internal::sys::write_line_to;

/// The record of this process.
static RECORD: AtomicPtr<HeapRecord> = AtomicPtr::new(null_mut());
/// What was committed when it was written to.
static NOTED: AtomicUsize = AtomicUsize::new(0);

fn record() -> Option<&'static HeapRecord> {
    // SAFETY: a mapping that stays.
    NonNull::new(RECORD.load(Acquire)).map(|record| unsafe { record.as_ref() })
}

fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// Begins the record, where one is wanted.
pub(crate) fn begin() {
    let Some(process) = process::made() else { return };
    let directory = match &process.told {
        Told::Nowhere => return,
        Told::Text => return keep_standard_error(),
        Told::Records(directory) => directory,
    };
    if !RECORD.load(Relaxed).is_null() {
        return;
    }
    // (A process that cannot leave one does without.)
    let Some(mapped) = map(directory) else { return };
    // SAFETY: just mapped, a page of zeros.
    let record = unsafe { mapped.as_ref() };
    let mut name = [0u8; 16];
    // SAFETY: writes at most 16 bytes, and a zero among them.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    // SAFETY: ask for numbers.
    let (own, parent) = unsafe { (libc::getpid(), libc::getppid()) };
    record.set(RecordField::Process, u64::from(own.cast_unsigned()));
    record.set(RecordField::Parent, u64::from(parent.cast_unsigned()));
    record.set(RecordField::State, 1);
    let policy = match process.kind {
        HeapPolicy::Stack(_) => 1,
        HeapPolicy::Bump(_) => 2,
        HeapPolicy::Blocks(_) => 3,
        _ => 0,
    };
    record.set(RecordField::Policy, policy);
    record.set(RecordField::Started, now());
    record.begin(&name[..length]);
    RECORD.store(mapped.as_ptr(), Release);
    write_region(process, record);
}

/// Standard error as it was, for programs that close it before they end, as GNU's do. -1 for none.
static STANDARD_ERROR: AtomicI32 = AtomicI32::new(-1);
/// Which file it is: descriptors may be other files by then.
static WHICH: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// What file a descriptor is.
fn file_of(descriptor: c_int) -> Option<[u64; 2]> {
    // SAFETY: writes what is known of the descriptor.
    unsafe {
        let mut known: libc::stat = core::mem::zeroed();
        (libc::fstat(descriptor, &raw mut known) == 0).then_some([known.st_dev, known.st_ino])
    }
}

fn keep_standard_error() {
    let Some([device, number]) = file_of(2) else { return };
    if STANDARD_ERROR.load(Relaxed) < 0 {
        WHICH[0].store(device, Relaxed);
        WHICH[1].store(number, Relaxed);
        // (Not among those that a program counts on.)
        // SAFETY: a descriptor of our own.
        STANDARD_ERROR.store(unsafe { libc::fcntl(2, libc::F_DUPFD_CLOEXEC, 512) }, Relaxed);
    }
}

/// Where the process's standard error still is.
fn standard_error() -> Option<c_int> {
    let wanted = Some([WHICH[0].load(Relaxed), WHICH[1].load(Relaxed)]);
    [2, STANDARD_ERROR.load(Relaxed)].into_iter().find(|descriptor| file_of(*descriptor) == wanted)
}

/// The parent's record is not the child's.
pub(crate) fn begin_in_child() {
    let old = RECORD.swap(null_mut(), AcqRel);
    if !old.is_null() {
        // SAFETY: mapped by `begin`, and nobody else is in this process.
        unsafe { libc::munmap(old.cast(), record::BYTES) };
    }
    begin();
}

/// A name of its own in a directory.
struct Path<'a> {
    bytes: &'a mut [u8; 1200],
    len: usize,
}

impl Write for Path<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let rest = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        rest.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

fn map(directory: &[u8]) -> Option<NonNull<HeapRecord>> {
    let length = directory.iter().position(|byte| *byte == 0)?;
    let mut bytes = [0; 1200];
    bytes[..length].copy_from_slice(&directory[..length]);
    let mut path = Path { bytes: &mut bytes, len: length };
    // SAFETY: asks for a number.
    let own = unsafe { libc::getpid() };
    write!(path, "/highwater-{own}-{}.rec\0", now()).ok()?;
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    // SAFETY: the path ends with a zero; the file is this call's, and closed when it is mapped.
    unsafe {
        let file = libc::open(bytes.as_ptr().cast(), flags, 0o600);
        if file < 0 {
            return None;
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // (Written, so that there is room for it: a mapped page that a full disk has no block for is a SIGBUS.)
        let zeros = [0u8; record::BYTES];
        let written = libc::syscall(libc::SYS_write, file, zeros.as_ptr(), zeros.len());
        let mapped = if usize::try_from(written) == Ok(zeros.len()) {
            libc::mmap(null_mut(), record::BYTES, access, libc::MAP_SHARED, file, 0)
        } else {
            libc::MAP_FAILED
        };
        libc::close(file);
        if mapped == libc::MAP_FAILED { None } else { NonNull::new(mapped.cast()) }
    }
}

/// After a call that may have grown the heap.
#[inline]
pub(crate) fn note(process: &Process) {
    if !RECORD.load(Relaxed).is_null()
        && process.heap.committed_bytes() != NOTED.load(Relaxed)
        && let Some(record) = own_record()
    {
        write_region(process, record);
    }
}

/// The record, if it is this process's; a child that was made without calling anybody begins one of its own.
#[cold]
fn own_record() -> Option<&'static HeapRecord> {
    let record = record()?;
    // SAFETY: asks for a number.
    if record.get(RecordField::Process) == u64::from(unsafe { libc::getpid() }.cast_unsigned()) {
        return Some(record);
    }
    begin_in_child();
    self::record()
}

#[cold]
fn write_region(process: &Process, record: &HeapRecord) {
    let Some(stats) = process.heap.monitor().stats() else { return };
    NOTED.store(stats.committed, Relaxed);
    record.set(RecordField::Reserved, stats.reserved as u64);
    record.set(RecordField::Committed, stats.committed as u64);
    record.set(RecordField::PeakCommitted, stats.peak_committed as u64);
    record.set(RecordField::Growths, stats.commits);
    record.set(RecordField::Written, now());
}

struct Usage {
    minor: u64,
    major: u64,
    peak: u64,
}

fn usage() -> Usage {
    // SAFETY: writes the figures.
    let usage = unsafe {
        let mut usage: libc::rusage = core::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let figure = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    Usage {
        minor: figure(usage.ru_minflt),
        major: figure(usage.ru_majflt),
        peak: figure(usage.ru_maxrss) * 1024,
    }
}

/// At the end of the process.
pub(crate) fn tell() {
    let Some(process) = process::made() else { return };
    match process.told {
        Told::Nowhere => {}
        Told::Text => {
            let Some(to) = standard_error() else { return };
            match figures(process) {
                Some(stats) => write_line_to(to, format_args!("{}", Line(&stats, &usage()))),
                None => {
                    write_line_to(to, format_args!("the process ends in the middle of a call: no figures"))
                }
            }
        }
        Told::Records(_) => {
            let Some(record) = own_record() else { return };
            let usage = usage();
            write_region(process, record);
            if let Some(stats) = figures(process) {
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

/// The heap's figures; `None` if a call does not end: the process may end in the handler of a signal that interrupted it.
fn figures(process: &Process) -> Option<HeapStats> {
    let began = now();
    while process.heap.is_locked() {
        if now() - began > 100_000_000 {
            return None;
        }
        // SAFETY: lets others run.
        unsafe { libc::sched_yield() };
    }
    Some(process.heap.stats())
}

struct Line<'a>(&'a HeapStats, &'a Usage);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line(heap, usage) = self;
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

/// What `mallinfo2` returns: glibc's structure. Sizes are bytes.
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
    /// The longest free run, of which a trim may give back most.
    keepcost: usize,
}

pub(crate) fn mallinfo2() -> Mallinfo2 {
    let Some(process) = process::made() else { return Mallinfo2::default() };
    let stats = process.heap.stats();
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
