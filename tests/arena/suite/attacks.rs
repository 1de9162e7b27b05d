//! Safe code that tries to make an arena hand out the same bytes twice: everything that the library calls
//! back into allocates, fails, panics or changes the limit at the worst moment. What cannot be written
//! without a compile error is under `ui/fail`.

use super::kind::{Arena, new};
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Blocks that live until the end of a test, each filled with a number of its own.
pub struct Witness<'a> {
    arena: &'a Arena,
    blocks: RefCell<Vec<&'a mut [u64]>>,
}

impl<'a> Witness<'a> {
    pub fn of(arena: &'a Arena) -> Self {
        Witness { arena, blocks: RefCell::default() }
    }

    /// Allocates where the arena stands now.
    pub fn allocate(&self) {
        let number = self.blocks.borrow().len() as u64;
        if let Ok(block) = self.arena.try_alloc_slice_fill_copy(3, number) {
            self.blocks.borrow_mut().push(block);
        }
    }

    /// Overwrites whatever the arena believes is free by now, and looks at the blocks.
    #[track_caller]
    pub fn check(&self) {
        let _ = self.arena.try_alloc_slice_fill_copy(self.arena.remaining().min(4096) / 8, u64::MAX);
        for (number, block) in self.blocks.borrow().iter().enumerate() {
            assert_eq!(**block, [number as u64; 3]);
        }
        assert!(!self.blocks.borrow().is_empty(), "the attack allocated nothing");
    }
}

/// A value, and an iterator, that allocates when it is dropped or asked anything.
struct Meddler<'w, 'a>(&'w Witness<'a>, usize);

impl Drop for Meddler<'_, '_> {
    fn drop(&mut self) {
        self.0.allocate();
    }
}

impl Clone for Meddler<'_, '_> {
    fn clone(&self) -> Self {
        self.0.allocate();
        Meddler(self.0, self.1)
    }
}

impl fmt::Display for Meddler<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.allocate();
        f.write_str("text")?;
        self.0.allocate();
        f.write_str("more text")
    }
}

impl<'w, 'a> Iterator for Meddler<'w, 'a> {
    type Item = Meddler<'w, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.1 = self.1.checked_sub(1)?;
        self.0.allocate();
        Some(Meddler(self.0, self.1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.allocate();
        (self.1, Some(self.1))
    }
}

impl ExactSizeIterator for Meddler<'_, '_> {
    fn len(&self) -> usize {
        self.0.allocate();
        self.1
    }
}

#[test]
fn everything_that_is_called_back_allocates() {
    for limit in [None, Some(600), Some(2000), Some(9000)] {
        let arena = new();
        arena.set_allocation_limit(limit);
        let witness = Witness::of(&arena);
        for n in 0..12 {
            let _ = arena.try_alloc(Meddler(&witness, n));
            let _ = arena.try_alloc_iter(Meddler(&witness, n)).map(|made| made.len());
            let _ = arena.try_alloc_slice_fill_iter(Meddler(&witness, n)).map(|made| made.len());
            let source = [Meddler(&witness, n), Meddler(&witness, n)];
            let _ = arena.try_alloc_slice_clone(&source).map(|made| made.len());
            let _ = arena.try_alloc_slice_fill_clone(n, &source[0]).map(|made| made.len());
            let _ = arena.try_alloc_fmt(format_args!("{}|{}", source[0], source[1])).map(|made| made.len());
            let _ = arena.try_alloc_slice_try_fill_with(n, |i| {
                let made = Meddler(&witness, i);
                if i % 3 == 2 { Err(made) } else { Ok(made) }
            });
            let _ = arena.try_alloc_try_with(|| Err::<[u64; 9], _>(Meddler(&witness, n)));
        }
        witness.check();
    }
}

#[test]
fn builders_nest_in_builders() {
    let arena = new();
    let witness = Witness::of(&arena);
    let rows = arena.alloc_iter((0..20u64).map(|row| {
        let text = arena.alloc_fmt(format_args!("{}{}", Meddler(&witness, 0), row));
        let cells = arena.alloc_iter((0..row).filter(|cell| {
            let failed: Result<&mut u64, &[u64]> =
                arena.alloc_try_with(|| Err(&*arena.alloc_iter(std::iter::repeat_n(*cell, 7))));
            failed.unwrap_err()[6].is_multiple_of(2)
        }));
        (text, cells)
    }));
    witness.check();
    for (row, (text, cells)) in (0..).zip(rows) {
        assert_eq!(**text, *format!("textmore text{row}"));
        assert!(cells.iter().copied().eq((0..row).filter(|cell| cell % 2 == 0)));
    }
}

#[test]
fn a_limit_that_changes_under_a_builder() {
    for limit in [0, 8, 64, 100, 1000] {
        let arena = new();
        let witness = Witness::of(&arena);
        witness.allocate();
        let made = catch_unwind(AssertUnwindSafe(|| {
            arena.alloc_iter((0..200u64).inspect(|&n| match n {
                50 => arena.set_allocation_limit(Some(limit)),
                150 => arena.set_allocation_limit(None),
                _ => {}
            }))
        }));
        arena.set_allocation_limit(None);
        witness.allocate();
        arena.set_allocation_limit(Some(limit));
        let failed: Result<&mut u64, ()> = catch_unwind(AssertUnwindSafe(|| {
            arena.alloc_try_with(|| {
                arena.set_allocation_limit(None);
                witness.allocate();
                arena.set_allocation_limit(Some(limit));
                Err(())
            })
        }))
        .unwrap_or(Err(()));
        assert!(failed.is_err());
        arena.set_allocation_limit(None);
        witness.check();
        if let Ok(made) = made {
            assert!(made.iter().copied().eq(0..200));
        }
    }
}

#[test]
fn panics_at_every_step_of_a_builder() {
    let arena = new();
    let witness = Witness::of(&arena);
    for stop in 0..40 {
        let count = std::cell::Cell::new(0);
        let step = || {
            count.set(count.get() + 1);
            if count.get() == stop {
                std::panic::resume_unwind(Box::new("made to"));
            }
            if count.get() % 3 == 0 {
                witness.allocate();
            }
        };
        let _ = catch_unwind(AssertUnwindSafe(|| arena.alloc_iter((0..10).inspect(|_| step())).len()));
        let _ = catch_unwind(AssertUnwindSafe(|| arena.alloc_slice_fill_with(10, |_| step()).len()));
        let shown = fmt::from_fn(|f| {
            step();
            f.write_str("piece")
        });
        let _ = catch_unwind(AssertUnwindSafe(|| {
            arena.alloc_fmt(format_args!("{shown}{shown}{shown}{shown}{shown}{shown}")).len()
        }));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let made: Result<&mut [u64; 4], ()> = arena.alloc_try_with(|| {
                step();
                Err(())
            });
            made.is_ok()
        }));
    }
    witness.check();
}
