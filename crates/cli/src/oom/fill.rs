//! The child: allocates and writes, block by block, and says how far it is.

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
    cells::{What, Who},
    confine, naming,
    plan::{End, Plan, Told},
};
use crate::{failure::Failure, inject};

/// What is allocated at a time.
const BLOCK: usize = 64 << 10;
static BLOCK_BYTES: [u8; BLOCK] = [0xa5; BLOCK];
/// The steps of arenas where a refusal is made up, so that it is known where.
const STEP: usize = 1 << 20;

/// Does it, and says on stdout what came of it, if anything is left that can.
pub fn run(plan: &Plan) -> Result<ExitCode, Failure> {
    inject::from_environment()?;
    oom::set_report_format(ReportFormat::Json);
    // What a panic says is told on stdout.
    panic::set_hook(Box::new(|_| {}));
    let told = match confine::confine(plan) {
        Ok(dir) => work(plan, &dir),
        Err(why) => Told::of(End::Cannot, why),
    };
    let text = serde_json::to_string(&told).map_err(Failure::during)?;
    say(format_args!("{text}"));
    Ok(ExitCode::SUCCESS)
}

/// What was allocated is freed when this returns: a text takes memory too.
fn work(plan: &Plan, dir: &Path) -> Told {
    match plan.who {
        Who::Malloc => malloc(plan),
        Who::Vec => vec(plan),
        Who::Bumpalo => bumpalo(plan),
        Who::Upfront | Who::Fault | Who::Headroom | Who::Spill => arena(plan, dir),
    }
}

/// How many bytes there are by now, and the monotonic time.
fn reach(bytes: usize) {
    say(format_args!("{bytes} {}", now_ns()));
}

/// A line on stdout, without allocating. A parent that does not listen any more is gone, and with it this process.
fn say(line: std::fmt::Arguments<'_>) {
    use std::io::Write as _;

    let mut bytes = [0; 4096];
    let mut rest = &mut bytes[..];
    // What is longer loses its end; the line end is what must be there.
    let _ = rest.write_fmt(line);
    let len = (4096 - rest.len()).min(4095);
    bytes[len] = b'\n';
    // SAFETY: the bytes are readable, and no other thread closes the descriptor.
    unsafe { libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), len + 1) };
}

/// The numbers of the blocks.
fn blocks(plan: &Plan) -> std::ops::Range<usize> {
    0..plan.size.div_ceil(BLOCK)
}

fn malloc(plan: &Plan) -> Told {
    let mut last: *mut *mut u8 = std::ptr::null_mut();
    let mut end = Told::of(End::Completed, "");
    reach(0);
    for block in blocks(plan) {
        // SAFETY: malloc has no preconditions.
        let bytes = unsafe { libc::malloc(BLOCK) }.cast::<u8>();
        if bytes.is_null() {
            reach(block * BLOCK);
            end = Told::of(End::Error, "malloc returned null");
            break;
        }
        // SAFETY: the block is ours and as long as that; a list runs through the blocks' first words, which malloc aligns.
        unsafe {
            bytes.copy_from_nonoverlapping(BLOCK_BYTES.as_ptr(), BLOCK);
            bytes.cast::<*mut u8>().write(last.cast());
        }
        last = bytes.cast();
        reach((block + 1) * BLOCK);
    }
    while !last.is_null() {
        // SAFETY: every block is in the list once and is freed after its word was read.
        unsafe {
            let next = last.read();
            libc::free(last.cast());
            last = next.cast();
        }
    }
    end
}

fn vec(plan: &Plan) -> Told {
    let mut bytes: Vec<u8> = Vec::new();
    reach(0);
    for block in blocks(plan) {
        if let Err(error) = bytes.try_reserve(BLOCK) {
            reach(block * BLOCK);
            drop(bytes);
            return Told::of(End::Error, error);
        }
        bytes.extend_from_slice(&BLOCK_BYTES);
        reach((block + 1) * BLOCK);
    }
    Told::of(End::Completed, "")
}

