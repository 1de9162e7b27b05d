//! Every policy against a model: blocks never overlap, are aligned, keep what was written to them and can be found, the
//! heap's own check passes after every step, and when all is freed there is one free run.

use highwater::heap::{Blocks, Bump, Fit, Heap, Kind, MIN_ALIGN, Stack};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ptr::NonNull;

#[derive(Clone, Debug)]
enum Call {
    Allocate {
        size: usize,
        align: usize,
    },
    /// The block is chosen from those that live: by age, from the oldest or from the newest.
    Free {
        which: usize,
        newest: bool,
    },
    Reallocate {
        which: usize,
        size: usize,
        align: usize,
    },
    Trim(usize),
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1usize..200,
        4 => 1usize..5000,
        2 => 1usize..70_000,
        1 => 1usize..3_000_000,
    ]
}

fn aligns() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(1usize), 6 => Just(16), 3 => (0u32..10).prop_map(|shift| 1 << shift), 1 => (0u32..22).prop_map(|shift| 1 << shift)]
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        6 => (sizes(), aligns()).prop_map(|(size, align)| Call::Allocate { size, align }),
        5 => (any::<usize>(), any::<bool>()).prop_map(|(which, newest)| Call::Free { which, newest }),
        3 => (any::<usize>(), sizes(), aligns())
            .prop_map(|(which, size, align)| Call::Reallocate { which, size, align }),
        1 => (0usize..100_000).prop_map(Call::Trim),
    ];
    prop::collection::vec(call, 1..120)
}

fn kinds() -> impl Strategy<Value = Kind> {
    let margin = prop_oneof![Just(0usize), 0usize..100_000, Just(1 << 20)];
    prop_oneof![
        (any::<bool>(), margin).prop_map(|(best, margin)| {
            Blocks::new().fit(if best { Fit::Best } else { Fit::First }).margin(margin).into()
        }),
        (3u32..13).prop_map(|shift| Stack::new().align(1 << shift).into()),
        (16u32..21, any::<bool>())
            .prop_map(|(shift, fine)| Bump::new().slice(1 << shift).grain(if fine { 8 } else { 16 }).into()),
    ]
}

/// What every block of a kind is aligned to at least.
fn least_align(kind: Kind) -> usize {
    match format!("{kind:?}") {
        text if text.contains("align: 8,") || text.contains("grain: 8,") => 8,
        _ => MIN_ALIGN,
    }
}

/// The blocks that should be there: by address, what was asked for, and the byte they were filled with.
struct Model {
    heap: Heap,
    least_align: usize,
    blocks: BTreeMap<usize, (NonNull<u8>, usize, u8)>,
    ages: Vec<usize>,
    next: u8,
}

impl Model {
    /// A block has come: is it what it should be? Then it is filled, but for the part that `kept` should have.
    fn came(&mut self, block: NonNull<u8>, size: usize, align: usize, kept: Option<(usize, u8)>) {
        let address = block.as_ptr().addr();
        assert!(address.is_multiple_of(align.max(self.least_align)), "{address:#x} for {align}");
        // SAFETY: the block lives.
        let usable = unsafe { self.heap.usable_size(block) }.expect("it lives");
        assert!(usable >= size, "{usable} of {size}");
        if let Some((below, (_, len, _))) = self.blocks.range(..=address).next_back() {
            assert!(below + len <= address, "{address:#x} is in the block at {below:#x}");
        }
        if let Some((above, _)) = self.blocks.range(address..).next() {
            assert!(address + usable <= *above, "{address:#x} reaches into the block at {above:#x}");
        }
        assert!(self.heap.contains(block.as_ptr()));
        if let Some((len, byte)) = kept {
            self.holds(block, len.min(size), byte);
        }
        self.next = self.next.wrapping_add(1);
        // SAFETY: the block is as long, also where it is longer than what was asked for.
        unsafe { block.write_bytes(self.next, usable) };
        self.blocks.insert(address, (block, usable, self.next));
        self.ages.push(address);
    }

    fn holds(&self, block: NonNull<u8>, len: usize, byte: u8) {
        // SAFETY: so many bytes were written there.
        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), len) };
        assert!(bytes.iter().all(|&found| found == byte), "{block:p} does not hold what was written");
    }

    fn choose(&mut self, which: usize, newest: bool) -> Option<(NonNull<u8>, usize, u8)> {
        let len = self.ages.len();
        let age = which.checked_rem(len.min(4))?;
        let address = self.ages.remove(if newest { len - 1 - age } else { age });
        self.blocks.remove(&address)
    }

    fn call(&mut self, call: &Call) {
        match *call {
            Call::Allocate { size, align } => {
                let block = self.heap.allocate(size, align).expect("there is room");
                self.came(block, size, align, None);
            }
            Call::Free { which, newest } => {
                let Some((block, len, byte)) = self.choose(which, newest) else { return };
                self.holds(block, len, byte);
                // SAFETY: nobody uses it.
                unsafe { self.heap.deallocate(block) }.expect("it lives");
            }
            Call::Reallocate { which, size, align } => {
                let Some((block, len, byte)) = self.choose(which, which % 3 == 0) else { return };
                // SAFETY: nobody uses it.
                let moved = unsafe { self.heap.reallocate(block, size, align) }.expect("there is room");
                self.came(moved, size, align, Some((len, byte)));
            }
            Call::Trim(keep) => _ = self.heap.trim(keep),
        }
    }

    fn compare(&self) {
        self.heap.check().expect("nothing was overwritten");
        let stats = self.heap.stats();
        let live: usize = self.blocks.values().map(|(_, len, _)| len).sum();
        assert_eq!((stats.live_blocks, stats.live_bytes), (self.blocks.len(), live));
        assert!(stats.live_bytes + stats.free_bytes <= stats.used.max(1) && stats.peak_live_bytes >= live);
        assert!(stats.used <= stats.region.committed || stats.live_blocks == 0, "{stats:?}");
        assert!(stats.largest_free_run <= stats.free_bytes && stats.free_runs <= stats.free_bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn policies_do_what_the_model_does(kind in kinds(), calls in calls(), fifo: bool) {
        let heap = Heap::builder().reserve(1 << 30).head(0).policy(kind).build();
        let least_align = least_align(kind);
        let mut model = Model { heap, least_align, blocks: BTreeMap::new(), ages: Vec::new(), next: 0 };
        for call in &calls {
            model.call(call);
            model.compare();
        }
        while !model.ages.is_empty() {
            model.call(&Call::Free { which: 0, newest: !fifo });
        }
        model.compare();
        let stats = model.heap.stats();
        match kind {
            Kind::Stack(_) => prop_assert_eq!((stats.used, stats.free_runs), (0, 0)),
            // (None is left where it was given back to the system.)
            _ => prop_assert_eq!(stats.free_runs, usize::from(stats.free_bytes > 0), "{:?}", stats),
        }
        prop_assert_eq!(stats.largest_free_run, stats.free_bytes);
    }
}
