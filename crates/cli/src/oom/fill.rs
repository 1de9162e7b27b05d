//! The child: allocates and writes blocks, and prints its progress.

use std::{
    alloc::Layout,
    panic::{self, AssertUnwindSafe},
    path::Path,
    process::ExitCode,
    ptr::NonNull,
};

use bumpalo::Bump;
use highwater::{
    Arena, Backing, Growth, Headroom, OutOfMemory, ReportFormat,
    oom::{self, Injection, Response},
    stats::now_ns,
};

use super::{
    cause,
    cells::{LimitKind, OomSubject},
    confine,
    plan::{ChildEnd, ChildReport, OomPlan},
};
use crate::{failure::Failure, inject};

/// The size of a block.
const BLOCK_LEN: usize = 64 << 10;
static BLOCK_BYTES: [u8; BLOCK_LEN] = [0xa5; BLOCK_LEN];
/// The growth step of arenas with an injected refusal, so that its place is known.
const STEP: usize = 1 << 20;

/// Does the work, and prints the report on stdout if the process survives.
pub fn run(plan: &OomPlan) -> Result<ExitCode, Failure> {
    inject::from_environment()?;
    oom::set_report_format(ReportFormat::Json);
    // The message of a panic is part of the report.
    panic::set_hook(Box::new(|_| {}));
    let report = match confine::confine(plan) {
        Ok(dir) => work(plan, &dir),
        Err(error) => ChildReport::of(ChildEnd::SetupFailed, error),
    };
    let text = serde_json::to_string(&report).map_err(Failure::runtime)?;
    print_line(format_args!("{text}"));
    Ok(ExitCode::SUCCESS)
}

/// Does the work. Everything is freed when this returns, because formatting the report needs memory.
fn work(plan: &OomPlan, dir: &Path) -> ChildReport {
    match plan.who {
        OomSubject::Malloc => malloc(plan),
        OomSubject::Vec => vec(plan),
        OomSubject::Bumpalo => bumpalo(plan),
        OomSubject::Upfront | OomSubject::Fault | OomSubject::Headroom | OomSubject::Spill => {
            arena(plan, dir)
        }
    }
}

/// Prints the bytes allocated so far, and the monotonic time.
fn print_progress(bytes: usize) {
    print_line(format_args!("{bytes} {}", now_ns()));
}

/// Prints a line on stdout without allocating. An error is ignored: if the parent is gone, so is this process.
fn print_line(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;

    let mut bytes = [0; 4096];
    let mut rest = &mut bytes[..];
    // A longer line is cut off, and still ends with a newline.
    let _ = rest.write_fmt(line);
    let len = (4096 - rest.len()).min(4095);
    bytes[len] = b'\n';
    // SAFETY: the first `len + 1` bytes of the buffer are initialised, and write has no other preconditions.
    unsafe { libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), len + 1) };
}

/// The indices of the blocks.
fn blocks(plan: &OomPlan) -> std::ops::Range<usize> {
    0..plan.size.div_ceil(BLOCK_LEN)
}

fn malloc(plan: &OomPlan) -> ChildReport {
    let mut last: *mut *mut u8 = std::ptr::null_mut();
    let mut end = ChildReport::of(ChildEnd::Completed, "");
    print_progress(0);
    for block in blocks(plan) {
        // SAFETY: malloc has no preconditions.
        let bytes = unsafe { libc::malloc(BLOCK_LEN) }.cast::<u8>();
        if bytes.is_null() {
            print_progress(block * BLOCK_LEN);
            end = ChildReport::of(ChildEnd::Error, "malloc returned null");
            break;
        }
        // SAFETY: the block is new and `BLOCK_LEN` bytes long, and malloc aligns its first word for a pointer.
        unsafe {
            bytes.copy_from_nonoverlapping(BLOCK_BYTES.as_ptr(), BLOCK_LEN);
            bytes.cast::<*mut u8>().write(last.cast());
        }
        last = bytes.cast();
        print_progress((block + 1) * BLOCK_LEN);
    }
    while !last.is_null() {
        // SAFETY: every block is in the list once, and is freed after its first word has been read.
        unsafe {
            let next = last.read();
            libc::free(last.cast());
            last = next.cast();
        }
    }
    end
}

fn vec(plan: &OomPlan) -> ChildReport {
    let mut bytes: Vec<u8> = Vec::new();
    print_progress(0);
    for block in blocks(plan) {
        if let Err(error) = bytes.try_reserve(BLOCK_LEN) {
            print_progress(block * BLOCK_LEN);
            drop(bytes);
            return ChildReport::of(ChildEnd::Error, error);
        }
        bytes.extend_from_slice(&BLOCK_BYTES);
        print_progress((block + 1) * BLOCK_LEN);
    }
    ChildReport::of(ChildEnd::Completed, "")
}

