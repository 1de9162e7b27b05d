//! The functions whose machine code `tests/codegen.rs` reads. They are compiled alone, as a library, with
//! the flags that test gives; nothing calls them.

use bump_scope::Bump as BumpScope;
use bumpalo::Bump;
use highwater::{Arena, DebugArena, GrowVec, Scope};
use std::cell::Cell;

/// The sum of two hard-coded vectors, all three in a scope of the function's own.
#[unsafe(no_mangle)]
pub fn constant_sum(arena: &mut Arena) -> u32 {
    let scope = arena.scope();
    let a = scope.alloc([1u32, 2, 3, 4]);
    let b = scope.alloc([0u32, 1, 1, 0]);
    let sum = scope.alloc_with(|| [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]);
    sum[2]
}

/// The same with slices.
#[unsafe(no_mangle)]
pub fn constant_sum_of_slices(arena: &mut Arena) -> u32 {
    let scope = arena.scope();
    let a = scope.alloc_slice_copy(&[1u32, 2, 3, 4]);
    let b = scope.alloc_slice_copy(&[0u32, 1, 1, 0]);
    let sum = scope.alloc_slice_fill_with(a.len(), |i| a[i] + b[i]);
    sum[2]
}

/// The same from a frame.
#[unsafe(no_mangle)]
pub fn constant_sum_in_a_frame(arena: &mut Arena) -> u32 {
    let scope = arena.scope();
    let frame = scope.frame::<48>();
    let a = frame.alloc([1u32, 2, 3, 4]);
    let b = frame.alloc([0u32, 1, 1, 0]);
    let sum = frame.alloc([a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]);
    sum[2]
}

/// Three values through a scope: three checks.
#[unsafe(no_mangle)]
pub fn three_from_a_scope<'a>(scope: &Scope<'a>, x: u64, y: u64, z: u64) -> [&'a mut u64; 3] {
    [scope.alloc(x), scope.alloc(y), scope.alloc(z)]
}

/// Three values through a frame: one check.
#[unsafe(no_mangle)]
pub fn three_from_a_frame<'a>(scope: &Scope<'a>, x: u64, y: u64, z: u64) -> &'a mut u64 {
    let frame = scope.frame::<24>();
    let first = frame.alloc(x);
    frame.alloc(y);
    frame.alloc(z);
    first
}

/// A frame and nothing in it: what the three above cost beyond this are their stores.
#[unsafe(no_mangle)]
pub fn empty_frame<'a>(scope: &Scope<'a>) -> &'a mut () {
    let frame = scope.frame::<24>();
    frame.alloc(())
}

/// Adjacent small values.
#[unsafe(no_mangle)]
pub fn adjacent_in_a_frame<'a>(scope: &Scope<'a>) -> &'a mut u32 {
    let frame = scope.frame::<16>();
    let first = frame.alloc(1u32);
    frame.alloc(2u32);
    frame.alloc(3u32);
    frame.alloc(4u32);
    first
}

/// One value in a local scope.
#[unsafe(no_mangle)]
pub fn in_a_scope(arena: &mut Arena, seen: fn(&mut u64), value: u64) {
    let scope = arena.scope();
    seen(scope.alloc(value));
}

/// One value in a scope nested in a local scope.
#[unsafe(no_mangle)]
pub fn in_a_nested_scope(arena: &mut Arena, seen: fn(&mut u64), value: u64) {
    let mut scope = arena.scope();
    let inner = scope.scope();
    seen(inner.alloc(value));
}

/// One value directly.
#[unsafe(no_mangle)]
pub fn without_a_scope(arena: &mut Arena, seen: fn(&mut u64), value: u64) {
    seen(arena.alloc(value));
}

/// A scope left again before another allocation.
#[unsafe(no_mangle)]
pub fn after_a_scope<'a>(scope: &mut Scope<'a>, value: u64) -> &'a mut u64 {
    {
        let inner = scope.scope();
        inner.alloc(value);
    }
    scope.alloc(value)
}

/// [`after_a_scope`] without the scope.
#[unsafe(no_mangle)]
pub fn after_nothing<'a>(scope: &mut Scope<'a>, value: u64) -> &'a mut u64 {
    scope.alloc(value)
}

/// A value that is committed before it is handed out.
#[unsafe(no_mangle)]
pub fn uninit<'a>(scope: &Scope<'a>) -> &'a mut std::mem::MaybeUninit<u64> {
    scope.alloc_uninit()
}

/// The call that returns an error.
#[unsafe(no_mangle)]
pub fn fallible<'a>(scope: &Scope<'a>, value: u64) -> Option<&'a mut u64> {
    scope.try_alloc(value).ok()
}

/// A layout that is not known while compiling.
#[unsafe(no_mangle)]
pub fn any_layout(arena: &Arena, layout: std::alloc::Layout) -> std::ptr::NonNull<u8> {
    arena.alloc_layout(layout)
}

/// A slice whose length is not known while compiling.
#[unsafe(no_mangle)]
pub fn copied<'a>(scope: &Scope<'a>, words: &[u32]) -> &'a mut [u32] {
    scope.alloc_slice_copy(words)
}

/// The same of bytes, as a text, through `&Arena`.
#[unsafe(no_mangle)]
pub fn copied_text<'a>(arena: &'a Arena, text: &str) -> &'a mut str {
    arena.alloc_str(text)
}

/// A slice that is made value by value.
#[unsafe(no_mangle)]
pub fn filled<'a>(scope: &Scope<'a>, len: usize, value: u32) -> &'a mut [u32] {
    scope.alloc_slice_fill_copy(len, value)
}

