//! What the report of a violation says to people, and what goes on around it: hooks, handlers, threads.
#![cfg(target_os = "linux")]

use crate::support;
use highwater::guard::{Violation, ViolationKind, set_hook};
use highwater::{Arena, GuardPolicy, Region, ReportFormat};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use support::Ended;
use support::guards::{reports, to_stderr, touch};
use support::raw::{self};

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("text", text),
    ("text_slack", text_slack),
    ("text_reset", text_reset),
    ("text_rest", text_rest),
    ("hook_all", hook_all),
    ("hook_bad_pointer", hook_bad_pointer),
    ("hook_same_guard", hook_same_guard),
    ("thread", thread),
    ("two_threads", two_threads),
];

type Debug = Arena<8, true>;

pub fn debug(policy: GuardPolicy) -> Debug {
    Arena::builder().name("told").guard(policy).checked().build()
}

/// Touches the first byte past a fresh 24-byte allocation.
pub fn overflow(arena: &Debug) {
    let (block, line) = (arena.alloc([1u64; 3]).as_mut_ptr(), line!());
    let address = block.expose_provenance() + 24;
    let offset = address - arena.region().as_ptr().addr();
    println!("@{line} {offset} {address:#x} {:#x}@", image_start());
    touch(address, true);
}

/// Where the program is loaded.
fn image_start() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let exe = std::env::current_exe().unwrap().display().to_string();
    let first = maps.lines().find(|line| line.ends_with(&exe)).unwrap();
    usize::from_str_radix(first.split('-').next().unwrap(), 16).unwrap()
}

/// The words that a child said about what is going to happen.
fn said(ended: &Ended) -> Vec<&str> {
    let words = ended.stdout.split('@').nth(1).unwrap_or_else(|| panic!("{ended:#?}"));
    words.split(' ').collect()
}

/// The lines of a text that begin with a word, past it.
pub fn detail<'a>(ended: &'a Ended, name: &str) -> &'a str {
    let mut lines = ended.stderr.lines().filter_map(|line| line.strip_prefix("  ")?.strip_prefix(name));
    lines.next().unwrap_or_else(|| panic!("no {name} in {ended:#?}")).trim_start()
}

#[test]
fn the_text_names_everything() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("text");
    ended.assert_signal(libc::SIGSEGV);
    let [line, offset, address, image] = said(&ended)[..] else { panic!("{ended:#?}") };
    let file = file!();
    let first = ended.stderr.lines().next().unwrap();
    let start = format!(
        "highwater: arena \"told\": overflow by 1 byte to the right of a 24-byte allocation ({file}:{line}:"
    );
    assert!(first.starts_with(&start), "{first}");
    assert!(first.ends_with(&format!("; write at {address}, offset {offset}")), "{first}");
    let allocation = detail(&ended, "allocation ");
    let starts = offset.parse::<usize>().unwrap() - 24;
    let figures = format!("#0 of generation 1: 24 bytes at offset {starts}, aligned to 8, ");
    assert!(allocation.starts_with(&figures), "{allocation}");
    assert!(allocation.contains(&format!(" {file}:{line}:")), "{allocation}");
    assert!(!allocation.contains("given up"), "it lives: {allocation}");
    let region = detail(&ended, "region ");
    assert!(region.ends_with("committed 64 KiB, reserved 64 GiB, generation 1"), "{region}");
    assert!(detail(&ended, "thread ").ends_with(" \"child_entry\""), "{ended:#?}");
    // An address, and the same as an offset in this very program.
    let instruction = detail(&ended, "instruction ");
    let (pc, place) = instruction.split_once(" = ").unwrap();
    let (module, module_offset) = place.rsplit_once(" + ").unwrap();
    let exe = std::env::current_exe().unwrap();
    assert!(exe.to_str().unwrap().ends_with(module) && module.len() > 10, "{instruction}");
    let hex = |text: &str| usize::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap();
    assert_eq!(hex(pc) - hex(image), hex(module_offset), "{ended:#?}");
    assert!(detail(&ended, "next ").starts_with("SIGSEGV at this instruction"));
    // And nothing else: one line, then indented ones.
    assert!(ended.stderr.lines().skip(1).all(|line| line.starts_with("  ")), "{ended:#?}");
}

