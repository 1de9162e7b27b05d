//! Every allocation call of a shared arena and of a thread's part of one, and the model that they are held against:
//! what is live, where, and what it contains.

use highwater::{AllocOrInitError, LocalArena, SharedArena};
use proptest::prelude::*;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};

/// One call. `usize` is a number of values.
#[derive(Clone, Debug)]
pub enum Call {
    Byte(u8),
    Word(u64),
    Wide(u8),
    With(u8),
    TryWith(bool),
    Layout { size: usize, shift: u32 },
    UninitWide,
    UninitSlice(usize),
    Str(usize),
    Fmt(usize),
    CStr(usize),
    Iter { len: usize, hint: usize, inner: bool },
    Copy(usize),
    Clone(usize),
    FillWith(usize),
    TryFill { len: usize, fail_at: usize },
    FillDefault(usize),
    FillIter(usize),
    Nothing(usize),
    Boxed(u8),
    BoxedIter(usize),
}

/// An alignment that is not the least of any arena here.
#[derive(Clone, Copy)]
#[repr(align(8192))]
pub struct Wide(pub [u8; 100]);

pub fn calls() -> impl Strategy<Value = Vec<(Call, bool)>> {
    let len = || prop_oneof![8 => 0usize..100, 2 => 0usize..3000, 1 => 0usize..30_000];
    let call = prop_oneof![
        1 => any::<u8>().prop_map(Call::Byte),
        1 => any::<u64>().prop_map(Call::Word),
        1 => any::<u8>().prop_map(Call::Wide),
        1 => any::<u8>().prop_map(Call::With),
        1 => any::<bool>().prop_map(Call::TryWith),
        4 => (prop_oneof![0usize..300, 0usize..40_000], 0u32..=16)
            .prop_map(|(size, shift)| Call::Layout { size, shift }),
        1 => Just(Call::UninitWide),
        1 => len().prop_map(Call::UninitSlice),
        1 => len().prop_map(Call::Str),
        1 => (0usize..40).prop_map(Call::Fmt),
        1 => len().prop_map(Call::CStr),
        1 => (len(), prop_oneof![Just(0), 0usize..100, Just(usize::MAX)], any::<bool>())
            .prop_map(|(len, hint, inner)| Call::Iter { len, hint, inner }),
        1 => len().prop_map(Call::Copy),
        1 => len().prop_map(Call::Clone),
        1 => len().prop_map(Call::FillWith),
        1 => (0usize..60, 0usize..70).prop_map(|(len, fail_at)| Call::TryFill { len, fail_at }),
        1 => len().prop_map(Call::FillDefault),
        1 => len().prop_map(Call::FillIter),
        1 => any::<usize>().prop_map(Call::Nothing),
        1 => any::<u8>().prop_map(Call::Boxed),
        1 => len().prop_map(Call::BoxedIter),
    ];
    prop::collection::vec((call, prop::bool::weighted(0.7)), 0..24)
}

/// The size and alignment of a call's only block; `None` where it may take more than one, or none.
pub fn layout_of(call: &Call) -> Option<Layout> {
    let layout = match *call {
        Call::Byte(_) => Layout::new::<u8>(),
        Call::Word(_) | Call::Boxed(_) => Layout::new::<u64>(),
        Call::Wide(_) | Call::UninitWide => Layout::new::<Wide>(),
        Call::With(_) => Layout::new::<[u16; 7]>(),
        Call::Layout { size, shift } => Layout::from_size_align(size, 1 << shift).unwrap(),
        Call::UninitSlice(len) | Call::FillWith(len) => Layout::array::<u32>(len).unwrap(),
        Call::FillDefault(len) => Layout::array::<u16>(len).unwrap(),
        Call::Str(len) | Call::Copy(len) | Call::Clone(len) | Call::FillIter(len) => {
            Layout::array::<u8>(len).unwrap()
        }
        Call::CStr(len) => Layout::array::<u8>(len + 1).unwrap(),
        Call::Nothing(_) => Layout::new::<()>(),
        Call::TryWith(_) | Call::Fmt(_) | Call::Iter { .. } | Call::TryFill { .. } | Call::BoxedIter(_) => {
            return None;
        }
    };
    Some(layout)
}

/// A block that was handed out.
pub struct Block {
    pub start: *mut u8,
    pub size: usize,
    pub align: usize,
}

/// The block of what a call returned.
pub fn block<T: ?Sized>(value: &mut T) -> Block {
    let (size, align) = (size_of_val(value), align_of_val(value));
    Block { start: std::ptr::from_mut(value).cast(), size, align }
}

