//! What crosses the boundary: the types of `include/highwater.h`, in its order. A test holds the two together.
//!
//! Enumerations that come from C are plain numbers here, because C may hand over any.

use core::ffi::{c_char, c_void};

/// `hw_cursor`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HwCursor {
    /// The next free byte.
    pub position: *mut u8,
    /// Where blocks end.
    pub limit: *mut u8,
}

/// `hw_status`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `HIGHWATER_OK`.
    Ok = 0,
    /// `HIGHWATER_ERROR_MEMORY`.
    Memory = 1,
    /// `HIGHWATER_ERROR_ARGUMENT`.
    Argument = 2,
    /// `HIGHWATER_ERROR_OPTIONS`.
    Options = 3,
    /// `HIGHWATER_ERROR_GUARD`.
    Guard = 4,
    /// `HIGHWATER_ERROR_SYSTEM`.
    System = 5,
    /// `HIGHWATER_ERROR_INTERNAL`.
    Internal = 6,
}

/// Bytes of an error's message, the zero at its end included.
pub const MESSAGE_BYTES: usize = 216;

/// `hw_error`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HwError {
    /// `hw_status`.
    pub status: Status,
    /// `hw_cause`.
    pub cause: u32,
    /// An errno, 0 for none.
    pub system_error: i32,
    /// Not used yet: 0.
    pub reserved: u32,
    /// Bytes asked for.
    pub requested: u64,
    /// Bytes in use.
    pub used: u64,
    /// The limit that was met, 0 for none.
    pub limit: u64,
    /// One line.
    pub message: [u8; MESSAGE_BYTES],
}

/// `hw_refusal`.
#[repr(C)]
pub struct HwRefusal {
    /// `sizeof(hw_refusal)`.
    pub size: usize,
    /// The arena's name.
    pub name: *const c_char,
    /// The arena's number.
    pub arena: u64,
    /// `hw_cause`.
    pub cause: u32,
    /// An errno, 0 for none.
    pub system_error: i32,
    /// The growth step.
    pub requested: usize,
    /// A lower bound.
    pub used: usize,
    /// Bytes committed.
    pub committed: usize,
    /// Bytes reserved.
    pub reserved: usize,
    /// The limit that was met, 0 for none.
    pub limit: u64,
}

/// `hw_refusal_hook`; the answer is a `hw_answer`.
pub type HwRefusalHook = unsafe extern "C" fn(user: *mut c_void, refusal: *const HwRefusal) -> u32;

/// `hw_range`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HwRange {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset of the byte after the last one.
    pub end: usize,
}

/// `hw_options`. All zero is a value of it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HwOptions {
    /// `sizeof(hw_options)` as the program knows it.
    pub size: usize,
    /// Null for none.
    pub name: *const c_char,
    /// 0 for the default, as in the fields that follow.
    pub reserve: usize,
    /// [`NONE`] for no bytes.
    pub head: usize,
    /// [`NONE`] for no limit.
    pub limit: usize,
    /// `hw_growth`.
    pub growth: u32,
    /// `hw_choice`.
    pub populate: u32,
    /// The first step.
    pub growth_first: usize,
    /// The largest step.
    pub growth_max: usize,
    /// For `HIGHWATER_GROWTH_STRESS`.
    pub growth_seed: u64,
    /// `hw_choice`.
    pub huge_pages: u32,
    /// `hw_guard_mechanism`.
    pub guard_mechanism: u32,
    /// [`NONE`] for no bytes.
    pub guard_before: usize,
    /// [`NONE`] for no bytes.
    pub guard_after: usize,
    /// [`NONE`] for no bytes.
    pub guard_reach: usize,
    /// `guard_count` ranges.
    pub guards: *const HwRange,
    /// How many ranges.
    pub guard_count: usize,
    /// `hw_on_violation`.
    pub on_violation: u32,
    /// `hw_format`.
    pub violation_format: u32,
    /// [`NONE`] to query nothing.
    pub headroom: usize,
    /// Null for anonymous memory.
    pub backing_directory: *const c_char,
    /// `hw_response`.
    pub on_refusal: u32,
    /// Not used yet: 0.
    pub reserved: u32,
    /// For `HIGHWATER_RESPONSE_SPILL`.
    pub spill_directory: *const c_char,
    /// For `HIGHWATER_RESPONSE_HOOK`.
    pub refusal_hook: Option<HwRefusalHook>,
    /// The hook's first argument.
    pub refusal_user: *mut c_void,
    /// `hw_engine_choice`.
    pub engine: u32,
    /// Not used yet: 0.
    pub reserved_2: u32,
}

impl HwOptions {
    /// What `HIGHWATER_OPTIONS` is.
    pub const DEFAULT: HwOptions = HwOptions {
        size: size_of::<HwOptions>(),
        // SAFETY: numbers, pointers and an optional function: all zero is a value.
        ..unsafe { core::mem::zeroed() }
    };
}

/// `HIGHWATER_NONE`.
pub const NONE: usize = usize::MAX;
/// `HIGHWATER_PHYSICAL`.
pub const PHYSICAL: usize = usize::MAX - 1;
/// `HIGHWATER_MIN_ALIGN`.
pub const MIN_ALIGN: usize = 8;

/// `hw_stats`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct HwStats {
    /// `sizeof(hw_stats)` as the program knows it.
    pub size: usize,
    /// Bytes reserved.
    pub reserved: usize,
    /// Bytes committed.
    pub committed: usize,
    /// The peak.
    pub peak_committed: usize,
    /// A lower bound.
    pub used: usize,
    /// Growths by fault.
    pub faults: u64,
    /// Growths in all.
    pub commits: u64,
    /// Bytes made present at once.
    pub populated: u64,
    /// Nanoseconds spent growing.
    pub growth_ns: u64,
    /// `hw_engine`.
    pub engine: u32,
    /// Not used yet: 0.
    pub reserved_: u32,
}

/// `hw_text_function`.
pub type HwTextFunction = unsafe extern "C" fn(user: *mut c_void, text: *const c_char, length: usize);

/// `hw_violation`.
#[repr(C)]
pub struct HwViolation {
    /// `sizeof(hw_violation)`.
    pub size: usize,
    /// The arena's name.
    pub name: *const c_char,
    /// The arena's number.
    pub arena: u64,
    /// `hw_violation_kind`.
    pub kind: u32,
    /// `hw_access`.
    pub access: u32,
    /// The address that was touched.
    pub address: usize,
    /// From the arena's first byte.
    pub offset: isize,
    /// How many bytes outside of its bounds.
    pub distance: usize,
    /// 0 where it is not known.
    pub program_counter: usize,
    /// The kernel's number of it.
    pub thread: u32,
    /// Not used yet: 0.
    pub reserved: u32,
}

/// `hw_violation_hook`.
pub type HwViolationHook = unsafe extern "C" fn(user: *mut c_void, violation: *const HwViolation);

/// What every `HIGHWATER_VEC(T)` looks like.
#[repr(C)]
pub struct HwVec<A> {
    /// The first value.
    pub data: *mut u8,
    /// How many values.
    pub length: usize,
    /// How many values may be pushed before the library is asked again.
    pub capacity: usize,
    /// Its own arena, null for none.
    pub arena: *mut A,
}