fn text() {
    overflow(&debug(GuardPolicy::default()));
}

#[test]
fn the_text_of_overwritten_slack_says_that_it_was_found_later() {
    if !support::reserves() {
        return;
    }
    let ended = support::child("text_slack");
    ended.assert_signal(libc::SIGABRT);
    let first = ended.stderr.lines().next().unwrap();
    assert!(first.contains("underflow by 2 bytes to the left of a 3-byte allocation (tests/"), "{first}");
    assert!(first.ends_with(", when it was given up") && first.contains("; found at 0x"), "{first}");
    assert_eq!(detail(&ended, "next "), "abort");
    assert!(!ended.stderr.contains("instruction"), "nobody saw the instruction: {ended:#?}");
}

fn text_slack() {
    let mut arena = debug(GuardPolicy::default());
    let block = arena.alloc([1u8; 3]).as_mut_ptr();
    // SAFETY: the byte lies in the allocation's page, which is open.
    unsafe { block.sub(2).write_volatile(9) };
    arena.reset();
}

#[test]
fn the_text_of_a_use_after_reset_names_both_generations() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("text_reset");
    ended.assert_signal(libc::SIGSEGV);
    let first = ended.stderr.lines().next().unwrap();
    assert!(first.contains(": use after reset of byte 4 of a 12-byte allocation (tests/"), "{first}");
    assert!(first.contains("), given up in generation 2; read at 0x"), "{first}");
    let allocation = detail(&ended, "allocation ");
    assert!(allocation.starts_with("#1 of generation 2: "), "{allocation}");
    assert!(allocation.ends_with(", given up in generation 2"), "{allocation}");
    assert!(detail(&ended, "region ").ends_with(", generation 3"), "{ended:#?}");
}

fn text_reset() {
    let mut arena = debug(GuardPolicy::default());
    arena.alloc(1u64);
    arena.reset();
    let block = arena.alloc([7u32; 3]).as_mut_ptr().expose_provenance();
    arena.reset();
    touch(block + 3, false);
}

#[test]
fn the_text_of_every_other_kind_is_one_line_with_its_figures() {
    if !support::has_faults() {
        return;
    }
    for (case, text) in [
        ("unallocated", "touch of memory that no allocation has; read at 0x"),
        ("reach", "beyond the reach: 65537 bytes past the frontier, the reach is 65536 bytes; read at 0x"),
        ("end", "end of reservation: 1 byte past its last one; read at 0x"),
        ("before", "before the head by 1 byte; read at 0x"),
        ("placed", "user's guard at 16384..32768, byte 2 of it; read at 0x"),
    ] {
        let ended = support::child_with("text_rest", |command| {
            command.env("HIGHWATER_TEST_KIND", case);
        });
        ended.assert_signal(libc::SIGSEGV);
        let first = ended.stderr.lines().next().unwrap();
        let of = if case == "unallocated" { "arena" } else { "region" };
        let start = format!("highwater: {of} \"told\": ");
        let rest = first.strip_prefix(&start).unwrap_or_else(|| panic!("{ended:#?}"));
        assert!(rest.starts_with(text), "{case}: {first}");
    }
}

fn text_rest() {
    let case = std::env::var("HIGHWATER_TEST_KIND").unwrap();
    let guard = GuardPolicy::default().reach(0x10000).at(0x4000..0x8000);
    let region = Region::builder().name("told").reserve(1 << 20).guard(guard).build();
    let start = region.as_ptr().expose_provenance();
    match &*case {
        "unallocated" => {
            let arena = debug(GuardPolicy::default());
            touch(arena.region().as_ptr().expose_provenance(), false);
        }
        "reach" => touch(start + region.committed_bytes() + 0x10000, false),
        "end" => touch(start + (1 << 20), false),
        "before" => touch(start - 1, false),
        _ => touch(start + 0x4001, false),
    }
}

#[test]
fn a_hook_sees_everything_the_report_says() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("hook_all");
    assert_eq!(ended.status.code(), Some(7), "{ended:#?}");
    let hooked = reports(&ended.stderr);
    assert_eq!(hooked.len(), 1, "{ended:#?}");
    assert!(ended.stderr.trim_end().ends_with("hook: all of it"), "{ended:#?}");
}

