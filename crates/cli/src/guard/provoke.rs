//! The child: makes an arena, tells how it is laid out, and touches what it must not touch.

use std::{
    alloc::Layout as Block,
    hint::black_box,
    io::{self, Write as _},
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use highwater::{
    Arena, GuardMechanism, GuardPolicy, OnViolation, ReportFormat,
    guard::{Event, Kind, What, set_hook},
};
use nix::sys::resource::{Resource, setrlimit};

use super::{
    args::Mechanism,
    kinds,
    layout::{Layout, Nature, signed},
    plan::{Plan, REACH, Response, Touched, page_size},
    told,
};
use crate::failure::Failure;

/// Provokes it. Who comes back from here has met no guard.
pub fn provoke(plan: &Plan, json: bool) -> Result<ExitCode, Failure> {
    // A core dump of what is expected is of use to nobody, and a fault that is served for ever has an end.
    for (resource, most) in [(Resource::RLIMIT_CORE, 0), (Resource::RLIMIT_CPU, 60)] {
        // Less may be allowed already.
        let _ = setrlimit(resource, most, most);
    }
    // SAFETY: the function formats on the stack and writes to a descriptor.
    unsafe { set_hook(Some(told::tell)) };
    let kind = kinds::named(&plan.kind)
        .ok_or_else(|| Failure::asked(format!("{:?} is no kind of violation", plan.kind)))?;
    match kind {
        Kind::Overflow | Kind::Underflow | Kind::UseAfterReset | Kind::Unallocated => {
            checked(kind, plan, json)
        }
        Kind::BeyondReach | Kind::EndOfReservation | Kind::BeforeHead | Kind::PlacedGuard => {
            plain(kind, plan, json)
        }
        _ => Err(Failure::asked(format!("{kind} cannot be provoked by this command"))),
    }
}

/// The guards' pages before the head and behind the end, with room for the byte.
fn guard_bytes(plan: &Plan) -> usize {
    plan.by.next_multiple_of(page_size())
}

fn policy(plan: &Plan, json: bool) -> GuardPolicy {
    GuardPolicy::default()
        .before(guard_bytes(plan))
        .after(guard_bytes(plan))
        .mechanism(match plan.mechanism {
            Mechanism::Auto => GuardMechanism::Auto,
            Mechanism::Advice => GuardMechanism::Advice,
            Mechanism::Protect => GuardMechanism::Protect,
        })
        .on_violation(match plan.on_violation {
            Response::Die => OnViolation::Die,
            Response::Abort => OnViolation::Abort,
        })
        .report(if json { ReportFormat::Json } else { ReportFormat::Text })
}

/// In an arena as any: what every region guards.
fn plain(kind: Kind, plan: &Plan, json: bool) -> Result<ExitCode, Failure> {
    let page = page_size();
    let placed = 2 * page..(2 * page + guard_bytes(plan).max(2 * page));
    let policy = policy(plan, json);
    let policy = if kind == Kind::BeyondReach { policy.reach(REACH) } else { policy };
    let mut arena = Arena::builder()
        .name("example")
        .head(placed.end + 2 * page)
        .reserve(placed.end + 2 * REACH + plan.by)
        .guard(policy)
        .try_build()
        .map_err(Failure::during)?;
    if kind == Kind::PlacedGuard {
        arena.guard_at(placed.clone()).map_err(Failure::during)?;
    }
    let block = block(100, 1)?;
    // The first of an arena begins where its region does.
    let base = arena.try_alloc_layout(block).map_err(Failure::during)?;
    let (frontier, reserved) = (arena.committed_bytes(), arena.stats().reserved);

    let mut layout = Layout::new(base.addr().get(), guard_bytes(plan));
    layout.up_to(block.size(), "allocation", Nature::Open);
    if kind == Kind::PlacedGuard {
        layout.up_to(placed.start, "committed", Nature::Open);
        layout.up_to(placed.end, "guard that was placed", Nature::Guard);
    }
    layout.up_to(frontier, "committed", Nature::Open);
    if kind == Kind::BeyondReach {
        layout.up_to(frontier + REACH, "tail within the reach", Nature::Grows);
        layout.mark(frontier + REACH, "end of the reach");
        layout.up_to(reserved, "tail beyond the reach", Nature::Closed);
    }
    layout.up_to(reserved, "tail", Nature::Grows);
    end(&mut layout, frontier, reserved, plan);
    let by = signed(plan.by);
    layout.touched = match kind {
        Kind::BeforeHead => -by,
        Kind::BeyondReach => signed(frontier + REACH) + by - 1,
        Kind::PlacedGuard => signed(placed.start) + by - 1,
        _ => signed(reserved) + by - 1,
    };
    touch(&layout, base.as_ptr(), plan.access)?;
    Ok(ExitCode::SUCCESS)
}

/// An allocation, as the arena told of it.
#[derive(Clone, Copy)]
struct Made {
    offset: usize,
    size: usize,
    ordinal: u64,
    generation: u32,
}

impl Made {
    fn end(&self) -> usize {
        self.offset + self.size
    }
}

/// What a checked arena has told so far.
#[derive(Default)]
struct Seen {
    base: usize,
    frontier: usize,
    made: Vec<Made>,
}

impl Seen {
    fn hear(&mut self, event: &Event<'_>) {
        (self.base, self.frontier) = (event.start, event.end.wrapping_sub(event.start));
        if let What::Allocated { address, size, ordinal, .. } = event.what {
            let offset = address.wrapping_sub(event.start);
            self.made.push(Made { offset, size, ordinal, generation: event.generation });
        }
    }
}

/// In a checked arena: what is known of each allocation.
fn checked(kind: Kind, plan: &Plan, json: bool) -> Result<ExitCode, Failure> {
    let block = block(plan.size.unwrap_or(100), plan.align.unwrap_or(1))?;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let hears = Arc::clone(&seen);
    let mut arena = Arena::builder()
        .name("example")
        .guard(policy(plan, json))
        .min_align::<1>()
        .checked()
        .log_to(move |event| lock(&hears).hear(event))
        .try_build()
        .map_err(Failure::during)?;
    let first = arena.try_alloc_layout(block).map_err(Failure::during)?;
    // Behind a live allocation every touch is an overflow of it, however far; so there must be none.
    if matches!(kind, Kind::UseAfterReset | Kind::Unallocated) {
        arena.reset();
    }
    if kind == Kind::UseAfterReset {
        // It goes on at fresh addresses.
        arena.try_alloc_layout(block).map_err(Failure::during)?;
    }
    let (page, reserved) = (page_size(), arena.stats().reserved);
    let (base, frontier, made) = {
        let seen = lock(&seen);
        (seen.base, seen.frontier, seen.made.clone())
    };
    let mut layout = Layout::new(base, guard_bytes(plan));
    for one in &made {
        let gone = one.ordinal == 0 && matches!(kind, Kind::UseAfterReset | Kind::Unallocated);
        show(&mut layout, one, gone, page);
    }
    layout.up_to(frontier, "committed, closed", Nature::Closed);
    layout.up_to(reserved, "reserved, closed", Nature::Closed);
    end(&mut layout, frontier, reserved, plan);
    let one = made.first().ok_or_else(|| Failure::during("the arena told of no allocation"))?;
    let (start, by) = (signed(one.offset), signed(plan.by));
    layout.touched = match kind {
        Kind::Overflow => signed(one.end()) + by - 1,
        Kind::Underflow => start - by,
        Kind::UseAfterReset => start + by - 1,
        _ => signed(one.end().next_multiple_of(page) + page) + by - 1,
    };
    let base = first.as_ptr().wrapping_sub(one.offset);
    touch(&layout, base, plan.access)?;
    // What was overwritten and is no guard is found here.
    arena.reset();
    Ok(ExitCode::SUCCESS)
}

/// An allocation's pages and its guard, live or given up.
fn show(layout: &mut Layout, one: &Made, gone: bool, page: usize) {
    let (inside, guard, state) = if gone {
        (Nature::Closed, Nature::Closed, ", given up".to_owned())
    } else {
        (Nature::Open, Nature::Guard, String::new())
    };
    let generation = if gone { String::new() } else { format!(", generation {}", one.generation) };
    let behind = one.end().next_multiple_of(page);
    layout.up_to(one.offset / page * page, "closed", Nature::Closed);
    layout.up_to(one.offset, format!("pattern before{state}"), inside);
    layout.up_to(one.end(), format!("allocation #{}{generation}{state}", one.ordinal), inside);
    layout.up_to(behind, format!("pattern behind{state}"), inside);
    layout.up_to(behind + page, format!("guard{state}"), guard);
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn block(size: usize, align: usize) -> Result<Block, Failure> {
    Block::from_size_align(size, align).map_err(Failure::asked)
}

fn end(layout: &mut Layout, frontier: usize, reserved: usize, plan: &Plan) {
    (layout.frontier, layout.reserved) = (signed(frontier), signed(reserved));
    layout.mark(frontier, "frontier");
    layout.mark(reserved, "end of the reservation");
    layout.up_to(reserved + guard_bytes(plan), "guard behind the end", Nature::Guard);
}

/// Tells the layout on stdout, then touches the byte.
fn touch(layout: &Layout, base: *mut u8, access: Touched) -> Result<(), Failure> {
    let cannot = |error| Failure::during(format!("cannot tell the layout: {error}"));
    let text = serde_json::to_string(layout).map_err(Failure::during)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(cannot)?;
    drop(stdout);
    let at = isize::try_from(layout.touched).map_err(Failure::during)?;
    let byte = base.wrapping_offset(at);
    // SAFETY: the byte is of this arena's address space: inaccessible, so that the access ends this process, or
    // filled with a pattern that nobody refers to.
    unsafe {
        match access {
            Touched::Read => _ = black_box(byte.read_volatile()),
            Touched::Write => byte.write_volatile(1),
        }
    }
    Ok(())
}
