//! Before and after the program: the dynamic loader, constructors, libraries that come later, and other allocators.

mod support;

use std::path::Path;
use support::{POLICIES, SETTINGS, build, build_library, has, here, library, run};

#[test]
fn before_any_constructor() {
    if here() {
        let program = build("constructors.c");
        for setting in ["glibc"].iter().chain(SETTINGS) {
            assert_eq!(program.run(setting, [""; 0]).assert_quiet().stdout, "alone\n");
        }
    }
}

/// A library whose constructor runs before ours, or after it, and whose destructor runs after ours, or before it.
#[test]
fn beside_another_preloaded_library() {
    if !here() {
        return;
    }
    let (program, early) = (build("constructors.c"), build_library("early.c"));
    for setting in ["default"].iter().chain(POLICIES) {
        for ours_first in [true, false] {
            let mut libraries = [library(), &early.path];
            if !ours_first {
                libraries.reverse();
            }
            let mut command = program.command(setting, [""; 0]);
            command.env("LD_PRELOAD", libraries.map(|path| path.to_str().unwrap()).join(":"));
            assert_eq!(run(command).assert_quiet().stdout, "with the library\n");
        }
    }
}

/// Every symbol is looked up at once, or at its first use.
#[test]
fn bound_at_once() {
    if !here() {
        return;
    }
    for setting in POLICIES {
        let mut command = build("constructors.c").command(setting, [""; 0]);
        command.env("LD_BIND_NOW", "1");
        run(command).assert_quiet();
    }
}

#[test]
fn many_libraries_with_thread_locals() {
    if !here() {
        return;
    }
    let (program, template) = (build("loading.c"), build_library("tls_library.c"));
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    for number in 0..40 {
        let copy = directory.path().join(format!("tls-{number}.so"));
        std::fs::copy(&template.path, copy).expect("the library can be copied");
    }
    for setting in ["glibc", "default", "general HIGHWATER_HARDENED=1"].iter().chain(POLICIES) {
        let mut command = program.command(setting, [""; 0]);
        command.env("TEST_DIRECTORY", directory.path());
        assert_eq!(run(command).assert_quiet().stdout, "loaded\n");
    }
}

fn deepbind(settings: &[&'static str], plugin: &Path) {
    for setting in settings {
        let mut command = build("deepbind.c").command(setting, [""; 0]);
        command.env("TEST_PLUGIN", plugin);
        assert_eq!(run(command).assert_quiet().stdout, "forwarded\n");
    }
}

#[test]
fn blocks_of_another_allocator() {
    if here() {
        let plugin = build_library("plugin.c");
        deepbind(&["glibc", "default", "general:checked", "stack", "bump", "blocks"], &plugin.path);
    }
}

#[test]
fn objects_of_cpp_that_end_with_their_thread() {
    if here() && has("g++") {
        for setting in ["glibc"].iter().chain(SETTINGS) {
            let ended = build("thread_local.cpp").run(setting, [""; 0]);
            assert_eq!(ended.assert_quiet().stdout, "thrown 0\n");
        }
    }
}