/// A slice of an iterator's values.
#[unsafe(no_mangle)]
pub fn collected<'a>(scope: &Scope<'a>, words: &[u32]) -> &'a mut [u32] {
    scope.alloc_slice_fill_iter(words.iter().copied())
}

/// Giving everything back.
#[unsafe(no_mangle)]
pub fn reset(arena: &mut Arena) {
    arena.reset();
}

/// A value at the end of a vector.
#[unsafe(no_mangle)]
pub fn vec_push(vec: &mut GrowVec<u64>, value: u64) {
    vec.push(value);
}

/// The same of std's, which has to be ready to move everything.
#[unsafe(no_mangle)]
pub fn std_push(vec: &mut Vec<u64>, value: u64) {
    vec.push(value);
}

/// A value at the end of a vector, with a reference to it.
#[unsafe(no_mangle)]
pub fn vec_push_pinned(vec: &highwater::AppendVec<u64>, value: u64) -> &u64 {
    vec.push_pinned(value)
}

/// The check alone: position and limit, and what the failing side is told. There is no policy and no guard that
/// this could know of, so what an arena's allocation is must be what this one is, to the instruction.
pub struct Bare {
    /// The next free byte, a multiple of 8.
    pub position: Cell<*mut u8>,
    /// Where blocks may end.
    pub limit: Cell<*mut u8>,
    /// Where it began.
    pub start: *mut u8,
    /// Whose memory it is.
    pub owner: &'static u64,
}

impl Bare {
    #[inline(always)]
    fn place(&self, size: usize, align: usize) -> *mut u8 {
        if size == 0 {
            return std::ptr::without_provenance_mut(align);
        }
        let position = self.position.get();
        let end = position.addr().wrapping_add(if size & 7 == 0 { size } else { size.wrapping_add(7) & !7 });
        if end > self.limit.get().addr() {
            bare_refuse(self.owner, position, size, align);
        }
        self.position.set(position.with_addr(end));
        position
    }

    #[inline(always)]
    fn alloc<T>(&self, value: T) -> &mut T {
        let place = self.place(size_of::<T>(), align_of::<T>()).cast::<T>();
        // SAFETY: never called; it stands for the arena's.
        unsafe {
            place.write(value);
            &mut *place
        }
    }
}

/// The failing side, which nothing is known of where it is called.
#[cold]
#[inline(never)]
#[unsafe(no_mangle)]
pub fn bare_refuse(owner: &'static u64, position: *mut u8, size: usize, align: usize) -> ! {
    panic!("{owner} {position:p} {size} {align}")
}

/// [`copied`] by the check alone.
#[unsafe(no_mangle)]
pub fn bare_copied<'a>(bare: &'a Bare, words: &[u32]) -> &'a mut [u32] {
    let place = bare.place(size_of_val(words), align_of::<u32>()).cast::<u32>();
    // SAFETY: as in `Bare::alloc`.
    unsafe {
        place.copy_from_nonoverlapping(words.as_ptr(), words.len());
        std::slice::from_raw_parts_mut(place, words.len())
    }
}

/// An allocation that is placed by a ledger, for its caller: what none of the others may look like.
#[unsafe(no_mangle)]
pub fn checked_u64(arena: &DebugArena, value: u64) -> &mut u64 {
    arena.alloc(value)
}

/// bump-scope with a minimum alignment of 8, as ours has.
pub type AlignedBumpScope = BumpScope<bump_scope::alloc::Global, bump_scope::settings::BumpSettings<8>>;

macro_rules! single {
    ($($type:ty: $arena:ident $scope:ident $bare:ident $bumpalo:ident $bumpalo8:ident $bump_scope:ident $bump_scope8:ident;)+) => {$(
        /// Through `&Arena`.
        #[unsafe(no_mangle)]
        pub fn $arena(arena: &Arena, value: $type) -> &mut $type {
            arena.alloc(value)
        }

        /// Through `&Scope`.
        #[unsafe(no_mangle)]
        pub fn $scope<'a>(scope: &Scope<'a>, value: $type) -> &'a mut $type {
            scope.alloc(value)
        }

        /// The check alone.
        #[unsafe(no_mangle)]
        pub fn $bare(bare: &Bare, value: $type) -> &mut $type {
            bare.alloc(value)
        }

        /// bumpalo as it comes.
        #[unsafe(no_mangle)]
        pub fn $bumpalo(bump: &Bump, value: $type) -> &mut $type {
            bump.alloc(value)
        }

        /// bumpalo with a minimum alignment of 8.
        #[unsafe(no_mangle)]
        pub fn $bumpalo8(bump: &Bump<8>, value: $type) -> &mut $type {
            bump.alloc(value)
        }

        /// bump-scope as it comes.
        #[unsafe(no_mangle)]
        pub fn $bump_scope(bump: &BumpScope, value: $type) -> &mut $type {
            bump_scope::BumpBox::leak(bump.alloc(value))
        }

        /// bump-scope with a minimum alignment of 8.
        #[unsafe(no_mangle)]
        pub fn $bump_scope8(bump: &AlignedBumpScope, value: $type) -> &mut $type {
            bump_scope::BumpBox::leak(bump.alloc(value))
        }
    )+};
}

single! {
    u8: arena_u8 scope_u8 bare_u8 bumpalo_u8 bumpalo8_u8 bump_scope_u8 bump_scope8_u8;
    u32: arena_u32 scope_u32 bare_u32 bumpalo_u32 bumpalo8_u32 bump_scope_u32 bump_scope8_u32;
    u64: arena_u64 scope_u64 bare_u64 bumpalo_u64 bumpalo8_u64 bump_scope_u64 bump_scope8_u64;
    [u32; 16]: arena_words scope_words bare_words bumpalo_words bumpalo8_words bump_scope_words bump_scope8_words;
}
