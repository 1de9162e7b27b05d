//! What `grow` refuses: one line, status 2.

use crate::common::{highwater, is_refused, stderr, succeeds};

#[test]
fn sizes() {
    for (size, expected) in [
        ("0", "nothing to grow"),
        ("0.0001k", "nothing to grow"),
        ("", "empty"),
        ("12XB", "not a valid size"),
        ("4GiBs", "no such file"),
        ("99999EiB", "address space"),
    ] {
        is_refused([size], expected);
    }
    is_refused(["--", "-4GiB"], "negative");
    is_refused(["-4GiB"], "-4");
}

#[test]
fn more_than_the_machine_has() {
    is_refused(["4EiB"], "4.00 EiB");
    is_refused(["4EiB", "--threads", "2"], "more than");
    is_refused(["4EiB", "--compare", "--json"], "more than");
    let dir = tempfile::tempdir().unwrap();
    // A sparse file: large, and without blocks on the disk.
    let file = std::fs::File::create(dir.path().join("large")).unwrap();
    if file.set_len(1 << 42).is_ok() {
        // Holes read as NULs, which are binary; text at the start makes it a text file.
        use std::io::Write as _;
        (&file).write_all(&b"text ".repeat(4000)).unwrap();
        is_refused([dir.path()], "an index of 4.00 TiB");
    }
}

#[test]
fn a_large_binary_file_is_not_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("large")).unwrap();
    if file.set_len(1 << 42).is_ok() {
        crate::common::succeeds(&crate::common::grow([dir.path()]));
    }
}

#[test]
fn paths() {
    let printed = is_refused(["/no/such/path"], "/no/such/path");
    assert!(!printed.contains("size"), "{printed}");
    is_refused(["."; 1].into_iter().chain(["/no/such/path"]), "no such file");
    is_refused(["/dev/null"], "neither a file nor a directory");
    is_refused(["no\nsuch\nfile"], "no such file");
}

#[test]
fn sizes_and_paths_do_not_mix() {
    is_refused(["1MiB", "2MiB"], "two sizes");
    let printed = is_refused(["1MiB", "."], "./1MiB");
    assert!(printed.contains("is a size"), "{printed}");
}

#[test]
fn arenas_that_cannot_be_made() {
    is_refused(["1MiB", "--reserve", "64KiB"], "reserve");
    is_refused(["1MiB", "--reserve", "0"], "--reserve");
    is_refused(["1MiB", "--reserve", "12XB"], "--reserve");
    is_refused(["1MiB", "--reserve", "6EiB"], "reserve of 6917529027641081856 bytes");
    is_refused(["1MiB", "--reserve", "2MiB", "--head", "4MiB"], "head");
    is_refused(["1MiB", "--reserve", "6EiB", "--compare"], "reserve of 6917529027641081856 bytes");
}

#[test]
fn options() {
    for (option, value) in [
        ("--growth", "sideways"),
        ("--growth", "fixed"),
        ("--growth", "fixed:0"),
        ("--growth", "fixed:x"),
        ("--growth", "geometric:64k"),
        ("--growth", "geometric:2M,1M"),
        ("--growth", "stress:"),
        ("--growth", "stress:-1"),
        ("--head", "x"),
        ("--huge-pages", "maybe"),
        ("--backing", "paper"),
        ("--backing", "temp:/no/such/dir"),
        ("--threads", "0"),
        ("--threads", "x"),
    ] {
        is_refused(["1MiB", option, value], option);
    }
    is_refused(["1MiB", "--no-such-option"], "--no-such-option");
    is_refused(["1MiB", "--plot", "/no/such/dir/plot.svg"], "plot.svg");
    is_refused(Vec::<&str>::new(), "SIZE|PATH");
}

#[test]
fn a_reserve_that_turns_out_too_small() {
    let dir = tempfile::tempdir().unwrap();
    let words: String = (0..50_000).map(|n| format!("word{n} ")).collect();
    std::fs::write(dir.path().join("text"), words).unwrap();
    let output = crate::common::grow([dir.path().as_os_str(), "--reserve".as_ref(), "128KiB".as_ref()]);
    let printed = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    let errors: Vec<_> = printed.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{printed}");
    assert!(errors[0].contains("out of memory"), "{printed}");
    assert!(!printed.contains("panicked"), "{printed}");
}

#[test]
fn unknown_subcommands() {
    let output = highwater().arg("shrink").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stderr(&output).lines().count(), 1);
    let output = highwater().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

/// The engine of the environment: for a machine on which no handler may be installed.
#[test]
fn engines() {
    let grow = |engine: &str| {
        highwater().env("HIGHWATER_REGION_ENGINE", engine).args(["grow", "8MiB", "--json"]).output().unwrap()
    };
    let done = grow("paged");
    succeeds(&done);
    let run: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&run["engine"], &run["faults"]), (&"paged".into(), &0.into()), "{run}");
    assert_eq!(run["committed"], run["reserved"], "{run}");
    succeeds(&grow(""));
    succeeds(&grow(&highwater::engine().to_string()));
    let other = if highwater::engine() == highwater::Engine::Fault { "explicit" } else { "fault" };
    for (engine, why) in
        [("pages", "expected `fault`, `explicit` or `paged`"), (other, "when the library is built")]
    {
        let refused = grow(engine);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let said = stderr(&refused);
        assert!(said.contains("HIGHWATER_REGION_ENGINE") && said.contains(why), "{said}");
    }
}
