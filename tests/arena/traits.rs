//! What may cross threads, what may be shared, and how large things are.

use highwater::{
    AllocErr, AllocOrInitError, Arena, ArenaPool, Builder, Checkpoint, DebugArena, Frame, GrowthEvent,
    Monitor, OutOfMemory, PooledArena, Region, Scope, Scratch, Stats,
};
use static_assertions::{assert_impl_all, assert_not_impl_any, assert_type_eq_all};
use std::error::Error;
use std::fmt::{Debug, Display};

assert_impl_all!(Arena: Send, Debug, Default, From<Region>);
assert_impl_all!(DebugArena: Send, Debug, Default, From<Region>);
assert_impl_all!(Arena<1>: Send);
assert_not_impl_any!(Arena: Sync, Clone);
assert_not_impl_any!(DebugArena: Sync, Clone);

// A second scope with the same position would hand out the same bytes; a shared one would race for them.
assert_impl_all!(Scope<'static>: Send, Debug);
assert_not_impl_any!(Scope<'static>: Sync, Clone, Drop);
assert_impl_all!(Frame<'static, 8>: Send, Debug);
assert_not_impl_any!(Frame<'static, 8>: Sync, Clone, Drop);

assert_impl_all!(PooledArena<'static>: Send, Debug);
assert_not_impl_any!(PooledArena<'static>: Sync, Clone);
assert_impl_all!(Scratch: Send, Debug);
assert_not_impl_any!(Scratch: Sync, Clone);

assert_impl_all!(Region: Send, Sync, Debug);
assert_not_impl_any!(Region: Clone);
assert_impl_all!(Monitor: Send, Sync, Copy, Debug);
assert_impl_all!(ArenaPool: Send, Sync, Debug, Default);
assert_impl_all!(Checkpoint: Send, Sync, Copy, Debug);
assert_impl_all!(Builder<Arena>: Send, Sync, Debug);
assert_impl_all!(Stats: Send, Sync, Copy, Eq, Default);
assert_impl_all!(GrowthEvent: Send, Sync, Copy, Eq);

assert_impl_all!(OutOfMemory: Send, Sync, Error, Display, Clone, Eq);
assert_impl_all!(AllocOrInitError<OutOfMemory>: Send, Sync, Error, Display, Clone, Eq);
assert_type_eq_all!(AllocErr, OutOfMemory);

#[test]
fn sizes() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<Scope<'_>>(), 4 * word, "position, limit, start and region");
    assert_eq!(size_of::<Scope<'_, 64, true>>(), 4 * word);
    assert_eq!(size_of::<Frame<'_, 1000>>(), 2 * word);
    assert_eq!(size_of::<Checkpoint>(), 2 * word);
    assert_eq!(size_of::<Monitor>(), 2 * word);
    assert!(size_of::<Result<&mut u64, OutOfMemory>>() <= 16 * word);
}

/// A scope, and what it allocated, may stand where a shorter lived one is wanted.
#[test]
fn scopes_and_frames_are_covariant() {
    fn shorter<'s, 'l: 's, const C: bool>(
        scope: Scope<'l, 8, C>,
        frame: Frame<'l, 8>,
        _: &'s u8,
    ) -> (Scope<'s, 8, C>, Frame<'s, 8>) {
        (scope, frame)
    }
    fn check<const C: bool>(mut arena: Arena<8, C>) {
        let scope = arena.scope();
        let frame = scope.frame::<8>();
        let (scope, frame) = shorter(scope, frame, &0);
        assert_eq!((*scope.alloc(1), *frame.alloc(2)), (1, 2));
    }
    check(Arena::new());
    check(DebugArena::default());
}
