//! Arenas: making, limiting and freeing them.

use crate::abi::{HwCursor, HwError, HwOptions, NONE, Status};
use crate::error::{abort_with, boxed, plain, status};
use crate::options;
use crate::refusal::{self, HookNode};
use core::ffi::c_void;
use core::ptr::null_mut;
use highwater::internal::capi::CursorRegion;
use highwater::{Arena, Builder, OutOfMemory};

/// What an `hw_arena` points to. The arena's own cursor stays at its first byte: the program has the cursors.
pub(crate) struct HwArena {
    pub(crate) arena: Arena,
    hook: Option<&'static HookNode>,
}

impl Drop for HwArena {
    fn drop(&mut self) {
        if let Some(node) = self.hook {
            refusal::unregister(node);
        }
    }
}

impl HwArena {
    /// The region as cursors see it.
    pub(crate) fn remote(&self) -> Option<CursorRegion> {
        // SAFETY: the region lives as long as the arena, and callers drop the result before the arena.
        unsafe { CursorRegion::of(self.arena.region().as_ptr()) }
    }

    /// The bytes in use before a cursor of this arena; `None` if it is a cursor of another one.
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
/// `options` is null or points to a `hw_options` whose pointers are valid, as the header requires.
pub(crate) unsafe fn create(
    options: *const HwOptions,
    prepare: impl FnOnce(Builder<Arena>) -> Builder<Arena>,
) -> Result<Box<HwArena>, HwError> {
    // SAFETY: `options` is null or a valid `hw_options`: required by this function's contract.
    let known = unsafe { options::read(options)? };
    // SAFETY: the pointers in `known` are those of `options`, which are valid: required by this function's contract.
    let arena = prepare(unsafe { options::builder(&known)? }).try_build()?;
    let hook = known.refusal_hook.filter(|_| known.on_refusal == 2);
    // (The arena comes first: dropping it unregisters the hook if anything fails.)
    let mut made = boxed(HwArena { arena, hook: None })?;
    if let Some(hook) = hook {
        made.hook = Some(refusal::register(made.arena.id(), hook, known.refusal_user)?);
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
            return Err(HwError::argument("hw_arena_create: arena is NULL"));
        }
        // SAFETY: `arena` is not null, so it points to a pointer that can be written: required by the header.
        unsafe { arena.write(null_mut()) };
        // SAFETY: `options` is null or a valid `hw_options`: required by the header.
        let made = unsafe { create(options, |builder| builder)? };
        // SAFETY: `arena` is not null, so it points to a pointer that can be written: required by the header.
        unsafe { arena.write(Box::into_raw(made)) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_new(options: *const HwOptions) -> *mut HwArena {
    // SAFETY: `options` is null or a valid `hw_options`: required by the header.
    plain(|| match unsafe { create(options, |builder| builder) } {
        Ok(arena) => Box::into_raw(arena),
        Err(error) => abort_with(format_args!("hw_arena_new: {}", error.text())),
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_free(arena: *mut HwArena) {
    if !arena.is_null() {
        // SAFETY: `arena` came from `Box::into_raw` in `hw_arena_create`, and the header forbids any later use.
        plain(|| drop(unsafe { Box::from_raw(arena) }));
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_reset_(arena: *mut HwArena) {
    // SAFETY: `arena` is null or a live arena that no other thread is using: required by the header.
    if let Some(arena) = unsafe { arena.as_mut() } {
        plain(|| arena.arena.reset());
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_trim_(arena: *mut HwArena, in_use: HwCursor, keep: usize) -> usize {
    // SAFETY: `arena` is null or a live arena that no other thread is using: required by the header.
    let Some(arena) = (unsafe { arena.as_mut() }) else { return 0 };
    plain(|| arena.in_use(&in_use).map_or(0, |in_use| arena.arena.trim(keep.max(in_use))))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_set_limit_(arena: *mut HwArena, bytes: usize) -> Status {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
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
        // SAFETY: `arena` is null or a live arena that no other thread is using: required by the header.
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
        // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
        let arena =
            unsafe { arena.as_ref() }.ok_or_else(|| HwError::argument("hw_arena_ensure: arena is NULL"))?;
        Ok(arena.arena.region().ensure(bytes)?)
    })
}

/// The result of `read` for an arena; `none` for NULL.
///
/// # Safety
/// `arena` is null or a live arena.
pub(crate) unsafe fn of<T>(arena: *const HwArena, none: T, read: impl FnOnce(&HwArena) -> T) -> T {
    // SAFETY: `arena` is null or a live arena: required by this function's contract.
    match unsafe { arena.as_ref() } {
        Some(arena) => plain(|| read(arena)),
        None => none,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_base(arena: *const HwArena) -> *mut c_void {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
    unsafe { of(arena, null_mut(), |arena| arena.arena.region().as_ptr().cast()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_reserved(arena: *const HwArena) -> usize {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
    unsafe { of(arena, 0, |arena| arena.arena.reserved_bytes()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_committed(arena: *const HwArena) -> usize {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
    unsafe { of(arena, 0, |arena| arena.arena.committed_bytes()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_limit(arena: *const HwArena) -> usize {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
    unsafe { of(arena, 0, |arena| arena.remote().map_or(0, |region| region.usable_bytes())) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_id(arena: *const HwArena) -> u64 {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
    unsafe { of(arena, 0, |arena| arena.arena.id()) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn hw_arena_contains(arena: *const HwArena, address: *const c_void) -> bool {
    // SAFETY: `arena` is null or an arena that `hw_arena_create` made and `hw_arena_free` has not freed: required by the header.
    unsafe { of(arena, false, |arena| arena.arena.contains(address)) }
}

/// Reports that an arena ran out of memory in a call that has no status, and ends the process.
#[cold]
pub(crate) fn die_of(error: &OutOfMemory) -> ! {
    CursorRegion::abort_out_of_memory(error)
}
