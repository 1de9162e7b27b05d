//! `hw_options`: reading a structure of the length that the program says, and making a builder of it.

use crate::abi::{HwError, HwOptions, NONE, PHYSICAL, Status};
use crate::refusal;
use core::ffi::{CStr, c_char};
use core::fmt::Write;
use highwater::internal::sys::TextBuffer;
use highwater::oom::Response;
use highwater::{
    Arena, Backing, BuildError, Builder, Growth, GuardMechanism, GuardPolicy, Headroom, HugePages,
    OnViolation, ReportFormat, Reserve,
};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// No version of the structure is going to be longer.
const MAX_SIZE: usize = 4096;

fn invalid(what: core::fmt::Arguments<'_>) -> HwError {
    HwError::new(Status::Options, what)
}

/// The structure as this library knows it. Fields that an older program does not have are zero; fields that this library
/// does not have must be.
///
/// # Safety
/// `options` is null, or as many bytes as it says are readable.
pub(crate) unsafe fn read(options: *const HwOptions) -> Result<HwOptions, HwError> {
    let mut known = HwOptions::DEFAULT;
    if options.is_null() {
        return Ok(known);
    }
    if !options.is_aligned() {
        return Err(invalid(format_args!("hw_options at {options:p} is not aligned")));
    }
    // SAFETY: not null and aligned; every version of the structure begins with its size.
    let size = unsafe { (&raw const (*options).size).read() };
    if size == 0 {
        return Err(invalid(format_args!("hw_options.size is 0: start from HIGHWATER_OPTIONS")));
    }
    // (A part of a field is none: every field, or pair of them, is eight bytes.)
    if !(size_of::<usize>()..=MAX_SIZE).contains(&size) || !size.is_multiple_of(8) {
        return Err(invalid(format_args!("hw_options.size is {size}, which is no size of it")));
    }
    let bytes = options.cast::<u8>();
    for at in size_of::<HwOptions>()..size {
        // SAFETY: below the size that the program says: this function's contract.
        if unsafe { bytes.add(at).read() } != 0 {
            return Err(invalid(format_args!(
                "hw_options: byte {at} is not zero, and version {} of the library knows only {} bytes: the program \
                 was compiled with a newer header",
                env!("CARGO_PKG_VERSION"),
                size_of::<HwOptions>(),
            )));
        }
    }
    let common = size.min(size_of::<HwOptions>());
    // SAFETY: both structures have that many bytes, which are valid as numbers, pointers and optional functions.
    unsafe { bytes.copy_to_nonoverlapping((&raw mut known).cast(), common) };
    Ok(known)
}

/// The max number of guards that an arena is made with.
const MAX_GUARDS: usize = 1 << 16;

/// Bytes, where 0 is the default and `HIGHWATER_NONE` is 0.
fn bytes(value: usize) -> Option<usize> {
    match value {
        0 => None,
        NONE => Some(0),
        bytes => Some(bytes),
    }
}

fn choice(name: &str, value: u32) -> Result<Option<bool>, HwError> {
    match value {
        0 => Ok(None),
        1 => Ok(Some(true)),
        2 => Ok(Some(false)),
        other => Err(invalid(format_args!("hw_options.{name} is {other}, which is no choice"))),
    }
}

/// # Safety
/// `path` is null or a string.
unsafe fn directory(path: *const c_char) -> Result<Option<PathBuf>, HwError> {
    if path.is_null() {
        return Ok(None);
    }
    // SAFETY: `path` is not null, so it is a string that ends in NUL: required by this function's contract.
    let path = OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes());
    let mut directory = PathBuf::new();
    directory.try_reserve_exact(path.len()).map_err(|_| out_of_heap(path.len()))?;
    directory.push(path);
    Ok(Some(directory))
}

/// The error of a global allocator that has no `bytes` bytes.
fn out_of_heap(bytes: usize) -> HwError {
    BuildError::Allocator { bytes }.into()
}

/// Copies a name, as much of it as is kept, and returns its length. What is not UTF-8 is replaced.
fn name_of(name: &CStr, to: &mut [u8; 64]) -> usize {
    let mut text = TextBuffer::new(to);
    for chunk in name.to_bytes().utf8_chunks() {
        let replacement = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
        // (The array is longer than the part that is kept.)
        if write!(text, "{}{replacement}", chunk.valid()).is_err() {
            break;
        }
    }
    text.written()
}

