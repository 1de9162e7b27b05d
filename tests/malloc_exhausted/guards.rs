//! Debug arenas.

use super::{exhaust, needs_none, outcome, support, warm_up};
use highwater::guard::Event;
use highwater::{Arena, DebugArena, GuardMechanism, GuardPolicy};

pub fn checked() -> impl Iterator<Item = GuardPolicy> {
    [GuardMechanism::Auto, GuardMechanism::Protect]
        .into_iter()
        .map(|way| GuardPolicy::default().mechanism(way))
}

#[test]
fn debug_arenas() {
    warm_up();
    exhaust("checked", || outcome(Arena::builder().checked().try_build()));
    let sink = |event: &Event<'_>| assert!(!event.arena.is_empty());
    exhaust("logged", || outcome(Arena::builder().name("logged").checked().log_to(sink).try_build()));
    let captured = [1u64; 100];
    exhaust("logged to a large sink", || {
        let sink = move |event: &Event<'_>| assert!(event.region > captured.len() as u64 - 100);
        outcome(Arena::builder().checked().log_to(sink).try_build())
    });
    if !support::reserves() {
        return; // (where it is an ordinary arena, whose memory is the allocator's)
    }
    for guard in checked() {
        let mut arena: DebugArena = Arena::builder().guard(guard.generations(3)).checked().build();
        // Everything that it does after it was made, also what gives back and must not fail.
        needs_none("a checked arena's life", || {
            for round in 0..20 {
                let kept = arena.try_alloc(round).unwrap();
                let words = arena.try_alloc_slice_fill_with(2000, |i| i as u64).unwrap();
                assert_eq!((*kept, words[1999]), (round, 1999));
                let mut scope = arena.scope();
                for n in 0..50 {
                    scope.try_alloc([n; 100]).unwrap();
                }
                scope.scope().try_alloc_iter((0..100).filter(|n| n % 2 == 0)).unwrap();
                arena.reset();
            }
            let page = support::raw::page();
            let at = arena.region().committed_bytes().next_multiple_of(page) + 16 * page;
            arena.guard_at(at..at + page).unwrap();
            arena.trim(0);
            drop(arena);
        });
    }
}

#[cfg(feature = "allocator-api2")]
#[test]
fn blocks_of_a_debug_arena() {
    warm_up();
    use allocator_api2::alloc::Allocator;
    for guard in checked() {
        let arena: DebugArena = Arena::builder().guard(guard).checked().build();
        let layout = |size| std::alloc::Layout::from_size_align(size, 8).unwrap();
        needs_none("blocks that come and go in any order", || {
            let mut blocks = [None; 64];
            for n in 0..2000usize {
                let place = n * 37 % blocks.len();
                let size = 1 + n * 131 % 9000;
                match blocks[place].take() {
                    Some((block, size)) if n % 3 == 0 => {
                        // SAFETY: a block of that layout, which is not used any more; here and below.
                        let smaller = unsafe { (&arena).shrink(block, layout(size), layout(size / 2 + 1)) };
                        blocks[place] = smaller.ok().map(|block| (block.cast(), size / 2 + 1));
                    }
                    // SAFETY: as above.
                    Some((block, size)) => unsafe { (&arena).deallocate(block, layout(size)) },
                    None => blocks[place] = Some(((&arena).allocate(layout(size)).unwrap().cast(), size)),
                }
            }
        });
    }
}