fn bumpalo(plan: &Plan) -> Told {
    let bump = Bump::new();
    if plan.what == What::Region {
        bump.set_allocation_limit(Some(plan.memory));
    }
    reach(0);
    for block in blocks(plan) {
        match bump.try_alloc_layout(Layout::new::<[u8; BLOCK]>()) {
            // SAFETY: the block is as long as that and nobody else's.
            Ok(bytes) => unsafe { bytes.copy_from_nonoverlapping(NonNull::from(&BLOCK_BYTES).cast(), BLOCK) },
            Err(error) => {
                reach(block * BLOCK);
                drop(bump);
                return Told::of(End::Error, error);
            }
        }
        reach((block + 1) * BLOCK);
    }
    Told::of(End::Completed, "")
}

/// An arena as the plan wants it.
fn build(plan: &Plan, dir: &Path) -> Result<Arena, highwater::BuildError> {
    let mut builder = Arena::builder().name(plan.who.name()).reserve(plan.size.saturating_mul(2));
    builder = match plan.who {
        Who::Upfront => builder.growth(Growth::Upfront),
        Who::Fault => builder.headroom(Headroom::Off),
        Who::Spill => builder.headroom(Headroom::Auto).on_refusal(Response::Spill(dir.to_path_buf())),
        _ => builder.headroom(Headroom::Auto),
    };
    builder = match (plan.what, plan.who) {
        (What::Region, _) => builder.limit(plan.memory),
        // In memory first, and soon not any more.
        (What::Disk, Who::Spill) => builder.growth(Growth::Fixed(STEP)).inject(Injection::nth(8)),
        (What::Disk, _) => builder.backing(Backing::Temp(dir.to_path_buf())),
        (What::Injection, Who::Upfront) => builder,
        (What::Injection, _) => {
            let nth = (plan.memory / STEP) as u64;
            builder.growth(Growth::Fixed(STEP)).inject(Injection::nth(nth))
        }
        _ => builder,
    };
    builder.try_build()
}

fn refused(error: &OutOfMemory) -> Told {
    let cause = Some(error.cause().name().to_owned());
    Told { end: End::Error, cause, message: error.to_string() }
}

fn arena(plan: &Plan, dir: &Path) -> Told {
    reach(0);
    let arena = match build(plan, dir) {
        Ok(arena) => arena,
        Err(error) => {
            reach(0);
            let message = error.to_string();
            return Told { message, ..refused(&OutOfMemory::from(error)) };
        }
    };
    // Room for all of them now: later there may be none.
    let mut done: Vec<&[u8]> = Vec::with_capacity(blocks(plan).len());
    let mut ended = None;
    for block in blocks(plan) {
        let allocated = if plan.tries {
            arena.try_alloc_slice_copy(&BLOCK_BYTES).map_err(Ended::Refused)
        } else {
            panic::catch_unwind(AssertUnwindSafe(|| arena.alloc_slice_copy(&BLOCK_BYTES)))
                .map_err(Ended::Panicked)
        };
        match allocated {
            Ok(bytes) => {
                bytes[..8].copy_from_slice(&(block as u64).to_ne_bytes());
                done.push(bytes);
            }
            Err(why) => {
                reach(block * BLOCK);
                ended = Some(why);
                break;
            }
        }
        reach((block + 1) * BLOCK);
    }
    // Nothing is lost on a refusal.
    let damaged = done
        .iter()
        .zip(0_u64..)
        .position(|(bytes, block)| bytes[..8] != block.to_ne_bytes() || bytes[8..] != BLOCK_BYTES[8..]);
    drop(done);
    drop(arena);
    match (damaged, ended) {
        (Some(block), _) => Told::of(End::Damaged, format_args!("block {block} is not what was written")),
        (None, None) => Told::of(End::Completed, ""),
        (None, Some(Ended::Refused(error))) => refused(&error),
        (None, Some(Ended::Panicked(payload))) => {
            let message = payload.downcast_ref::<String>().map_or("", String::as_str).to_owned();
            Told { end: End::Panic, cause: naming::cause(&message).map(str::to_owned), message }
        }
    }
}

/// Why there is no next block.
enum Ended {
    Refused(OutOfMemory),
    Panicked(Box<dyn std::any::Any + Send>),
}
