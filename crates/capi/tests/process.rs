//! The library in programs that know nothing of Rust: threads, signals, forks, tools, and a second copy.

mod support;

use std::process::Command;
use support::{
    Compiler, GCC, Link, Program, available, build, compilers, has_faults, run, shared_library, skip,
    succeeds,
};

/// The cases of `process.c`, with every compiler and both kinds of library.
fn cases(cases: &[&str]) {
    for compiler in compilers() {
        for (level, link) in [("-O1", Link::Shared), ("-O2", Link::Static), ("-O3", Link::Shared)] {
            let program = build(compiler, "process.c", link, &[level, "-pthread"]);
            cases.iter().for_each(|case| program.run(case).assert_success());
        }
    }
}

#[test]
fn threads_of_c() {
    cases(&["threads"]);
}

#[test]
fn a_thread_is_not_cancelled_while_it_grows() {
    cases(&["cancelled"]);
}

#[test]
fn forked_children_grow() {
    cases(&["forks"]);
}

#[test]
fn handlers_of_the_program() {
    cases(&["handler before", "handler after", "handler overtaken", "handler in front"]);
}

#[test]
fn a_foreign_fault_is_fatal_as_ever() {
    for compiler in compilers() {
        let program = build(compiler, "process.c", Link::Shared, &["-O2", "-pthread"]);
        program.run("dies of a foreign fault").assert_died(libc::SIGSEGV, "");
    }
}

#[test]
fn the_handler_outlives_dlclose() {
    if !has_faults() {
        return;
    }
    for compiler in compilers() {
        let program = build(compiler, "closed.c", Link::Without, &["-O0", "-ldl"]);
        let mut command = program.case("closed");
        command.env("TEST_LIBRARY", shared_library());
        run(command).assert_success();
    }
}

/// Python's own crash reporter around the library: what it does in `act` after arenas have grown.
fn python(act: &str) -> Option<support::Ended> {
    if !has_faults() {
        return None;
    }
    let script = format!(
        "import ctypes, faulthandler, threading\n\
         library = ctypes.CDLL({:?})\n\
         library.hw_arena_new.restype = library.hw_arena_base.restype = ctypes.c_void_p\n\
         library.hw_arena_base.argtypes = [ctypes.c_void_p]\n\
         library.hw_fault_is_front.restype = ctypes.c_bool\n\
         make = lambda: library.hw_arena_base(library.hw_arena_new(None))\n\
         def grow(base): ctypes.memset(base, 7, 32 << 20)\n\
         {act}",
        shared_library()
    );
    let python = |script: &str| {
        let mut command = Command::new("python3");
        command.args(["-c", script]);
        command
    };
    if !python("import ctypes, faulthandler").output().is_ok_and(|output| output.status.success()) {
        skip("no python3 here");
        return None;
    }
    Some(run(python(&script)))
}

#[test]
fn a_crash_of_python_is_reported_once() {
    const CRASH: &str = "faulthandler.enable(); library.hw_fault_ensure_front(None); grow(make()); print('ready', flush=True)";
    for crash in [
        "ctypes.string_at(0)",
        "thread = threading.Thread(target=lambda: ctypes.string_at(0)); thread.start(); thread.join()",
    ] {
        let Some(ended) = python(&format!("grow(make()); {CRASH}; {crash}")) else { return };
        assert!(ended.stdout.contains("ready"), "{ended:#?}");
        assert_eq!(ended.stderr.matches("Fatal Python error").count(), 1, "{ended:#?}");
        ended.assert_died(libc::SIGSEGV, "");
    }
}

#[test]
fn an_arena_grows_after_pythons_reporter_has_left() {
    // It was there before the library, and restores the default action.
    let before = "faulthandler.enable(); base = make(); grow(base); faulthandler.disable(); \
                  assert not library.hw_fault_is_front(); grow(make()); grow(base + (32 << 20))";
    let after = "base = make(); grow(base); faulthandler.enable(); library.hw_fault_ensure_front(None); \
                 faulthandler.disable(); grow(make()); grow(base + (32 << 20))";
    for act in [before, after] {
        let Some(ended) = python(&format!("{act}; assert library.hw_fault_is_front()")) else { return };
        ended.assert_success();
    }
}

const CHILD: &str = "HIGHWATER_TEST_BESIDE_RUST";
const RUST_FIRST: &str = "HIGHWATER_TEST_RUST_FIRST";

/// The body of [`the_rust_crate_beside_it`], in a process of its own.
#[test]
fn beside_rust() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    type Make = unsafe extern "C" fn(*const u8) -> *mut u8;
    type Base = unsafe extern "C" fn(*const u8) -> *mut u8;
    let path = std::ffi::CString::new(path.into_encoded_bytes()).unwrap();
    // Either may be the first to install its handler.
    let early = std::env::var_os(RUST_FIRST).map(|_| highwater::Arena::new());
    // SAFETY: the library of these very sources; the two functions have these types.
    let (make, base): (Make, Base) = unsafe {
        let library = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null());
        let symbol = |name: &core::ffi::CStr| libc::dlsym(library, name.as_ptr());
        (
            core::mem::transmute::<*mut libc::c_void, Make>(symbol(c"hw_arena_new")),
            core::mem::transmute::<*mut libc::c_void, Base>(symbol(c"hw_arena_base")),
        )
    };
    let arena = early.unwrap_or_default();
    // SAFETY: no options; the memory is the arena's, and with the explicit engine only its head is touched.
    unsafe {
        let memory = base(make(core::ptr::null()));
        for step in 1..64usize {
            let reach = if highwater::engine() == highwater::Engine::Fault { step << 20 } else { step << 9 };
            memory.add(reach).write(step as u8);
            assert!(arena.alloc_slice_fill_copy(1 << 20, step as u8).iter().all(|&byte| byte == step as u8));
            assert_eq!(memory.add(reach).read(), step as u8);
        }
    }
}