/// # Safety
/// The pointers in the structure are as the header says.
pub(crate) unsafe fn builder(options: &HwOptions) -> Result<Builder<Arena>, HwError> {
    let mut builder = Arena::builder();
    if !options.name.is_null() {
        let mut name = [0; 64];
        // SAFETY: the name is not null, so it is a string that ends in NUL: required by this function's contract.
        let len = name_of(unsafe { CStr::from_ptr(options.name) }, &mut name);
        builder = builder.name(core::str::from_utf8(&name[..len]).unwrap_or_default());
    }
    match options.reserve {
        0 => {}
        PHYSICAL => builder = builder.reserve(Reserve::Physical),
        bytes => builder = builder.reserve(bytes),
    }
    if let Some(head) = bytes(options.head) {
        builder = builder.head(head);
    }
    if !matches!(options.limit, 0 | NONE) {
        builder = builder.limit(options.limit);
    }
    builder = builder.growth(growth(options)?);
    if let Some(populate) = choice("populate", options.populate)? {
        builder = builder.populate(populate);
    }
    match choice("huge_pages", options.huge_pages)? {
        Some(false) => builder = builder.huge_pages(HugePages::Never),
        Some(true) => builder = builder.huge_pages(HugePages::Advise),
        None => {}
    }
    // SAFETY: `options.guards` points to `guard_count` ranges: required by this function's contract.
    builder = builder.guard(unsafe { guard(options)? });
    builder = builder.headroom(match options.headroom {
        0 => Headroom::Auto,
        NONE => Headroom::Off,
        bytes => Headroom::AtLeast(bytes),
    });
    // SAFETY: the directory is null or a string: required by this function's contract.
    if let Some(directory) = unsafe { directory(options.backing_directory)? } {
        builder = builder.backing(Backing::Temp(directory));
    }
    if let Some(engine) = crate::engine::choice(options.engine)? {
        builder = builder.engine(engine);
    }
    if options.reserved_2 != 0 {
        return Err(invalid(format_args!("hw_options.reserved_2_ is {}, not 0", options.reserved_2)));
    }
    if options.reserved != 0 {
        return Err(invalid(format_args!("hw_options.reserved_ is {}, not 0", options.reserved)));
    }
    // SAFETY: the pointers in `options` are what the header says: required by this function's contract.
    Ok(builder.on_refusal(unsafe { response(options)? }))
}

fn growth(options: &HwOptions) -> Result<Growth, HwError> {
    let default = |value, default| if value == 0 { default } else { value };
    match options.growth {
        0 => {
            let Growth::Geometric { first, max } = Growth::default() else { return Ok(Growth::default()) };
            let first = default(options.growth_first, first);
            Ok(Growth::Geometric { first, max: default(options.growth_max, max.max(first)) })
        }
        1 if options.growth_first == 0 => Err(invalid(format_args!(
            "hw_options.growth_first is 0: a fixed growth step of 0 bytes never arrives"
        ))),
        1 => Ok(Growth::Fixed(options.growth_first)),
        2 => Ok(Growth::Upfront),
        3 => Ok(Growth::Stress { seed: options.growth_seed }),
        other => Err(invalid(format_args!("hw_options.growth is {other}, which is no growth policy"))),
    }
}

/// # Safety
/// The pointers in the structure are as the header says.
unsafe fn guard(options: &HwOptions) -> Result<GuardPolicy, HwError> {
    let mut guard = GuardPolicy::default();
    // Never none: what is before an arena's first byte is its own, so that a cursor there is not taken for one at the end
    // of the arena before it.
    if let Some(before) = bytes(options.guard_before).filter(|&bytes| bytes > 0) {
        guard = guard.before(before);
    }
    if let Some(after) = bytes(options.guard_after) {
        guard = guard.after(after);
    }
    if let Some(reach) = bytes(options.guard_reach) {
        guard = guard.reach(reach);
    }
    if options.guards.is_null() && options.guard_count > 0 {
        return Err(invalid(format_args!(
            "hw_options.guards is NULL and guard_count is {}",
            options.guard_count
        )));
    }
    if options.guard_count > MAX_GUARDS {
        return Err(invalid(format_args!(
            "hw_options.guard_count is {}, and there are at most {MAX_GUARDS}",
            options.guard_count
        )));
    }
    for at in 0..options.guard_count {
        // SAFETY: `guards` points to `guard_count` ranges, and `at` is below that: required by this function's contract.
        let range = unsafe { *options.guards.add(at) };
        guard = guard.try_at(range.start..range.end).map_err(|_| out_of_heap(size_of_val(&range)))?;
    }
    let mechanism = match options.guard_mechanism {
        0 => GuardMechanism::Auto,
        1 => GuardMechanism::Advice,
        2 => GuardMechanism::Protect,
        other => return Err(invalid(format_args!("hw_options.guard_mechanism is {other}, which is none"))),
    };
    let on_violation = match options.on_violation {
        0 => OnViolation::Die,
        1 => OnViolation::Abort,
        other => {
            return Err(invalid(format_args!("hw_options.on_violation is {other}, which is no response")));
        }
    };
    let format = format(options.violation_format).ok_or_else(|| {
        invalid(format_args!("hw_options.violation_format is {}", options.violation_format))
    })?;
    Ok(guard.mechanism(mechanism).on_violation(on_violation).report(format))
}

/// `hw_format`.
pub(crate) fn format(number: u32) -> Option<ReportFormat> {
    match number {
        0 => Some(ReportFormat::Text),
        1 => Some(ReportFormat::Json),
        _ => None,
    }
}

/// # Safety
/// The pointers in the structure are as the header says.
unsafe fn response(options: &HwOptions) -> Result<Response, HwError> {
    match options.on_refusal {
        0 => Ok(Response::Abort),
        1 => {
            // SAFETY: the directory is null or a string: required by this function's contract.
            let directory = unsafe { directory(options.spill_directory)? };
            directory.map(Response::Spill).ok_or_else(|| {
                invalid(format_args!(
                    "hw_options.on_refusal is HIGHWATER_RESPONSE_SPILL and spill_directory is NULL"
                ))
            })
        }
        2 if options.refusal_hook.is_none() => Err(invalid(format_args!(
            "hw_options.on_refusal is HIGHWATER_RESPONSE_HOOK and refusal_hook is NULL"
        ))),
        // SAFETY: `call_hook` is signal-safe: it reads atomics and calls the program's hook, which is.
        2 => Ok(unsafe { Response::hook(refusal::call_hook) }),
        other => Err(invalid(format_args!("hw_options.on_refusal is {other}, which is no response"))),
    }
}
