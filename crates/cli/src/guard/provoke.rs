//! The child: makes an arena, prints its layout, and touches a byte that must not be touched.

use std::{
    alloc::Layout as Block,
    hint::black_box,
    io::{self, Write as _},
    process::ExitCode,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use highwater::{
    Arena, GuardMechanism, GuardPolicy, OnViolation, ReportFormat,
    guard::{Event, EventKind, ViolationKind, set_hook},
};
use nix::sys::resource::{Resource, setrlimit};

use super::{
    hook, kinds,
    layout::{Accessibility, Layout, signed},
    plan::{AccessKind, GuardPlan, Mechanism, REACH, ViolationResponse},
};
use crate::{failure::Failure, machine::page_size};

/// Provokes the violation. If this returns, no guard was touched.
pub fn provoke(plan: &GuardPlan, json: bool) -> Result<ExitCode, Failure> {
    // An expected crash needs no core dump, and the CPU limit ends a fault that is served in an endless loop.
    for (resource, limit) in [(Resource::RLIMIT_CORE, 0), (Resource::RLIMIT_CPU, 60)] {
        // The limit may be lower already.
        let _ = setrlimit(resource, limit, limit);
    }
    // SAFETY: the hook formats into a buffer on its stack and calls write, which is async-signal-safe.
    unsafe { set_hook(Some(hook::write_line)) };
    let kind = kinds::named(&plan.kind)
        .ok_or_else(|| Failure::refused(format!("{:?} is no kind of violation", plan.kind)))?;
    match kind {
        ViolationKind::Overflow
        | ViolationKind::Underflow
        | ViolationKind::UseAfterReset
        | ViolationKind::Unallocated => checked(kind, plan, json),
        ViolationKind::BeyondReach
        | ViolationKind::EndOfReservation
        | ViolationKind::BeforeHead
        | ViolationKind::PlacedGuard => plain(kind, plan, json),
        _ => Err(Failure::refused(format!("{kind} cannot be provoked by this command"))),
    }
}

/// The size of the guards before the head and after the end, which must contain the byte.
fn guard_bytes(plan: &GuardPlan) -> usize {
    plan.by.next_multiple_of(page_size())
}

fn policy(plan: &GuardPlan, json: bool) -> GuardPolicy {
    GuardPolicy::default()
        .before(guard_bytes(plan))
        .after(guard_bytes(plan))
        .mechanism(match plan.mechanism {
            Mechanism::Auto => GuardMechanism::Auto,
            Mechanism::Advice => GuardMechanism::Advice,
            Mechanism::Protect => GuardMechanism::Protect,
        })
        .on_violation(match plan.on_violation {
            ViolationResponse::Die => OnViolation::Die,
            ViolationResponse::Abort => OnViolation::Abort,
        })
        .report(if json { ReportFormat::Json } else { ReportFormat::Text })
}

/// A violation in an ordinary arena: of the guards every region has.
fn plain(kind: ViolationKind, plan: &GuardPlan, json: bool) -> Result<ExitCode, Failure> {
    let page = page_size();
    let placed = 2 * page..(2 * page + guard_bytes(plan).max(2 * page));
    let policy = policy(plan, json);
    let policy = if kind == ViolationKind::BeyondReach { policy.reach(REACH) } else { policy };
    let mut arena = Arena::builder()
        .name("example")
        .head(placed.end + 2 * page)
        .reserve(placed.end + 2 * REACH + plan.by)
        .guard(policy)
        .try_build()
        .map_err(Failure::runtime)?;
    if kind == ViolationKind::PlacedGuard {
        arena.guard_at(placed.clone()).map_err(Failure::runtime)?;
    }
    let block = block(100, 1)?;
    // The first allocation of an arena starts where its region does.
    let base = arena.try_alloc_layout(block).map_err(Failure::runtime)?;
    let (frontier, reserved) = (arena.committed_bytes(), arena.stats().reserved);

    let mut layout = Layout::new(base.addr().get(), guard_bytes(plan));
    layout.up_to(block.size(), "allocation", Accessibility::Accessible);
    if kind == ViolationKind::PlacedGuard {
        layout.up_to(placed.start, "committed", Accessibility::Accessible);
        layout.up_to(placed.end, "guard set by the user", Accessibility::Guard);
    }
    layout.up_to(frontier, "committed", Accessibility::Accessible);
    if kind == ViolationKind::BeyondReach {
        layout.up_to(frontier + REACH, "tail within the reach", Accessibility::Grows);
        layout.mark(frontier + REACH, "end of the reach");
        layout.up_to(reserved, "tail beyond the reach", Accessibility::Inaccessible);
    }
    layout.up_to(reserved, "tail", Accessibility::Grows);
    add_end(&mut layout, frontier, reserved, plan);
    let by = signed(plan.by);
    layout.touched = match kind {
        ViolationKind::BeforeHead => -by,
        ViolationKind::BeyondReach => signed(frontier + REACH) + by - 1,
        ViolationKind::PlacedGuard => signed(placed.start) + by - 1,
        _ => signed(reserved) + by - 1,
    };
    touch(&layout, base.as_ptr(), plan.access)?;
    Ok(ExitCode::SUCCESS)
}

/// An allocation, as the arena logged it.
#[derive(Clone, Copy)]
struct LoggedBlock {
    offset: usize,
    size: usize,
    ordinal: u64,
    generation: u32,
}

impl LoggedBlock {
    fn end(&self) -> usize {
        self.offset + self.size
    }
}

/// What a checked arena has logged so far.
#[derive(Default)]
struct ArenaLog {
    base: usize,
    frontier: usize,
    blocks: Vec<LoggedBlock>,
}

impl ArenaLog {
    fn record(&mut self, event: &Event<'_>) {
        (self.base, self.frontier) = (event.start, event.end.wrapping_sub(event.start));
        if let EventKind::Allocated { address, size, ordinal, .. } = event.what {
            let offset = address.wrapping_sub(event.start);
            self.blocks.push(LoggedBlock { offset, size, ordinal, generation: event.generation });
        }
    }
}

/// A violation in a checked arena, which records every allocation.
fn checked(kind: ViolationKind, plan: &GuardPlan, json: bool) -> Result<ExitCode, Failure> {
    let block = block(plan.size.unwrap_or(100), plan.align.unwrap_or(1))?;
    let log = Arc::new(Mutex::new(ArenaLog::default()));
    let writer = Arc::clone(&log);
    let mut arena = Arena::builder()
        .name("example")
        .guard(policy(plan, json))
        .min_align::<1>()
        .checked()
        .log_to(move |event| lock(&writer).record(event))
        .try_build()
        .map_err(Failure::runtime)?;
    let first = arena.try_alloc_layout(block).map_err(Failure::runtime)?;
    // Every touch after a live allocation is an overflow of it, at any distance; so there must be nblock.
    if matches!(kind, ViolationKind::UseAfterReset | ViolationKind::Unallocated) {
        arena.reset();
    }
    if kind == ViolationKind::UseAfterReset {
        // The next allocation is at a new address.
        arena.try_alloc_layout(block).map_err(Failure::runtime)?;
    }
    let (page, reserved) = (page_size(), arena.stats().reserved);
    let (base, frontier, blocks) = {
        let log = lock(&log);
        (log.base, log.frontier, log.blocks.clone())
    };
    let mut layout = Layout::new(base, guard_bytes(plan));
    for logged in &blocks {
        let freed =
            logged.ordinal == 0 && matches!(kind, ViolationKind::UseAfterReset | ViolationKind::Unallocated);
        add_block(&mut layout, logged, freed, page);
    }
    layout.up_to(frontier, "committed, inaccessible", Accessibility::Inaccessible);
    layout.up_to(reserved, "reserved, inaccessible", Accessibility::Inaccessible);
    add_end(&mut layout, frontier, reserved, plan);
    let first_block = blocks.first().ok_or_else(|| Failure::runtime("the arena logged no allocation"))?;
    let (start, by) = (signed(first_block.offset), signed(plan.by));
    layout.touched = match kind {
        ViolationKind::Overflow => signed(first_block.end()) + by - 1,
        ViolationKind::Underflow => start - by,
        ViolationKind::UseAfterReset => start + by - 1,
        _ => signed(first_block.end().next_multiple_of(page) + page) + by - 1,
    };
    let base = first.as_ptr().wrapping_sub(first_block.offset);
    touch(&layout, base, plan.access)?;
    // An overwritten pattern is detected here.
    arena.reset();
    Ok(ExitCode::SUCCESS)
}

/// Adds an allocation's pages and its guard to the layout, live or freed.
fn add_block(layout: &mut Layout, block: &LoggedBlock, freed: bool, page: usize) {
    let (inside, guard, state) = if freed {
        (Accessibility::Inaccessible, Accessibility::Inaccessible, ", freed".to_owned())
    } else {
        (Accessibility::Accessible, Accessibility::Guard, String::new())
    };
    let generation = if freed { String::new() } else { format!(", generation {}", block.generation) };
    let behind = block.end().next_multiple_of(page);
    layout.up_to(block.offset / page * page, "inaccessible", Accessibility::Inaccessible);
    layout.up_to(block.offset, format!("pattern before{state}"), inside);
    layout.up_to(block.end(), format!("allocation #{}{generation}{state}", block.ordinal), inside);
    layout.up_to(behind, format!("pattern after{state}"), inside);
    layout.up_to(behind + page, format!("guard{state}"), guard);
}

fn lock(log: &Mutex<ArenaLog>) -> MutexGuard<'_, ArenaLog> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn block(size: usize, align: usize) -> Result<Block, Failure> {
    Block::from_size_align(size, align).map_err(Failure::refused)
}

fn add_end(layout: &mut Layout, frontier: usize, reserved: usize, plan: &GuardPlan) {
    (layout.frontier, layout.reserved) = (signed(frontier), signed(reserved));
    layout.mark(frontier, "frontier");
    layout.mark(reserved, "end of the reservation");
    layout.up_to(reserved + guard_bytes(plan), "guard after the end", Accessibility::Guard);
}

/// Prints the layout on stdout, then touches the byte.
fn touch(layout: &Layout, base: *mut u8, access: AccessKind) -> Result<(), Failure> {
    let cannot = |error| Failure::runtime(format!("cannot print the layout: {error}"));
    let text = serde_json::to_string(layout).map_err(Failure::runtime)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(cannot)?;
    drop(stdout);
    let offset = isize::try_from(layout.touched).map_err(Failure::runtime)?;
    let byte = base.wrapping_offset(offset);
    // SAFETY: the byte is in this arena's reservation: either inaccessible, so that the access ends this process, or part
    // of a pattern that no reference points to.
    unsafe {
        match access {
            AccessKind::Read => _ = black_box(byte.read_volatile()),
            AccessKind::Write => byte.write_volatile(1),
        }
    }
    Ok(())
}
