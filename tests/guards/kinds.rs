//! Every kind of violation under every policy that matters: one child process per row of the table.
#![cfg(target_os = "linux")]

use super::kinds_table::{
    Debug, PLACED, REACH, RESERVE, RESPONSES, Row, Scene, Way, Whose, after, before, rows,
};
use crate::support;
use highwater::{Arena, GuardMechanism, GuardPolicy, OnViolation, Region, ReportFormat, guard};
use serde_json::Value;
use std::alloc::Layout;
use std::ptr::NonNull;
use support::guards::{has_advice, reports, to_stderr, touch};
use support::raw::page;

/// What runs in child processes.
pub const CASES: &[support::Case] = &[("row", run_row)];

const ROW: &str = "HIGHWATER_TEST_ROW";

fn run_row() {
    let number = std::env::var(ROW).unwrap().parse::<usize>().unwrap();
    let row = rows()[number];
    if row.hook {
        // SAFETY: the function only writes.
        unsafe { guard::set_hook(Some(hook)) };
    }
    row.provoke();
}

pub fn hook(violation: &guard::Violation) {
    for part in ["hook ", violation.kind().name(), "\n"] {
        to_stderr(part);
    }
}

impl Row {
    fn policy(&self) -> GuardPolicy {
        let policy = GuardPolicy::default().mechanism(self.mechanism).on_violation(self.response);
        policy.report(self.format).before(before()).after(after())
    }

    fn debug(&self) -> Debug {
        let builder = Arena::builder().min_align::<1>().checked();
        builder.name("row").reserve(RESERVE).guard(self.policy()).build()
    }

    fn provoke(&self) {
        match self.scene {
            Scene::Overflow { size, align } => {
                let arena = self.debug();
                let _neighbour = arena.alloc_slice_fill_copy(10, 1u8);
                let layout = Layout::from_size_align(size, align).unwrap();
                let (block, line) = (arena.alloc_layout(layout), line!());
                let behind = size.next_multiple_of(align) + if self.last { page() - 1 } else { 0 };
                self.touch(&arena, block.addr().get() + behind, line);
            }
            Scene::SlackBehind(way) => self.scribble(way, if self.last { 7 } else { 5 }),
            // The allocation takes the last eight bytes of its page.
            Scene::SlackBefore(way) => self.scribble(way, if self.last { 8 - page() as isize } else { -1 }),
            Scene::UseAfter(way) => {
                let mut arena = self.debug();
                let (block, line) = give_up(&mut arena, way, |_, _| {});
                let address = block.addr().get() + if self.last { SIZE - 1 } else { 0 };
                self.touch(&arena, address, line);
            }
            Scene::Unallocated => {
                let arena = self.debug();
                let offset = if self.last { arena.reserved_bytes() - 1 } else { 0 };
                self.touch(&arena, arena.region().as_ptr().expose_provenance() + offset, 0);
            }
            Scene::BeyondReach => {
                let region =
                    Region::builder().name("row").reserve(RESERVE).guard(self.policy().reach(REACH)).build();
                // What is within is served, to the last byte.
                let (start, frontier) = (region.as_ptr().expose_provenance(), region.committed_bytes());
                if highwater::engine() == highwater::Engine::Fault {
                    touch(start + frontier + REACH - 1, self.write);
                    assert!(region.committed_bytes() >= frontier + REACH);
                }
                let offset = region.committed_bytes() + REACH;
                let offset = if self.last { region.reserved_bytes() - 1 } else { offset };
                println!("@committed {}@", region.committed_bytes());
                self.touch_at(start, start + offset, 0);
            }
            Scene::EndOfReservation(whose) => self.with(whose, None, |start, reserved| {
                self.touch_at(start, start + reserved + if self.last { after() - 1 } else { 0 }, 0);
            }),
            Scene::BeforeHead(whose) => self.with(whose, None, |start, _| {
                self.touch_at(start, start - if self.last { before() } else { 1 }, 0);
            }),
            Scene::Placed(whose, by_builder, at) => self.with(whose, Some((by_builder, at)), |start, _| {
                self.touch_at(start, start + at + if self.last { PLACED - 1 } else { 0 }, 0);
            }),
        }
    }

    /// Makes a region, with a guard in it if that is said, and goes on with its first address and its length.
    fn with(&self, whose: Whose, placed: Option<(bool, usize)>, go: impl FnOnce(usize, usize)) {
        let range = placed.map(|(_, at)| at..at + PLACED);
        let (at_first, later) =
            if placed.is_some_and(|(first, _)| first) { (range, None) } else { (None, range) };
        let policy = at_first.into_iter().fold(self.policy(), GuardPolicy::at);
        macro_rules! go {
            ($builder:expr, $region:expr, $place:expr) => {{
                let mut built = $builder.name("row").guard(policy).build();
                later.into_iter().for_each(|range| $place(&mut built, range).unwrap());
                let region: &Region = $region(&built);
                go(region.as_ptr().expose_provenance(), region.reserved_bytes());
            }};
        }
        // SAFETY: nobody uses the region yet.
        let place = |region: &mut Region, at| unsafe { region.guard_at(at) };
        match whose {
            Whose::Region => go!(Region::builder().reserve(RESERVE), |region| region, place),
            Whose::Arena => go!(Arena::builder().reserve(RESERVE), Arena::region, Arena::guard_at),
            // Of the default reservation, which is taken as it is: others get more, for what has guards.
            Whose::Debug => go!(Arena::builder().min_align::<1>().checked(), Debug::region, Debug::guard_at),
        }
    }

