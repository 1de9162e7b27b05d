//! 32-bit handles: what has one, what does not, and that each leads back to what it was made of.

use crate::support;
use highwater::{Arena, Branded, DebugArena, Handle, Rel, SliceHandle, StrHandle};
use static_assertions::{assert_eq_size, assert_impl_all, assert_not_impl_any};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

assert_eq_size!(Handle<'static, u64>, Option<Handle<'static, u64>>, Rel<String>, Option<Rel<String>>, u32);
assert_eq_size!(SliceHandle<'static, u64>, Option<StrHandle<'static>>, u64);
assert_not_impl_any!(Branded<'static>: Send, Sync, Clone);
// A number may go anywhere; what follows it may not.
assert_impl_all!(Handle<'static, Cell<u8>>: Send, Sync, Copy, Eq, Ord, std::hash::Hash, std::fmt::Debug);

#[derive(Clone, Copy)]
#[repr(align(8192))]
struct Wide(u64);

#[test]
fn a_handle_leads_back_to_its_value() {
    let mut arena = Arena::<1>::with_min_align();
    arena.scoped_branded(|b| {
        let bytes: Vec<&u8> = (0..100).map(|n| &*b.alloc(n)).collect();
        let wide: Vec<&Wide> = (0..10).map(|n| &*b.alloc(Wide(n))).collect();
        let texts: Vec<&String> = (0..10).map(|n| &*b.alloc(n.to_string())).collect();
        for byte in bytes {
            assert!(std::ptr::eq(b.get(b.handle(byte)), byte));
        }
        for value in wide {
            let found = b.get(b.handle(value));
            assert!(std::ptr::eq(found, value) && found.0 == value.0);
        }
        for text in texts {
            assert!(std::ptr::eq(b.get(b.handle(text)), text));
        }
        // Parts of values, too.
        let pair: &(u8, [u16; 9]) = b.alloc((1, [7; 9]));
        assert!(std::ptr::eq(b.get(b.handle(&pair.1[8])), &pair.1[8]));
        assert!(std::ptr::eq(b.get(b.handle(&pair.0)), &pair.0));
    });
}

#[test]
fn what_lies_elsewhere_has_none() {
    static ELSEWHERE: u64 = 5;
    const TEXT: &str = "static";
    let other: &'static Arena = Box::leak(Box::default());
    let mut arena = Arena::new();
    arena.alloc(1u64);
    arena.scoped_branded(|b| {
        assert!(b.try_handle(&ELSEWHERE).is_none());
        assert!(b.try_slice_handle(TEXT.as_bytes()).is_none());
        assert!(catch_unwind(AssertUnwindSafe(|| b.handle(&ELSEWHERE))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| b.str_handle(TEXT))).is_err());
        // Another arena's values may live long enough, and are told from ours.
        assert!(b.try_handle(other.alloc(1u64)).is_none());
        assert!(b.try_slice_handle(other.alloc_slice_fill_copy(10, 1u8)).is_none());
        let near: &[u8; 16] = b.alloc([0; 16]);
        assert!(b.try_handle(near).is_some());
    });
    assert!(arena.rel(&ELSEWHERE).is_none() && arena.rel(&8u8).is_none());
}

#[test]
fn values_of_no_size_are_anywhere() {
    #[derive(Debug, PartialEq)]
    struct Nothing;
    #[repr(align(4096))]
    struct Aligned;
    static NOTHING: Nothing = Nothing;
    let mut arena = Arena::new();
    arena.scoped_branded(|b| {
        let handles = [b.handle(&NOTHING), b.handle(b.alloc(Nothing))];
        assert_eq!((b.get(handles[0]), handles[0]), (&NOTHING, handles[1]));
        let aligned: &Aligned = b.get(b.handle(b.alloc(Aligned)));
        assert!(std::ptr::from_ref(aligned).addr().is_multiple_of(4096));
        let many = b.slice_handle(b.alloc_slice_fill_with(1000, |_| ()));
        assert_eq!((many.len(), b.slice(many).len()), (1000, 1000));
    });
}

#[test]
fn slices_and_strings() {
    let mut arena = Arena::new();
    arena.scoped_branded(|b| {
        let numbers: &[u32] = b.alloc_iter(0..1000);
        let all = b.slice_handle(numbers);
        assert!((all.len(), all.is_empty()) == (1000, false) && std::ptr::eq(b.slice(all), numbers));
        let part = b.slice_handle(&numbers[990..]);
        assert_eq!(b.slice(part), [990, 991, 992, 993, 994, 995, 996, 997, 998, 999]);
        assert!(part > all && part != all);
        for empty in [&numbers[..0], &numbers[1000..], &[]] {
            let handle = b.slice_handle(empty);
            assert!(handle.is_empty() && b.slice(handle).is_empty());
        }
        let text = b.str_handle(b.alloc_str("größer"));
        assert_eq!((b.str(text), text.len(), b.slice(text.bytes()).len()), ("größer", 8, 8));
        assert_eq!((b.str(b.str_handle("")), b.str_handle("").is_empty()), ("", true));
        let bytes = b.slice_handle(b.alloc_slice_copy(b"\xff\xfe"));
        assert_eq!(b.slice(bytes), b"\xff\xfe");
        // Values that are never there.
        enum Never {}
        let never: SliceHandle<'_, Never> = b.slice_handle(&[]);
        assert!(b.slice(never).is_empty());
    });
}

/// The first and the last value that there is room for.
#[test]
fn both_ends_of_the_region() {
    let mut arena = Arena::builder().min_align::<1>().reserve(1 << 20).build();
    let reserved = arena.reserved_bytes();
    arena.scoped_branded(|b| {
        let all: &[u8] = b.alloc_slice_fill_copy(reserved, 1u8);
        assert_eq!(b.remaining(), 0);
        let (first, last) = (b.handle(&all[0]), b.handle(&all[reserved - 1]));
        assert!(first < last && std::ptr::eq(b.get(last), &all[reserved - 1]));
        assert!(std::ptr::eq(b.slice(b.slice_handle(all)), all));
        assert!(b.slice(b.slice_handle(&all[reserved..])).is_empty());
    });
}

/// How far in values may lie, to the byte. Nothing there is touched, or committed.
#[test]
fn reach() {
    if !support::reserves() {
        return;
    }
    let mut arena = Arena::builder().reserve(64 << 30).build();
    if arena.reserved_bytes() < 64 << 30 {
        return support::skip("no 64 GiB of address space");
    }
    let base = arena.region().as_ptr();
    arena.scoped_branded(|b| {
        fn at<'a, T>(base: *mut u8, offset: usize) -> &'a MaybeUninit<T> {
            // SAFETY: address space of the arena, for a value that needs not be there, and that nobody reads.
            unsafe { &*base.add(offset).cast() }
        }
        let furthest = u32::MAX as usize - 1;
        let byte = at::<u8>(base, furthest);
        assert!(std::ptr::eq(b.get(b.handle(byte)), byte));
        assert!(b.try_handle(at::<u8>(base, furthest + 1)).is_none());
        assert!(b.try_handle(at::<u8>(base, furthest + 2)).is_none());
        assert!(b.try_handle(at::<u8>(base, 40 << 30)).is_none());
        let word = at::<u64>(base, furthest * 8);
        assert!(std::ptr::eq(b.get(b.handle(word)), word));
        assert!(b.try_handle(at::<u64>(base, furthest * 8 + 8)).is_none());
        assert!(b.try_handle(at::<u64>(base, (64 << 30) - 8)).is_none());
        let page = at::<Wide>(base, (64 << 30) - 8192);
        assert!(std::ptr::eq(b.get(b.handle(page)), page));
        assert!(catch_unwind(AssertUnwindSafe(|| b.handle(at::<u8>(base, 5 << 30)))).is_err());
        // A slice that begins within reach may end beyond it, and none has more than 2^32 values.
        // SAFETY: as above.
        let slice = |offset, len| unsafe {
            std::slice::from_raw_parts(base.add(offset).cast::<MaybeUninit<u8>>(), len)
        };
        let long = slice(0, u32::MAX as usize);
        assert!(std::ptr::eq(b.slice(b.slice_handle(long)), long));
        assert!(b.try_slice_handle(slice(0, u32::MAX as usize + 1)).is_none());
        let across = slice(furthest, 1 << 20);
        assert!(std::ptr::eq(b.slice(b.slice_handle(across)), across));
        assert!(b.try_slice_handle(slice(furthest + 1, 1)).is_none());
    });
    assert!(arena.committed_bytes() < 1 << 30);
}

#[test]
fn pointers_without_a_brand() {
    let arena = Arena::new();
    let values: Vec<&u64> = (0..100).map(|n| &*arena.alloc(n)).collect();
    let rels: Vec<Rel<u64>> = values.iter().map(|value| arena.rel(*value).unwrap()).collect();
    for (value, &rel) in values.iter().zip(&rels) {
        // SAFETY: it is this arena's, and the value is still there.
        assert!(std::ptr::eq(unsafe { arena.resolve(rel) }, *value));
    }
    assert!(rels.is_sorted() && rels.iter().collect::<HashSet<_>>().len() == 100);
    assert_eq!(format!("{:?}", rels[3]), "Rel(3)");
}

/// Numbers that a handle is made of are equal, ordered and hashed as the places are.
#[test]
fn handles_are_numbers() {
    let mut arena = Arena::new();
    arena.scoped_branded(|b| {
        let handles: Vec<Handle<'_, Cell<u32>>> = (0..50).map(|n| b.handle(b.alloc(Cell::new(n)))).collect();
        let names: HashMap<_, u32> = handles.iter().map(|&handle| (handle, b.get(handle).get())).collect();
        assert!(handles.is_sorted() && names.len() == 50 && names[&handles[7]] == 7);
        assert_eq!(handles[9].rel(), b.handle(b.get(handles[9])).rel());
        b.get(handles[9]).set(100);
        assert_eq!(b.get(handles[9]).get(), 100);
        assert_eq!(format!("{:?}", handles[1]), "Handle(2)", "8 bytes in, by 4");
    });
}

/// Values whose types refer to handles of the same brand: graphs with cycles, filled in afterwards.
#[test]
fn cycles() {
    struct Node<'b> {
        name: StrHandle<'b>,
        next: OnceCell<Handle<'b, Node<'b>>>,
        seen: RefCell<Vec<Handle<'b, Node<'b>>>>,
    }
    let mut arena = Arena::new();
    for _ in 0..2 {
        let names = arena.scoped_branded(|b| {
            let node = |name| Node {
                name: b.str_handle(b.alloc_str(name)),
                next: OnceCell::new(),
                seen: RefCell::default(),
            };
            let nodes: Vec<_> = ["a", "b", "c"].map(|name| b.handle(b.alloc(node(name)))).into();
            for (i, &handle) in nodes.iter().enumerate() {
                assert!(b.get(handle).next.set(nodes[(i + 1) % 3]).is_ok());
                b.get(handle).seen.borrow_mut().extend(&nodes);
            }
            let mut at = nodes[0];
            (0..7)
                .map(|_| {
                    at = *b.get(at).next.get().unwrap();
                    b.str(b.get(b.get(at).seen.borrow()[0]).name).to_owned() + b.str(b.get(at).name)
                })
                .collect::<String>()
        });
        assert_eq!(names, "abacaaabacaaab");
        assert_eq!(arena.allocated_bytes(), 0);
    }
}

