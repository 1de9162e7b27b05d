//! Out of memory: causes, reports, hooks, injected refusals, memory cgroups.

mod at_build;
mod causes;
mod cgroup;
mod cgroup_neighbours;
mod cgroup_scenes;
mod dump;
mod exact;
mod forked;
mod hooks;
mod inject;
mod inject_model;
mod report;
mod spill;
mod strict;
#[path = "../support/mod.rs"]
mod support;

#[test]
#[ignore = "entry point of child processes"]
fn child_entry() {
    support::child_main(&[
        #[cfg(target_os = "linux")]
        causes::CASES,
        #[cfg(target_os = "linux")]
        cgroup::CASES,
        #[cfg(target_os = "linux")]
        cgroup_scenes::CASES,
        #[cfg(target_os = "linux")]
        forked::CASES,
        #[cfg(target_os = "linux")]
        hooks::CASES,
        inject::CASES,
        #[cfg(target_os = "linux")]
        report::CASES,
        spill::CASES,
        #[cfg(target_os = "linux")]
        strict::CASES,
        #[cfg(target_os = "linux")]
        at_build::CASES,
        #[cfg(target_os = "linux")]
        cgroup_neighbours::CASES,
        #[cfg(target_os = "linux")]
        dump::CASES,
        #[cfg(target_os = "linux")]
        exact::CASES,
    ]);
}