/// What is live: start, end and the byte that fills it.
#[derive(Default)]
pub struct Live {
    blocks: BTreeMap<usize, (usize, u8, *mut u8)>,
    count: u8,
}

impl Live {
    /// Adds a block, which must lie within `region` and apart from all others, and fills it.
    #[track_caller]
    pub fn add(&mut self, block: Block, region: std::ops::Range<usize>) {
        let start = block.start.addr();
        assert!(start.is_multiple_of(block.align), "{start:#x} is not aligned to {}", block.align);
        if block.size == 0 {
            return;
        }
        let end = start + block.size;
        assert!(region.start <= start && end <= region.end, "{start:#x}..{end:#x} is not in {region:#x?}");
        let before = self.blocks.range(..end).next_back();
        assert!(before.is_none_or(|(_, &(other, ..))| other <= start), "{start:#x}..{end:#x} overlaps");
        self.count = self.count.wrapping_add(1);
        // SAFETY: the block is ours and nobody else uses it any more.
        unsafe { block.start.write_bytes(self.count, block.size) };
        self.blocks.insert(start, (end, self.count, block.start));
    }

    #[track_caller]
    pub fn verify(&self) {
        for (start, &(end, byte, pointer)) in &self.blocks {
            // SAFETY: the block is live: the arena was not reset.
            let bytes = unsafe { std::slice::from_raw_parts(pointer, end - start) };
            assert!(bytes.iter().all(|&b| b == byte), "the block at {start:#x} was written to");
        }
    }

    pub fn clear(&mut self) {
        self.blocks.clear();
    }

    /// Where the last block ends.
    pub fn end(&self) -> Option<usize> {
        self.blocks.values().map(|&(end, ..)| end).max()
    }
}

/// Runs a plain call; a panic that is no "out of memory" goes on.
pub fn plain<R>(call: impl FnOnce() -> R) -> Result<R, ()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).map_err(|panic| {
        let text = crate::support::oom::text_of(&*panic);
        assert!(text.contains("out of memory"), "{text}");
    })
}

/// An iterator whose length is anybody's guess.
pub struct Hinted<I>(pub I, pub usize);

impl<I: Iterator> Iterator for Hinted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, None)
    }
}

/// The plain call or its fallible twin.
macro_rules! either {
    ($arena:ident, $fallible:ident, $plain:ident, $twin:ident, $argument:expr) => {
        if $fallible { $arena.$twin($argument).map_err(drop) } else { plain(|| $arena.$plain($argument)) }
    };
}

/// The same with an initialiser's error, which is `()`.
macro_rules! either_init {
    ($arena:ident, $fallible:ident, $plain:ident, $twin:ident, ($($argument:expr),+)) => {
        if $fallible {
            match $arena.$twin($($argument),+) {
                Ok(value) => Ok(Some(value)),
                Err(AllocOrInitError::Init(())) => Ok(None),
                Err(AllocOrInitError::Alloc(_)) => Err(()),
            }
        } else {
            plain(|| $arena.$plain($($argument),+)).map(Result::ok)
        }
    };
}

