//! Growth under a filter of system calls that allows what docs/signals.md says it needs, and nothing else.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]

use crate::support;
use highwater::{Arena, Headroom};
use std::ffi::c_long;

/// What a growth calls.
const GROWTH: &[(&str, c_long)] = &[
    ("mprotect", libc::SYS_mprotect),
    ("madvise", libc::SYS_madvise),
    ("gettid", libc::SYS_gettid),
    ("rt_sigreturn", libc::SYS_rt_sigreturn),
];

/// What a look at the memory there is calls besides, and everything that runs on one of our stacks: a look, a report, and
/// any growth where nothing is optimised.
const LOOK: &[(&str, c_long)] = &[
    ("getpid", libc::SYS_getpid),
    ("rt_sigprocmask", libc::SYS_rt_sigprocmask),
    ("sigaltstack", libc::SYS_sigaltstack),
    ("fstat", libc::SYS_fstat),
    ("newfstatat", libc::SYS_newfstatat),
    ("pread64", libc::SYS_pread64),
    ("sysinfo", libc::SYS_sysinfo),
    ("mincore", libc::SYS_mincore),
    ("openat", libc::SYS_openat),
    ("read", libc::SYS_read),
    ("close", libc::SYS_close),
    ("sched_yield", libc::SYS_sched_yield),
    ("nanosleep", libc::SYS_nanosleep),
];

/// What a report of a refusal calls besides, and the end after it.
const REPORT: &[(&str, c_long)] = &[
    ("write", libc::SYS_write),
    ("prctl", libc::SYS_prctl),
    ("prlimit64", libc::SYS_prlimit64),
    ("rt_sigaction", libc::SYS_rt_sigaction),
    ("tgkill", libc::SYS_tgkill),
];

/// What giving memory back calls: trim, and the end of a region.
const GIVING_BACK: &[(&str, c_long)] = &[
    ("mmap", libc::SYS_mmap),
    ("munmap", libc::SYS_munmap),
    ("madvise", libc::SYS_madvise),
    ("prctl", libc::SYS_prctl),
    ("mprotect", libc::SYS_mprotect),
    ("openat", libc::SYS_openat),
    ("read", libc::SYS_read),
    ("close", libc::SYS_close),
];

/// What is called by the test itself when it is over.
const HARNESS: &[(&str, c_long)] = &[("exit_group", libc::SYS_exit_group), ("exit", libc::SYS_exit)];

/// What runs in child processes.
pub const CASES: &[support::Case] = &[
    ("growth", growth),
    ("looks", looks),
    ("refusal", refusal),
    ("giving back", giving_back),
    ("too little", too_little),
];

/// Says which call was not allowed, and ends.
extern "C" fn not_allowed(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // The number follows the address of the call.
    // SAFETY: the kernel passes a siginfo of SIGSYS.
    let number = unsafe { info.cast::<u8>().add(24).cast::<i32>().read() };
    let mut text = *b"seccomp: call number     \n";
    for (place, divisor) in text[21..24].iter_mut().zip([100, 10, 1]) {
        *place = b'0' + (number / divisor % 10) as u8;
    }
    // SAFETY: the bytes are readable; the filter lets this descriptor pass.
    unsafe {
        libc::write(FILTERED_OUT, text.as_ptr().cast(), text.len());
        libc::_exit(3);
    }
}

/// The copy of standard error that may be written to in any case: by its number the filter knows it.
const FILTERED_OUT: i32 = 77;

/// From now on only these calls: any other ends this process and says its number. Skips where there are no filters.
fn allow_only(lists: &[&[(&str, c_long)]]) {
    /// The offset of an argument's lower half in what a filter sees.
    const FIRST_ARGUMENT: u32 = 16;
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump = |k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    };
    let load = |offset: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let answer = |action: u32| statement(libc::BPF_RET | libc::BPF_K, action);
    let mut program = vec![load(0)];
    for (_, number) in lists.iter().copied().flatten().chain(HARNESS) {
        program.push(jump(*number as u32, 0, 1));
        program.push(answer(libc::SECCOMP_RET_ALLOW));
    }
    program.push(jump(libc::SYS_write as u32, 0, 3));
    program.push(load(FIRST_ARGUMENT));
    program.push(jump(FILTERED_OUT as u32, 0, 1));
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program.push(answer(libc::SECCOMP_RET_TRAP));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the structures live through the calls; the handler calls what is async-signal-safe.
    unsafe {
        assert_eq!(libc::dup2(2, FILTERED_OUT), FILTERED_OUT);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = not_allowed as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGSYS, &action, std::ptr::null_mut()), 0);
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) != 0
        {
            support::oom::cannot("system calls cannot be filtered here");
        }
    }
    std::mem::forget(program);
}

