//! Sequences of calls: blocks do not overlap, are aligned, and keep their contents.

#![no_main]

use highwater::{Arena, Growth, Scope};
use libfuzzer_sys::fuzz_target;
use std::alloc::Layout;

#[derive(arbitrary::Arbitrary, Debug)]
enum Call {
    Bytes(u16),
    Layout { size: u16, align: u8 },
    Try { size: usize, align: u8 },
    Iter(u8),
    Format(u32),
    Commit(u16),
    Limit(Option<u32>),
    Nested(Vec<Call>),
    Reset,
    Trim(u32),
}

#[derive(Default)]
struct Model<'a> {
    live: Vec<(&'a mut [u8], u8)>,
}

impl<'a> Model<'a> {
    fn add(&mut self, block: &'a mut [u8]) {
        let tag = self.live.len() as u8 ^ 0x5a;
        block.fill(tag);
        self.live.push((block, tag));
    }

    fn verify(&self) {
        for (block, tag) in &self.live {
            assert!(block.iter().all(|byte| byte == tag), "a block was overwritten");
        }
    }
}

fn run(scope: &mut Scope<'_>, calls: &[Call], depth: usize) {
    let before = scope.allocated_bytes();
    for calls in calls.chunks(16) {
        let mut inner = scope.scope();
        let mut model = Model::default();
        for call in calls {
            match call {
                Call::Bytes(size) => model.add(inner.alloc_slice_fill_copy(usize::from(*size), 0)),
                Call::Layout { size, align } => {
                    let layout = Layout::from_size_align(usize::from(*size), 1 << (align % 14)).unwrap();
                    let block = inner.alloc_layout(layout);
                    assert_eq!(block.addr().get() % layout.align(), 0);
                    // SAFETY: fresh memory of this length, alive as long as the scope is borrowed.
                    model.add(unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), layout.size()) });
                }
                Call::Try { size, align } => {
                    if let Ok(layout) = Layout::from_size_align(*size, 1 << (align % 60)) {
                        let used = inner.allocated_bytes();
                        if inner.try_alloc_layout(layout).is_err() {
                            assert_eq!(inner.allocated_bytes(), used);
                        }
                    }
                }
                Call::Iter(len) => model.add(inner.alloc_iter((0..*len).filter(|n| n % 3 != 0))),
                // SAFETY: overwritten with other bytes below, and never read as text again.
                Call::Format(n) => {
                    model.add(unsafe { inner.alloc_fmt(format_args!("{n}-{n:x}")).as_bytes_mut() })
                }
                Call::Commit(size) => drop(inner.commit_ahead(usize::from(*size))),
                Call::Nested(calls) if depth < 4 => run(&mut inner.scope(), calls, depth + 1),
                _ => {}
            }
        }
        model.verify();
    }
    assert_eq!(scope.allocated_bytes(), before);
}

fuzz_target!(|calls: Vec<Call>| {
    let mut arena = Arena::builder().reserve(1 << 30).growth(Growth::Fixed(4096)).head(4096).build();
    for calls in calls.chunks(32) {
        run(&mut arena.scope(), calls, 0);
        for call in calls {
            match call {
                Call::Reset => arena.reset(),
                Call::Trim(keep) => drop(arena.trim(*keep as usize)),
                Call::Limit(limit) => {
                    // A limit that the calls of a round fit: refusals are what `Try` is for.
                    let limit = limit.map(|bytes| (64 << 20) + bytes as usize);
                    arena.set_allocation_limit(limit);
                }
                _ => {}
            }
        }
    }
});