fn bumpalo(plan: &OomPlan) -> ChildReport {
    let bump = Bump::new();
    if plan.what == LimitKind::Region {
        bump.set_allocation_limit(Some(plan.memory));
    }
    print_progress(0);
    for block in blocks(plan) {
        match bump.try_alloc_layout(Layout::new::<[u8; BLOCK_LEN]>()) {
            // SAFETY: the block is new and `BLOCK_LEN` bytes long.
            Ok(bytes) => unsafe {
                bytes.copy_from_nonoverlapping(NonNull::from(&BLOCK_BYTES).cast(), BLOCK_LEN)
            },
            Err(error) => {
                print_progress(block * BLOCK_LEN);
                drop(bump);
                return ChildReport::of(ChildEnd::Error, error);
            }
        }
        print_progress((block + 1) * BLOCK_LEN);
    }
    ChildReport::of(ChildEnd::Completed, "")
}

/// Builds the arena of the plan.
fn build(plan: &OomPlan, dir: &Path) -> Result<Arena, highwater::BuildError> {
    let mut builder = Arena::builder().name(plan.who.name()).reserve(plan.size.saturating_mul(2));
    builder = match plan.who {
        OomSubject::Upfront => builder.growth(Growth::Upfront),
        OomSubject::Fault => builder.headroom(Headroom::Off),
        OomSubject::Spill => builder.headroom(Headroom::Auto).on_refusal(Response::Spill(dir.to_path_buf())),
        _ => builder.headroom(Headroom::Auto),
    };
    builder = match (plan.what, plan.who) {
        (LimitKind::Region, _) => builder.limit(plan.memory),
        // It starts in memory and soon continues in the file.
        (LimitKind::Disk, OomSubject::Spill) => builder.growth(Growth::Fixed(STEP)).inject(Injection::nth(8)),
        (LimitKind::Disk, _) => builder.backing(Backing::Temp(dir.to_path_buf())),
        (LimitKind::Injection, OomSubject::Upfront) => builder,
        (LimitKind::Injection, _) => {
            let nth = (plan.memory / STEP) as u64;
            builder.growth(Growth::Fixed(STEP)).inject(Injection::nth(nth))
        }
        _ => builder,
    };
    builder.try_build()
}

fn refusal_report(error: &OutOfMemory) -> ChildReport {
    let cause = Some(error.cause().name().to_owned());
    ChildReport { end: ChildEnd::Error, cause, message: error.to_string() }
}

fn arena(plan: &OomPlan, dir: &Path) -> ChildReport {
    print_progress(0);
    let arena = match build(plan, dir) {
        Ok(arena) => arena,
        Err(error) => {
            print_progress(0);
            let message = error.to_string();
            return ChildReport { message, ..refusal_report(&OutOfMemory::from(error)) };
        }
    };
    // The capacity for all of them is allocated now: later there may be no memory.
    let mut done: Vec<&[u8]> = Vec::with_capacity(blocks(plan).len());
    let mut stopped = None;
    for block in blocks(plan) {
        let allocated = if plan.tries {
            arena.try_alloc_slice_copy(&BLOCK_BYTES).map_err(StopReason::Refused)
        } else {
            panic::catch_unwind(AssertUnwindSafe(|| arena.alloc_slice_copy(&BLOCK_BYTES)))
                .map_err(StopReason::Panicked)
        };
        match allocated {
            Ok(bytes) => {
                bytes[..8].copy_from_slice(&(block as u64).to_ne_bytes());
                done.push(bytes);
            }
            Err(reason) => {
                print_progress(block * BLOCK_LEN);
                stopped = Some(reason);
                break;
            }
        }
        print_progress((block + 1) * BLOCK_LEN);
    }
    // A refusal must not damage existing blocks.
    let damaged = done
        .iter()
        .zip(0_u64..)
        .position(|(bytes, block)| bytes[..8] != block.to_ne_bytes() || bytes[8..] != BLOCK_BYTES[8..]);
    drop(done);
    drop(arena);
    match (damaged, stopped) {
        (Some(block), _) => ChildReport::of(
            ChildEnd::Damaged,
            format_args!("block {block} does not have the contents that were written"),
        ),
        (None, None) => ChildReport::of(ChildEnd::Completed, ""),
        (None, Some(StopReason::Refused(error))) => refusal_report(&error),
        (None, Some(StopReason::Panicked(payload))) => {
            let message = payload.downcast_ref::<String>().map_or("", String::as_str).to_owned();
            ChildReport {
                end: ChildEnd::Panic,
                cause: cause::of_message(&message).map(str::to_owned),
                message,
            }
        }
    }
}

/// Why the next block could not be allocated.
enum StopReason {
    Refused(OutOfMemory),
    Panicked(Box<dyn std::any::Any + Send>),
}