    /// Overwrites a byte beside an allocation, and gives that up.
    fn scribble(&self, way: Way, at: isize) {
        let mut arena = self.debug();
        give_up(&mut arena, way, |block, line| {
            let address = block.as_ptr().expose_provenance().wrapping_add_signed(at);
            println!("@line {line}@");
            touch(address, true);
        });
    }

    fn touch(&self, arena: &Debug, address: usize, line: u32) {
        self.touch_at(arena.region().as_ptr().expose_provenance(), address, line);
    }

    fn touch_at(&self, start: usize, address: usize, line: u32) {
        println!("@offset {}@@line {line}@@address {address:#x}@", address.wrapping_sub(start).cast_signed());
        touch(address, self.write);
    }
}

/// What is given up: a size that is no multiple of the alignment.
const SIZE: usize = 5;

/// Allocates, hands the block out, and gives it up.
fn give_up(arena: &mut Debug, way: Way, meet: impl FnOnce(NonNull<u8>, u32)) -> (NonNull<u8>, u32) {
    let layout = Layout::from_size_align(SIZE, 8).unwrap();
    let given = match way {
        Way::ScopeEnd => {
            let scope = arena.scope();
            let given = (scope.alloc_layout(layout), line!());
            meet(given.0, given.1);
            given
        }
        _ => {
            let checkpoint = arena.checkpoint();
            let given = (arena.alloc_layout(layout), line!());
            meet(given.0, given.1);
            match way {
                // SAFETY: the block is only touched to be caught.
                Way::ResetTo => unsafe { arena.reset_to(checkpoint) },
                #[cfg(feature = "allocator-api2")]
                Way::Free => {
                    use allocator_api2::alloc::Allocator;
                    // SAFETY: as above.
                    unsafe { (&*arena).deallocate(given.0, layout) };
                }
                Way::Drop => {
                    drop(std::mem::replace(arena, Arena::builder().min_align::<1>().checked().build()))
                }
                _ => arena.reset(),
            }
            given
        }
    };
    // For the scope this is what gives it up.
    arena.alloc_slice_fill_copy(3, 1u8);
    given
}

/// What a child said between `@name ` and `@`.
fn said(stdout: &str, name: &str) -> Option<String> {
    let (_, rest) = stdout.split_once(&format!("@{name} "))?;
    Some(rest.split_once('@')?.0.to_owned())
}

/// What a report has to say besides what the child says itself: kind and distance.
fn expected(row: &Row, stdout: &str) -> (&'static str, Option<usize>) {
    let edge = |first, last| Some(if row.last { last } else { first });
    match row.scene {
        Scene::Overflow { size, align } => {
            let pad = size.next_multiple_of(align) - size;
            ("overflow", edge(pad + 1, pad + page()))
        }
        Scene::SlackBehind(_) => ("overflow", edge(1, 3)),
        Scene::SlackBefore(_) => ("underflow", edge(1, page() - 8)),
        Scene::UseAfter(_) => ("use-after-reset", edge(1, SIZE)),
        Scene::Unallocated => ("unallocated", None),
        Scene::BeyondReach => {
            let committed = said(stdout, "committed").unwrap().parse::<usize>().unwrap();
            ("beyond-reach", edge(REACH + 1, RESERVE - committed))
        }
        Scene::EndOfReservation(_) => ("end-of-reservation", edge(1, after())),
        Scene::BeforeHead(_) => ("before-head", edge(1, before())),
        Scene::Placed(..) => ("placed-guard", edge(1, PLACED)),
    }
}