/// What is unoptimised runs on one of our stacks.
fn growth_calls() -> Vec<&'static [(&'static str, c_long)]> {
    let on_large_stack: &[&[_]] = if cfg!(debug_assertions) { &[LOOK] } else { &[] };
    [&[GROWTH], on_large_stack].concat()
}

fn end() -> ! {
    // SAFETY: nothing is left to do.
    unsafe { libc::_exit(0) }
}

fn fill(arena: &Arena, bytes: usize) {
    for i in 0..bytes / 4096 {
        arena.alloc([i as u8; 4096]);
    }
}

/// Growth whose memory nobody is asked about.
fn growth() {
    let arena = Arena::builder().reserve(1 << 30).headroom(Headroom::Off).build();
    allow_only(&growth_calls());
    fill(&arena, 100 << 20);
    end()
}

/// Growth with looks, up to the limit of a cgroup, where figures are taken exactly.
fn looks() {
    let arena = Arena::builder().reserve(1 << 30).build();
    allow_only(&[GROWTH, LOOK]);
    // By faults, and then until there is no more.
    fill(&arena, 24 << 20);
    while arena.allocated_bytes() < 80 << 20 && arena.try_alloc([1u8; 4096]).is_ok() {}
    assert!(arena.allocated_bytes() > 32 << 20);
    end()
}

/// A refused growth, its report and the end.
fn refusal() {
    let arena = Arena::builder().reserve(1 << 30).build();
    highwater::oom::set_process_limit(Some(highwater::oom::committed_bytes() + (4 << 20)));
    allow_only(&[GROWTH, LOOK, REPORT]);
    fill(&arena, 8 << 20);
    end()
}

fn giving_back() {
    let mut arena = Arena::builder().reserve(1 << 30).headroom(Headroom::Off).build();
    let other = Arena::builder().reserve(1 << 30).build();
    arena.alloc_slice_fill_copy(20 << 20, 1u8);
    arena.reset();
    allow_only(&[GIVING_BACK]);
    assert!(arena.trim(0) > 0);
    drop(other);
    drop(arena);
    end()
}

/// What the filter is for.
fn too_little() {
    let arena = Arena::builder().reserve(1 << 30).headroom(Headroom::Off).build();
    allow_only(&[&[("mprotect", libc::SYS_mprotect)]]);
    fill(&arena, 8 << 20);
    end()
}

#[track_caller]
fn succeeds(case: &str) {
    if let Some(ended) = support::oom::child(case) {
        ended.assert_success();
    }
}

#[test]
fn growth_needs_four_calls() {
    if support::reserves() {
        succeeds("growth");
    }
}

#[test]
fn growth_with_looks() {
    if support::reserves() {
        succeeds("looks");
    }
}

#[test]
fn growth_with_looks_near_a_limit() {
    let Some(cgroup) = support::cgroup::Cgroup::with_limit(64 << 20) else { return };
    if let Some(ended) = cgroup.run("looks", |_| {}) {
        ended.assert_success();
    }
}

#[test]
fn a_report_and_the_end() {
    if !support::has_faults() {
        return;
    }
    if let Some(ended) = support::oom::child("refusal") {
        ended.assert_signal(libc::SIGABRT);
        assert!(ended.stderr.contains("process limit"), "{ended:#?}");
    }
}

#[test]
fn memory_is_given_back() {
    if support::reserves() {
        succeeds("giving back");
    }
}

#[test]
fn the_filter_filters() {
    if !support::reserves() {
        return;
    }
    if let Some(ended) = support::oom::child("too little") {
        assert!(!ended.status.success() && ended.stderr.contains("seccomp: call number"), "{ended:#?}");
    }
}

/// The table of the documentation has all of them.
#[test]
fn the_documentation_names_the_calls() {
    let page = include_str!("../../docs/signals.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    for (phase, calls) in
        [("growth |", GROWTH), ("a query", LOOK), ("a report of", REPORT), ("giving", GIVING_BACK)]
    {
        let row = rows.iter().find(|row| row.trim_start_matches("| ").starts_with(phase));
        let row = row.unwrap_or_else(|| panic!("no row of {phase}"));
        for (name, _) in calls {
            assert!(row.contains(&format!("`{name}`")), "{name} in {row}");
        }
    }
}