/// Writes the function that makes one call: the block, `None` where an initialiser failed, or that there was no
/// memory.
macro_rules! caller {
    ($name:ident, $arena:ty) => {
        pub fn $name<const M: usize>(
            arena: $arena,
            call: &Call,
            fallible: bool,
        ) -> Result<Option<Block>, ()> {
            let values = |len: usize| (0..len).map(|i| i as u8);
            Ok(Some(match *call {
                Call::Byte(n) => {
                    let value = either!(arena, fallible, alloc, try_alloc, n)?;
                    assert_eq!(*value, n);
                    block(value)
                }
                Call::Word(n) => {
                    let value = either!(arena, fallible, alloc, try_alloc, n)?;
                    assert_eq!(*value, n);
                    block(value)
                }
                Call::Wide(n) => {
                    let value = either!(arena, fallible, alloc, try_alloc, Wide([n; 100]))?;
                    assert!(value.0.iter().all(|&byte| byte == n));
                    block(value)
                }
                Call::With(n) => {
                    block(either!(arena, fallible, alloc_with, try_alloc_with, || [u16::from(n); 7])?)
                }
                Call::TryWith(ok) => {
                    let make = || if ok { Ok([7u32; 3]) } else { Err(()) };
                    match either_init!(arena, fallible, alloc_try_with, try_alloc_try_with, (make))? {
                        Some(value) => block(value),
                        None => return Ok(None),
                    }
                }
                Call::Layout { size, shift } => {
                    let layout = Layout::from_size_align(size, 1 << shift).unwrap();
                    let start = either!(arena, fallible, alloc_layout, try_alloc_layout, layout)?;
                    Block { start: start.as_ptr(), size, align: 1 << shift }
                }
                Call::UninitWide if fallible => block(arena.try_alloc_uninit::<Wide>().map_err(drop)?),
                Call::UninitWide => block(plain(|| arena.alloc_uninit::<Wide>())?),
                Call::UninitSlice(len) if fallible => {
                    block(arena.try_alloc_uninit_slice::<u32>(len).map_err(drop)?)
                }
                Call::UninitSlice(len) => block(plain(|| arena.alloc_uninit_slice::<u32>(len))?),
                Call::Str(len) => {
                    let text = "x".repeat(len);
                    let made = either!(arena, fallible, alloc_str, try_alloc_str, &text)?;
                    assert_eq!(*made, *text);
                    block(made)
                }
                Call::Fmt(pieces) => {
                    let list: Vec<usize> = (0..pieces).collect();
                    let made = either!(arena, fallible, alloc_fmt, try_alloc_fmt, format_args!("{list:?}"))?;
                    assert_eq!(*made, *format!("{list:?}"));
                    block(made)
                }
                Call::CStr(len) => {
                    let text = CString::new("c".repeat(len)).unwrap();
                    let made: &CStr = either!(arena, fallible, alloc_cstr, try_alloc_cstr, &text)?;
                    assert_eq!(made, &*text);
                    Block { start: made.as_ptr().cast_mut().cast(), size: len + 1, align: 1 }
                }
                Call::Iter { len, hint, inner } => {
                    let each = values(len).inspect(|i| {
                        // It is in the way of the slice, which then moves when it grows.
                        if inner
                            && i % 32 == 0
                            && let Ok(value) = arena.try_alloc(*i)
                        {
                            assert_eq!(value, i);
                        }
                    });
                    let made = either!(arena, fallible, alloc_iter, try_alloc_iter, Hinted(each, hint))?;
                    assert!(made.iter().copied().eq(values(len)));
                    block(made)
                }
                Call::Copy(len) => {
                    let source: Vec<u8> = values(len).collect();
                    let made = either!(arena, fallible, alloc_slice_copy, try_alloc_slice_copy, &source)?;
                    assert_eq!(made, source);
                    block(made)
                }
                Call::Clone(len) => {
                    let source: Vec<u8> = values(len).collect();
                    let made = either!(arena, fallible, alloc_slice_clone, try_alloc_slice_clone, &source)?;
                    assert_eq!(made, source);
                    block(made)
                }
                Call::FillWith(len) if fallible => {
                    block(arena.try_alloc_slice_fill_with(len, |i| i as u32).map_err(drop)?)
                }
                Call::FillWith(len) => block(plain(|| arena.alloc_slice_fill_with(len, |i| i as u32))?),
                Call::TryFill { len, fail_at } => {
                    let make = |i| if i == fail_at { Err(()) } else { Ok(i as u64) };
                    match either_init!(
                        arena,
                        fallible,
                        alloc_slice_try_fill_with,
                        try_alloc_slice_try_fill_with,
                        (len, make)
                    )? {
                        Some(value) => block(value),
                        None => return Ok(None),
                    }
                }
                Call::FillDefault(len) if fallible => {
                    block(arena.try_alloc_slice_fill_default::<u16>(len).map_err(drop)?)
                }
                Call::FillDefault(len) => block(plain(|| arena.alloc_slice_fill_default::<u16>(len))?),
                Call::FillIter(len) => {
                    let source: Vec<u8> = values(len).collect();
                    let made = either!(
                        arena,
                        fallible,
                        alloc_slice_fill_iter,
                        try_alloc_slice_fill_iter,
                        source.iter().copied()
                    )?;
                    assert_eq!(made, source);
                    block(made)
                }
                // These move nothing and always succeed.
                Call::Nothing(len) => {
                    assert_eq!(arena.alloc_slice_fill_with(len % 1000, |_| ()).len(), len % 1000);
                    assert_eq!(
                        arena.try_alloc_slice_fill_copy(len % 1000, [0u64; 0]).unwrap().len(),
                        len % 1000
                    );
                    block(either!(arena, fallible, alloc, try_alloc, ()).unwrap())
                }
                Call::Boxed(n) => {
                    let value = either!(arena, fallible, alloc_box, try_alloc_box, u64::from(n))?;
                    assert_eq!(*value, u64::from(n));
                    block(value.leak())
                }
                Call::BoxedIter(len) => {
                    let value = either!(arena, fallible, alloc_box_iter, try_alloc_box_iter, values(len))?;
                    assert_eq!(value.len(), len);
                    block(value.leak())
                }
            }))
        }
    };
}

caller!(call_shared, &SharedArena<M>);
caller!(call_local, &LocalArena<'_, M>);
