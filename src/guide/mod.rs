//! The guide: the pages of `docs/`, each with its examples as tests.
//!
//! This module exists in the documentation only.

/// Defines a module for each page. `links.md` comes first: of two definitions of a link Markdown takes the first one, so here
/// the links of a page lead to items and modules, and in the repository to files.
macro_rules! pages {
    ($($page:ident = $file:literal: $what:literal;)+) => {$(
        #[doc = $what]
        #[doc = ""]
        #[doc = include_str!("links.md")]
        #[doc = include_str!(concat!("../../docs/", $file))]
        pub mod $page {}
    )+};
}

pages! {
    arenas = "arenas.md": "Arenas, scopes, frames, pools, and their policies.";
    containers = "containers.md": "Which container to take when.";
    heap = "heap.md": "Blocks that are freed one by one.";
    malloc = "malloc.md": "The heap under programs that exist.";
    out_of_memory = "out-of-memory.md": "Refusals: causes, headroom, responses, injection.";
    guards = "guards.md": "Guards, and arenas that check every allocation.";
    signals = "signals.md": "Other signal handlers, threads, forks, system call filters.";
    debugging = "debugging.md": "Debuggers, valgrind, backtraces, core dumps.";
    c = "c.md": "C and C++.";
    c_assembly = "c-assembly.md": "What C compilers make of the arena.";
    command = "command.md": "The command `highwater`.";
    lab = "lab.md": "How the command measures.";
    benchmarks = "benchmarks.md": "Every claim of speed, with the command that repeats it.";
    design = "design.md": "Why the library is built as it is, and where its parts are.";
}
