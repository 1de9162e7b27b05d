//! Refusal hooks with a user pointer. The library's hooks are plain functions, so the program's is looked up by the arena's
//! number, inside the signal.

use crate::abi::{HwError, HwRefusal, HwRefusalHook};
use crate::error::{boxed, cause_errno, cause_number};
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU64};
use highwater::OutOfMemory;
use highwater::oom::Answer;

/// The hook of one arena. Nodes are reused and never freed, because a handler may be reading them.
#[derive(Debug)]
pub(crate) struct HookNode {
    /// The arena's number, 0 while the node is free.
    arena: AtomicU64,
    hook: AtomicPtr<c_void>,
    user: AtomicPtr<c_void>,
    next: AtomicPtr<HookNode>,
}

static FIRST: AtomicPtr<HookNode> = AtomicPtr::new(null_mut());
/// An arena number that no arena has: the node is being filled in.
const TAKEN: u64 = u64::MAX;

fn nodes() -> impl Iterator<Item = &'static HookNode> {
    // SAFETY: null, or a leaked node.
    let at = |node: &AtomicPtr<HookNode>| unsafe { node.load(Acquire).as_ref() };
    core::iter::successors(at(&FIRST), move |node| at(&node.next))
}

/// Sets an arena's hook. Outside of signals.
pub(crate) fn register(
    arena: u64,
    hook: HwRefusalHook,
    user: *mut c_void,
) -> Result<&'static HookNode, HwError> {
    let free = nodes().find(|node| node.arena.compare_exchange(0, TAKEN, AcqRel, Relaxed).is_ok());
    let node = match free {
        Some(node) => node,
        None => new_node()?,
    };
    node.hook.store(hook as *mut c_void, Relaxed);
    node.user.store(user, Relaxed);
    node.arena.store(arena, Release);
    Ok(node)
}

/// A node on the list that is not free.
fn new_node() -> Result<&'static HookNode, HwError> {
    let node: &'static HookNode = Box::leak(boxed(HookNode {
        arena: AtomicU64::new(TAKEN),
        hook: AtomicPtr::new(null_mut()),
        user: AtomicPtr::new(null_mut()),
        next: AtomicPtr::new(null_mut()),
    })?);
    let mut first = FIRST.load(Acquire);
    loop {
        node.next.store(first, Relaxed);
        match FIRST.compare_exchange_weak(first, core::ptr::from_ref(node).cast_mut(), AcqRel, Acquire) {
            Ok(_) => return Ok(node),
            Err(now) => first = now,
        }
    }
}

/// Frees the node of an arena that is gone: no thread faults in it any more.
pub(crate) fn unregister(node: &'static HookNode) {
    node.arena.store(0, Release);
}

/// The library's hook of every arena for which the program set one. Signal-safe.
pub(crate) fn call_hook(error: &OutOfMemory) -> Answer {
    let Some(node) = nodes().find(|node| node.arena.load(Acquire) == error.region()) else {
        return Answer::Die;
    };
    // SAFETY: null, which is `None`, or a hook.
    let hook = unsafe { core::mem::transmute::<*mut c_void, Option<HwRefusalHook>>(node.hook.load(Relaxed)) };
    let Some(hook) = hook else { return Answer::Die };
    let mut name = [0u8; 41];
    let bytes = error.name().as_bytes();
    let len = bytes.len().min(40);
    if let (Some(to), Some(from)) = (name.get_mut(..len), bytes.get(..len)) {
        to.copy_from_slice(from);
    }
    let cause = error.cause();
    let refusal = HwRefusal {
        size: size_of::<HwRefusal>(),
        name: name.as_ptr().cast(),
        arena: error.region(),
        cause: cause_number(cause),
        system_error: cause_errno(cause),
        requested: error.requested(),
        used: error.used(),
        committed: error.committed(),
        reserved: error.reserved(),
        limit: error.limit().unwrap_or(0),
    };
    // SAFETY: the program's hook is signal-safe and returns: the header's contract.
    match unsafe { hook(node.user.load(Relaxed), &refusal) } {
        1 => Answer::Retry,
        _ => Answer::Die,
    }
}
