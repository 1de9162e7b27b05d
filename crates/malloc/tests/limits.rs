//! Limits: the system's on address space and data, and this library's own.

mod support;

use support::cgroup::Cgroup;
use support::child::{Ended, limit, run};
use support::{POLICIES, SETTINGS, Setting, build, here};

const MIB: u64 = 1 << 20;

/// Runs a case of `limits.c` with a limit of a resource.
fn limited(setting: Setting, case: &str, resource: libc::__rlimit_resource_t, bytes: u64) -> Ended {
    let mut command = build("limits.c").command(setting, [case]);
    limit(&mut command, resource, bytes);
    run(command)
}

/// The program runs, maps memory and starts threads in what its allocator leaves of a small address space.
#[test]
fn a_small_address_space() {
    if !here() {
        return;
    }
    for setting in ["glibc"].iter().chain(SETTINGS) {
        for mebibytes in [4096, 1024, 256, 96] {
            limited(setting, "limited", libc::RLIMIT_AS, mebibytes * MIB).assert_quiet();
        }
    }
}

/// How many MiB the program found before it was refused any more.
#[track_caller]
fn found(ended: &Ended) -> u64 {
    ended.assert_quiet();
    ended.stdout.trim_end().parse::<u64>().expect("a number") / 1024
}

/// What does not fit into the reservation that such a limit allows is not refused as long as there is any.
#[test]
fn the_end_of_the_address_space() {
    if !here() {
        return;
    }
    for (limit, settings) in [(512, &["glibc", "default"][..]), (256, POLICIES)] {
        for setting in settings {
            let mebibytes = found(&limited(setting, "exhausts", libc::RLIMIT_AS, limit * MIB));
            assert!((limit * 3 / 8..limit).contains(&mebibytes), "{setting}: {mebibytes} MiB of {limit}");
        }
    }
}

#[test]
fn a_limit_of_data() {
    if !here() {
        return;
    }
    for setting in ["glibc", "general:checked"].iter().chain(POLICIES) {
        let mebibytes = found(&limited(setting, "exhausts", libc::RLIMIT_DATA, 128 * MIB));
        assert!((64..128).contains(&mebibytes), "{setting}: {mebibytes} MiB of 128");
    }
}

/// `HIGHWATER_LIMIT` and `HIGHWATER_RESERVE`, in bytes and with units.
#[test]
fn limits_of_its_own() {
    if !here() {
        return;
    }
    for policy in POLICIES {
        for (name, value) in
            [("LIMIT", "67108864"), ("LIMIT", "64MiB"), ("LIMIT", "65536KiB"), ("RESERVE", "64MiB")]
        {
            let mut command = build("limits.c").command(policy, ["exhausts"]);
            command.env(format!("HIGHWATER_{name}"), value);
            let mebibytes = found(&run(command));
            assert!((24..=64).contains(&mebibytes), "{policy} {name}={value}: {mebibytes} MiB");
        }
        let mut command = build("limits.c").command(policy, ["nothing"]);
        command.env("HIGHWATER_LIMIT", "1GiB");
        run(command).assert_quiet();
    }
}

#[test]
fn a_reserve_is_what_was_asked_for() {
    if !here() {
        return;
    }
    let address_space = |setting: Setting, reserve: Option<&str>| {
        let mut command = build("limits.c").command(setting, ["reserves"]);
        reserve.map(|bytes| command.env("HIGHWATER_RESERVE", bytes));
        let ended = run(command);
        ended.assert_quiet();
        ended.stdout.trim_end().parse::<u64>().expect("a number")
    };
    let without = address_space("glibc", None);
    for policy in POLICIES {
        let with = address_space(policy, Some("8GiB"));
        // The table beside the region is an eighth of it at most.
        assert!((without + 8192..without + 9216 + 64).contains(&with), "{policy}: {without} and {with} MiB");
    }
}

/// With headroom, what the kernel can write out is no reason to refuse a block, and what the kernel would kill for is.
#[test]
fn a_memory_cgroup_with_a_file_that_is_not_written_out() {
    if !here() {
        return;
    }
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for setting in ["glibc", "default HIGHWATER_HEADROOM=1", "stack HIGHWATER_HEADROOM=1"] {
        for (mebibytes, fits) in [(40, true), (100, true), (400, false)] {
            if setting == "glibc" && !fits {
                continue;
            }
            let Some(cgroup) = Cgroup::with_limit(128 << 20) else { return };
            let file = dir.path().join("file");
            let mut command = build("limits.c").command(setting, ["beside"]);
            command.env("BESIDE_FILE", file).env("BESIDE_MIB", mebibytes.to_string());
            cgroup.join(&mut command);
            let ended = run(command);
            ended.assert_quiet();
            assert_eq!(ended.stdout, if fits { "all\n" } else { "refused\n" }, "{setting}: {ended:#?}");
        }
    }
}