/// A checked arena's values lie on pages of their own; handles of them work all the same.
#[test]
fn in_a_checked_arena() {
    let mut arena = DebugArena::default();
    let sum: u64 = arena.scoped_branded(|b| {
        let handles: Vec<_> = (0..20u64).map(|n| b.handle(b.alloc(n))).collect();
        handles.iter().map(|&handle| b.get(handle)).sum()
    });
    assert_eq!(sum, 190);
}

#[test]
fn other_alignments() {
    let mut arena = Arena::<64>::with_min_align();
    arena.scoped_branded(|b| {
        let handles: Vec<_> = (0..20u8).map(|n| b.handle(b.alloc(n))).collect();
        assert!(handles.iter().enumerate().all(|(i, &handle)| *b.get(handle) == i as u8));
    });
}

/// What a function may believe of a `&mut` that it is given: that nothing else leads there, while it is borrowed from it.
mod through_arguments {
    use highwater::{Arena, Branded, Handle};
    use std::cell::Cell;

    #[inline(never)]
    fn value<'b>(b: &Branded<'b>, given: &'b mut Cell<u32>) -> u32 {
        *given.get_mut() = 1;
        let shared: &'b Cell<u32> = given;
        let handle = b.handle(shared);
        b.get(handle).set(2);
        shared.get()
    }

    #[inline(never)]
    fn slice<'b>(b: &Branded<'b>, given: &'b mut [Cell<u32>]) -> u32 {
        *given[1].get_mut() = 1;
        let shared: &'b [Cell<u32>] = given;
        let handle = b.slice_handle(shared);
        b.slice(handle)[1].set(2);
        let one = handle.get(1).unwrap();
        b.get(one).set(b.get(one).get() + 1);
        shared[1].get()
    }

    struct Node<'b> {
        value: Cell<u32>,
        itself: Cell<Option<Handle<'b, Node<'b>>>>,
    }

    #[inline(never)]
    fn link<'b>(b: &Branded<'b>, given: &'b mut Node<'b>) -> u32 {
        *given.value.get_mut() = 10;
        let shared: &'b Node<'b> = given;
        shared.itself.set(Some(b.handle(shared)));
        b.get(shared.itself.get().unwrap()).value.set(11);
        shared.value.get()
    }

    #[test]
    fn a_handle_leads_to_what_it_was_made_of() {
        Arena::new().scoped_branded(|b| {
            assert_eq!(value(&b, b.alloc(Cell::new(0))), 2);
            assert_eq!(slice(&b, b.alloc_slice_fill_with(3, |_| Cell::new(0))), 3);
            assert_eq!(link(&b, b.alloc(Node { value: Cell::new(0), itself: Cell::new(None) })), 11);
        });
    }
}
