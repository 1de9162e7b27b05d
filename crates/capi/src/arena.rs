//! Arenas: making, limiting and giving them back.

use crate::abi::{HwCursor, HwError, HwOptions, NONE, Status};
use crate::error::{boxed, end, plain, status};
use crate::options;
use crate::refusal::{self, Node};
use core::ffi::c_void;
use core::ptr::null_mut;
use highwater::{Arena, Builder, CursorRegion, OutOfMemory};

/// What an `hw_arena` points to. The arena's own cursor stays at its first byte: the program has the cursors.
pub(crate) struct HwArena {
    pub(crate) arena: Arena,
    hook: Option<&'static Node>,
}

impl Drop for HwArena {
    fn drop(&mut self) {
        if let Some(node) = self.hook {
            refusal::forget(node);
        }
    }
}

impl HwArena {
    /// The region as cursors see it.
    pub(crate) fn remote(&self) -> Option<CursorRegion> {
        // SAFETY: the arena has its region, and callers do not keep the answer.
        unsafe { CursorRegion::of(self.arena.region().as_ptr()) }
    }

    /// How far a cursor of this arena has come, in bytes; `None` if it is another's.
    fn in_use(&self, cursor: &HwCursor) -> Option<usize> {
        if cursor.position.is_null() {
            return Some(0);
        }
        let offset = cursor.position.addr().checked_sub(self.arena.region().as_ptr().addr())?;
        (offset <= self.arena.region().reserved_bytes()).then_some(offset)
    }
}

/// An arena with the options of the program, and what `prepare` adds to them.
///
/// # Safety
/// As the header says of the structure.
pub(crate) unsafe fn create(
    options: *const HwOptions,
    prepare: impl FnOnce(Builder<Arena>) -> Builder<Arena>,
) -> Result<Box<HwArena>, HwError> {
    // SAFETY: the caller's promise.
    let known = unsafe { options::read(options)? };
    // SAFETY: the caller's promise.
    let arena = prepare(unsafe { options::builder(&known)? }).try_build()?;
    let hook = known.refusal_hook.filter(|_| known.on_refusal == 2);
    // (What knows of the hook comes first, so that it forgets it when anything fails.)
    let mut made = boxed(HwArena { arena, hook: None })?;
    if let Some(hook) = hook {
        made.hook = Some(refusal::remember(made.arena.id(), hook, known.refusal_user)?);
    }
    Ok(made)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_create(
    options: *const HwOptions,
    arena: *mut *mut HwArena,
    error: *mut HwError,
) -> Status {
    status(error, || {
        if arena.is_null() {
            return Err(HwError::argument("hw_arena_create: the place for the arena is NULL"));
        }
        // SAFETY: not null, and the caller's.
        unsafe { arena.write(null_mut()) };
        // SAFETY: the caller's promise.
        let made = unsafe { create(options, |builder| builder)? };
        // SAFETY: as above.
        unsafe { arena.write(Box::into_raw(made)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_new(options: *const HwOptions) -> *mut HwArena {
    // SAFETY: the caller's promise.
    plain(|| match unsafe { create(options, |builder| builder) } {
        Ok(arena) => Box::into_raw(arena),
        Err(error) => end(format_args!("hw_arena_new: {}", error.text())),
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_free(arena: *mut HwArena) {
    if !arena.is_null() {
        // SAFETY: it came from `Box::into_raw`, and the caller gives it up.
        plain(|| drop(unsafe { Box::from_raw(arena) }));
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_reset_(arena: *mut HwArena) {
    // SAFETY: null or an arena that nobody else is using.
    if let Some(arena) = unsafe { arena.as_mut() } {
        plain(|| arena.arena.reset());
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_trim_(arena: *mut HwArena, in_use: HwCursor, keep: usize) -> usize {
    // SAFETY: null or an arena that nobody else is using.
    let Some(arena) = (unsafe { arena.as_mut() }) else { return 0 };
    plain(|| arena.in_use(&in_use).map_or(0, |in_use| arena.arena.trim(keep.max(in_use))))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_set_limit_(arena: *mut HwArena, bytes: usize) -> Status {
    // SAFETY: null or an arena.
    match unsafe { arena.as_ref() } {
        Some(arena) => status(null_mut(), || {
            arena.arena.set_allocation_limit(Some(bytes).filter(|&bytes| bytes != NONE));
            Ok(())
        }),
        None => Status::Argument,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_guard_(
    arena: *mut HwArena,
    in_use: HwCursor,
    offset: usize,
    size: usize,
    error: *mut HwError,
) -> Status {
    status(error, || {
        // SAFETY: null or an arena that nobody else is using.
        let arena =
            unsafe { arena.as_mut() }.ok_or_else(|| HwError::argument("hw_arena_guard: arena is NULL"))?;
        let Some(used) = arena.in_use(&in_use) else {
            return Err(HwError::argument("hw_arena_guard: the cursor is another arena's"));
        };
        let Some(end) = offset.checked_add(size) else {
            return Err(HwError::argument("hw_arena_guard: offset and size overflow"));
        };
        if size > 0 && offset < used {
            return Err(highwater::GuardError::InUse { guard: offset..end, used }.into());
        }
        Ok(arena.arena.guard_at(offset..end)?)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_ensure(arena: *mut HwArena, bytes: usize, error: *mut HwError) -> Status {
    status(error, || {
        // SAFETY: null or an arena.
        let arena =
            unsafe { arena.as_ref() }.ok_or_else(|| HwError::argument("hw_arena_ensure: arena is NULL"))?;
        Ok(arena.arena.region().ensure(bytes)?)
    })
}

/// What `read` reads of an arena; `none` for NULL.
///
/// # Safety
/// `arena` is null or an arena.
pub(crate) unsafe fn of<T>(arena: *const HwArena, none: T, read: impl FnOnce(&HwArena) -> T) -> T {
    // SAFETY: the caller's promise.
    match unsafe { arena.as_ref() } {
        Some(arena) => plain(|| read(arena)),
        None => none,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_base(arena: *const HwArena) -> *mut c_void {
    // SAFETY: the caller's promise, here and below.
    unsafe { of(arena, null_mut(), |arena| arena.arena.region().as_ptr().cast()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_reserved(arena: *const HwArena) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of(arena, 0, |arena| arena.arena.reserved_bytes()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_committed(arena: *const HwArena) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of(arena, 0, |arena| arena.arena.committed_bytes()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_limit(arena: *const HwArena) -> usize {
    // SAFETY: the caller's promise.
    unsafe { of(arena, 0, |arena| arena.remote().map_or(0, |region| region.usable_bytes())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_id(arena: *const HwArena) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { of(arena, 0, |arena| arena.arena.id()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_contains(arena: *const HwArena, address: *const c_void) -> bool {
    // SAFETY: the caller's promise.
    unsafe { of(arena, false, |arena| arena.arena.contains(address)) }
}

/// The report of an arena that ran out of memory in a call that has no status, and the end.
#[cold]
pub(crate) fn run_out(error: &OutOfMemory) -> ! {
    CursorRegion::end(error)
}