fn check(number: usize, row: &Row) {
    let ended = support::child_with("row", |command| {
        command.env(ROW, number.to_string());
    });
    let found_later = matches!(row.scene, Scene::SlackBehind(_) | Scene::SlackBefore(_));
    let has_faults = highwater::engine() == highwater::Engine::Fault;
    let reports = reports(&ended.stderr);
    let why = format!("row {number}: {row:?}: {ended:#?}");
    let aborts = found_later || (has_faults && row.response == OnViolation::Abort);
    assert_eq!(ended.signal(), Some(if aborts { libc::SIGABRT } else { libc::SIGSEGV }), "{why}");
    let hooks = ended.stderr.lines().filter(|line| line.starts_with("hook ")).collect::<Vec<_>>();
    if !has_faults && !found_later {
        assert_eq!((reports.len(), hooks.len()), (0, 0), "{why}");
        return;
    }
    let (kind, distance) = expected(row, &ended.stdout);
    let wanted = if row.hook { vec![format!("hook {kind}")] } else { Vec::new() };
    assert_eq!(hooks, wanted, "{why}");
    if row.format == ReportFormat::Text {
        // What the text says is another test's business.
        let first = ended.stderr.lines().next().unwrap_or_default();
        let first = first.strip_prefix("highwater: ").unwrap_or_default();
        let of = first.split_once(" \"row\": ").map(|(of, _)| of);
        assert!(matches!(of, Some("arena" | "region")) && reports.is_empty(), "{why}");
        return;
    }
    assert_eq!(reports.len(), 1, "{why}");
    let report = &reports[0];
    assert_eq!(report["kind"], kind, "{why}");
    if let Some(distance) = distance {
        assert_eq!(report["distance"], distance, "{why}");
    }
    let access = if found_later { "unknown" } else { ["read", "write"][usize::from(row.write)] };
    let is_known = cfg!(target_arch = "x86_64") || found_later;
    assert!(report["access"] == access || (!is_known && report["access"] == "unknown"), "{why}");
    assert_eq!(report["arena"]["name"], "row", "{why}");
    if let Some(offset) = said(&ended.stdout, "offset") {
        assert_eq!(report["offset"], offset.parse::<i64>().unwrap(), "{why}");
        assert_eq!(report["address"], said(&ended.stdout, "address").unwrap(), "{why}");
    }
    check_allocation(row, report, &said(&ended.stdout, "line").unwrap(), &why);
    if let Scene::Placed(_, _, at) = row.scene {
        assert_eq!(report["guard"], serde_json::json!({"start": at, "end": at + PLACED}), "{why}");
    }
    if row.hook {
        assert!(ended.stderr.find("\"kind\"") < ended.stderr.find("hook "), "the report comes first: {why}");
    }
}

/// The allocation that the report names, in a checked arena.
fn check_allocation(row: &Row, report: &Value, line: &str, why: &str) {
    let allocation = &report["allocation"];
    let (size, align, ordinal) = match row.scene {
        Scene::Overflow { size, align } => (size, align, 1),
        Scene::SlackBehind(_) | Scene::SlackBefore(_) | Scene::UseAfter(_) => (SIZE, 8, 0),
        _ => return assert!(allocation.is_null(), "{why}"),
    };
    assert_eq!(allocation["size"], size, "{why}");
    assert_eq!(allocation["align"], align, "{why}");
    assert_eq!(allocation["ordinal"], ordinal, "{why}");
    assert_eq!(
        (&allocation["file"], allocation["line"].to_string()),
        (&file!().into(), line.into()),
        "{why}"
    );
    assert_eq!(allocation["generation"], 1, "{why}");
    let [offset, start, distance] =
        [&report["offset"], &allocation["offset"], &report["distance"]].map(|value| value.as_u64().unwrap());
    let measured = match report["kind"].as_str().unwrap() {
        "overflow" => offset + 1 - start - size as u64,
        "underflow" => start - offset,
        _ => offset + 1 - start,
    };
    assert_eq!(measured, distance, "{why}");
    let ended = &allocation["ended"];
    if matches!(row.scene, Scene::UseAfter(_)) {
        assert_eq!(*ended, 1, "{why}");
    } else if matches!(row.scene, Scene::Overflow { .. }) {
        assert!(ended.is_null(), "it lives: {why}");
    }
}

#[test]
fn every_kind_is_reported_under_every_policy() {
    if !support::reserves() {
        return;
    }
    let advice = has_advice();
    if !advice {
        support::skip("the kernel has no MADV_GUARD_INSTALL: rows that force it are left out");
    }
    let rows = rows();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |n| n.get().min(8)) {
            scope.spawn(|| {
                while let Some(row) = {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    rows.get(number).map(|row| (number, row))
                } {
                    if advice || row.1.mechanism != GuardMechanism::Advice {
                        check(row.0, row.1);
                    }
                }
            });
        }
    });
}

/// The table is what it claims to be: no kind is missing, nor any of them with a response, an access, an edge.
#[test]
fn the_table_is_complete() {
    let rows = rows();
    for kind in guard::ViolationKind::ALL {
        let of_kind = rows.iter().filter(|row| expected(row, "@committed 0@").0 == kind.name());
        let seen = |what: &dyn Fn(&Row) -> String| {
            of_kind.clone().map(what).collect::<std::collections::BTreeSet<_>>().len()
        };
        let responses = seen(&|row| format!("{:?}", (row.response, row.format, row.hook)));
        // What is found later was written.
        let accesses = if kind == guard::ViolationKind::Underflow { 2 } else { 4 };
        let touches = seen(&|row| format!("{:?}", (row.last, row.write)));
        assert_eq!((responses, touches), (RESPONSES.len(), accesses), "{kind}");
    }
}