#[test]
fn the_rust_crate_beside_it() {
    for rust_first in [true, false] {
        let mut command = Command::new(std::env::current_exe().expect("a test binary has a path"));
        command.args(["beside_rust", "--exact", "--nocapture"]).env(CHILD, shared_library());
        if rust_first {
            command.env(RUST_FIRST, "1");
        }
        let ended = run(command);
        ended.assert_success();
        assert!(ended.stdout.contains("1 passed"), "{ended:#?}");
    }
}

/// Whether valgrind is here; skips otherwise.
fn has_valgrind() -> bool {
    let has = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        skip("no valgrind here");
    }
    has
}

/// A program under one of valgrind's tools, in a directory of its own for what they write.
fn under(tool: &str, program: &Program, case: &str) -> support::Ended {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let inner = program.case(case);
    let mut command = Command::new("valgrind");
    command.args(["-q", &format!("--tool={tool}")]);
    if tool == "memcheck" {
        command.arg("--error-exitcode=5");
    }
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(&directory);
    run(command)
}

/// No tool finds an error, and nothing that is copied is lost.
#[test]
fn under_valgrind() {
    if !available(GCC) || !has_valgrind() {
        return;
    }
    for (source, case) in [("alloc.c", "blocks"), ("alloc.c", "text"), ("process.c", "threads")] {
        let program = build(GCC, source, Link::Shared, &["-O2", "-g", "-pthread"]);
        under("memcheck", &program, case).assert_success();
    }
    let program = build(GCC, "engines.c", Link::Shared, &["-O2", "-g"]);
    for tool in ["none", "memcheck", "callgrind", "massif", "helgrind"] {
        under(tool, &program, "ordinary").assert_success();
    }
}

#[test]
fn under_address_sanitizer() {
    for compiler in compilers() {
        let flags = ["-O1", "-g", "-pthread", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        if !sanitizes(compiler) {
            skip(&format!("no address sanitizer of {} here", compiler.command));
            continue;
        }
        let cases: &[(&str, &[&str])] = &[
            ("alloc.c", &["blocks", "zero", "overflow", "limits", "second stack", "text", "committed"]),
            ("arrays.c", &["pushes", "fallible"]),
            ("options.c", &["versions"]),
            ("process.c", &["threads", "forks"]),
        ];
        for (source, cases) in cases {
            let program = build(compiler, source, Link::Shared, &flags);
            for case in *cases {
                program.run(case).assert_success();
            }
        }
    }
}

/// A block of malloc's that only an arena refers to is no leak, until the arena is freed.
#[test]
fn leak_sanitizer_searches_arenas() {
    for compiler in compilers() {
        if !sanitizes(compiler) {
            skip(&format!("no address sanitizer of {} here", compiler.command));
            continue;
        }
        for link in [Link::Shared, Link::Static] {
            let program = build(compiler, "leaks.c", link, &["-O1", "-g", "-fsanitize=address"]);
            let ended = |case: &str| {
                let mut command = program.case(case);
                command.env("ASAN_OPTIONS", "detect_leaks=1");
                run(command)
            };
            // It stops the process by ptrace, which a container may not allow.
            if !ended("clean").status.success() || !ended("leaky").stderr.contains("123 byte") {
                skip("leaks are not found by an address sanitizer here: not allowed");
                continue;
            }
            for case in ["kept", "paged"] {
                ended(case).assert_success();
            }
            let lost = ended("lost");
            assert!(!lost.status.success() && lost.stderr.contains("100 allocation"), "{lost:#?}");
        }
    }
}

fn sanitizes(compiler: Compiler) -> bool {
    let output = support::fresh("sanitizer");
    let mut command = support::compile_command(compiler, "everything.c");
    command.args(["-fsanitize=address,undefined", "-shared", "-fPIC", "-o"]).arg(&output);
    let works = command.output().is_ok_and(|output| output.status.success());
    let _ = std::fs::remove_file(output);
    works
}

#[test]
fn the_dynamic_section_is_as_promised() {
    let dynamic = succeeds(Command::new("readelf").args(["-d", "-W"]).arg(shared_library()));
    let line = |word: &str| dynamic.lines().find(|line| line.contains(word)).unwrap_or_default();
    let name = format!("[lib{}.so]", support::name(support::is_fault()));
    assert!(line("(SONAME)").contains(&name), "{dynamic}");
    assert!(line("(FLAGS_1)").contains("NODELETE"), "{dynamic}");
}
