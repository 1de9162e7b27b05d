//! What of the shared arena, boxes, handles and pools may cross threads, or be shared by them.

use highwater::{
    Arena, ArenaBox, ArenaPool, Branded, Builder, Conflict, Handle, LocalArena, PoolBuilder, PooledArena,
    Region, Rel, SharedArena, SliceHandle, StrHandle,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use std::cell::Cell;
use std::fmt::Debug;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::rc::Rc;

assert_impl_all!(SharedArena: Send, Sync, Debug, Default, Conflict, From<Region>);
assert_impl_all!(SharedArena<1>: Send, Sync);
assert_not_impl_any!(SharedArena: Clone);
assert_impl_all!(Builder<SharedArena>: Send, Sync);

// Its position is a thread's own: it may be given away, and not be shared.
assert_impl_all!(LocalArena<'static>: Send, Debug);
assert_not_impl_any!(LocalArena<'static>: Sync, Clone);

// A box is as its value.
assert_impl_all!(ArenaBox<'static, u8>: Send, Sync, Debug, Unpin);
assert_impl_all!(ArenaBox<'static, [u8]>: Send, Sync);
assert_impl_all!(ArenaBox<'static, Cell<u8>>: Send);
assert_not_impl_any!(ArenaBox<'static, Cell<u8>>: Sync);
assert_not_impl_any!(ArenaBox<'static, Rc<u8>>: Send, Sync);
assert_not_impl_any!(ArenaBox<'static, dyn Debug>: Send, Sync);
assert_impl_all!(ArenaBox<'static, dyn Debug + Send>: Send);
assert_not_impl_any!(ArenaBox<'static, dyn Debug + Send>: Sync);
assert_not_impl_any!(ArenaBox<'static, u8>: Clone, Copy);
// Where the value has to stay, there is no way to promise it.
assert_not_impl_any!(ArenaBox<'static, PhantomPinned>: Into<Pin<ArenaBox<'static, PhantomPinned>>>);
assert_not_impl_any!(ArenaBox<'static, u8>: Into<Pin<ArenaBox<'static, u8>>>);

// Handles are numbers; what follows them is a thread's own.
assert_not_impl_any!(Branded<'static>: Send, Sync, Clone);
assert_impl_all!(Handle<'static, Rc<u8>>: Send, Sync, Copy);
assert_impl_all!(SliceHandle<'static, Rc<u8>>: Send, Sync, Copy);
assert_impl_all!(StrHandle<'static>: Send, Sync, Copy);
assert_impl_all!(Rel<Rc<u8>>: Send, Sync, Copy);

assert_impl_all!(ArenaPool: Send, Sync);
assert_impl_all!(PoolBuilder: Send, Sync, Debug);
assert_impl_all!(PooledArena<'static>: Send, Conflict);
assert_not_impl_any!(PooledArena<'static>: Sync);

#[test]
fn sizes() {
    let word = size_of::<usize>();
    assert_eq!(size_of::<ArenaBox<'_, u64>>(), word);
    assert_eq!(size_of::<Option<ArenaBox<'_, dyn Debug>>>(), 2 * word);
    assert_eq!((size_of::<LocalArena<'_>>(), size_of::<Arena>()), (4 * word, size_of::<Arena<64>>()));
    // Two arenas side by side do not share a cache line, or the pair that is fetched with it.
    assert_eq!(align_of::<SharedArena>(), 128);
}

/// What refers to a value that lives longer may stand where a shorter lived one is wanted.
#[test]
fn parts_and_boxes_are_covariant() {
    fn shorter<'s, 'l: 's>(
        part: LocalArena<'l>,
        boxed: ArenaBox<'l, &'l str>,
        _: &'s u8,
    ) -> (LocalArena<'s>, ArenaBox<'s, &'s str>) {
        (part, boxed)
    }
    let arena = SharedArena::new();
    let (part, boxed) = shorter(arena.local(), arena.alloc_box("text"), &0);
    assert_eq!((*part.alloc(1), *boxed), (1, "text"));
}