fn hook_all() {
    fn hook(violation: &Violation) {
        let allocation = violation.allocation().unwrap();
        let same = violation.kind() == ViolationKind::Overflow
            && violation.distance() == 1
            && violation.address() == ADDRESS.load(SeqCst)
            && violation.offset() == (allocation.offset + allocation.size) as isize
            && violation.region() > 0
            && violation.name() == "told"
            && (allocation.size, allocation.align, allocation.ordinal) == (24, 8, 0)
            && (allocation.generation, allocation.ended) == (1, None)
            && allocation.caller.file() == file!()
            && violation.generation() == Some(1)
            && violation.thread() > 0
            && violation.thread_name() == "child_entry"
            && violation.program_counter().is_some()
            && violation.image().is_some_and(|(image, _)| image.contains("guards"))
            && violation.guard().is_none();
        to_stderr(if same { "hook: all of it\n" } else { "hook: something differs\n" });
        raw::exit_now(7);
    }
    static ADDRESS: AtomicUsize = AtomicUsize::new(0);
    // SAFETY: the function compares, writes and leaves.
    assert!(unsafe { set_hook(Some(hook)) }.is_none());
    // SAFETY: as above.
    let before = unsafe { set_hook(Some(hook)) };
    assert!(before.is_some_and(|before| std::ptr::fn_addr_eq(before, hook as fn(&Violation))));
    let arena = debug(GuardPolicy::default().report(ReportFormat::Json));
    let block = arena.alloc([1u64; 3]).as_mut_ptr().expose_provenance();
    ADDRESS.store(block + 24, SeqCst);
    touch(block + 24, true);
}

#[test]
fn a_fault_in_the_hook_still_ends_the_process_with_the_report_out() {
    if !support::has_faults() {
        return;
    }
    for case in ["hook_bad_pointer", "hook_same_guard"] {
        let ended = support::child(case);
        ended.assert_signal(libc::SIGSEGV);
        assert!(ended.stderr.starts_with("highwater: arena \"told\": overflow by 1 byte"), "{ended:#?}");
        assert_eq!(ended.stderr.matches("overflow by").count(), 1, "told once: {ended:#?}");
        assert_eq!(ended.stderr.matches("in the hook").count(), 1, "{ended:#?}");
    }
}

fn hook_bad_pointer() {
    // SAFETY: that it faults is the point.
    unsafe {
        set_hook(Some(|_| {
            to_stderr("in the hook\n");
            touch(16, true);
        }))
    };
    overflow(&debug(GuardPolicy::default()));
}

fn hook_same_guard() {
    // SAFETY: that it faults is the point.
    unsafe {
        set_hook(Some(|violation| {
            to_stderr("in the hook\n");
            touch(violation.address() + 1, true);
        }))
    };
    overflow(&debug(GuardPolicy::default()));
}

#[test]
fn a_violation_on_another_thread_names_that_thread() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("thread");
    ended.assert_signal(libc::SIGSEGV);
    let thread = detail(&ended, "thread ");
    let number = ended.stdout.split('#').nth(1).unwrap();
    assert_eq!(thread, format!("{number} \"the second\""));
}

fn thread() {
    let arena = debug(GuardPolicy::default());
    let second = std::thread::Builder::new().name("the second".into()).spawn(move || {
        // SAFETY: gettid has no preconditions.
        println!("#{}#", unsafe { libc::gettid() });
        overflow(&arena);
    });
    second.unwrap().join().unwrap();
}

#[test]
fn threads_that_violate_at_once_each_have_their_whole_lines() {
    if !support::has_faults() {
        return;
    }
    let ended = support::child("two_threads");
    ended.assert_signal(libc::SIGSEGV);
    let reports = reports(&ended.stderr);
    assert!(!reports.is_empty() && reports.len() <= 4, "{ended:#?}");
    assert_eq!(reports.len(), ended.stderr.lines().count(), "no line is torn: {ended:#?}");
}

fn two_threads() {
    let barrier = std::sync::Arc::new(std::sync::Barrier::new(4));
    let threads = [(); 4].map(|()| {
        let (arena, barrier) = (debug(GuardPolicy::default().report(ReportFormat::Json)), barrier.clone());
        std::thread::spawn(move || {
            let block = arena.alloc(1u64) as *mut u64;
            barrier.wait();
            touch(block.expose_provenance() + 8, true);
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
