//! The variables that tell the library what to do.

mod support;

use highwater::internal::heap::record::{HeapRecord, RecordField};
use std::path::Path;
use support::{POLICIES, Setting, build, child::limit, here, run};

/// What cannot be understood is named in one line, and the program does not run with something else.
#[test]
fn what_cannot_be_understood() {
    if !here() {
        return;
    }
    let wrong = [
        ("MALLOC", "best", "best"),
        ("MALLOC", "general:align=32", "align"),
        ("MALLOC", "stack:align=three", "three"),
        ("MALLOC", "stack:align=3", "3"),
        ("MALLOC", "stack:loud", "loud"),
        ("MALLOC", "bump:slice=1XiB", "1XiB"),
        ("MALLOC", "bump:grain=7", "7"),
        ("MALLOC", "blocks:fit=worst", "worst"),
        ("MALLOC", "blocks:fit=first,margin", "margin"),
        ("MALLOC", "blocks:margin=99999999999999999999GiB", "99999999999999999999GiB"),
        ("LIMIT", "much", "much"),
        ("LIMIT", "-1", "-1"),
        ("LIMIT", "17179869184GiB", "17179869184GiB"),
        ("RESERVE", "64YB", "64YB"),
        ("GUARDS", "some", "some"),
        ("HARDENED", "perhaps", "perhaps"),
        ("STATS", "relative/directory", "relative/directory"),
    ];
    for (name, value, named) in wrong {
        let mut command = build("options.c").command("default", ["peak"]);
        command.env(format!("HIGHWATER_{name}"), value);
        let ended = run(command);
        assert!(!ended.status.success() && ended.stdout.is_empty(), "{ended:#?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
        assert!(
            ended.stderr.contains(named) && ended.stderr.contains(&format!("HIGHWATER_{name}")),
            "{ended:#?}"
        );
    }
}

/// What a case prints with a setting.
fn printed(setting: Setting, case: &str) -> String {
    let ended = build("options.c").run(setting, [case]);
    ended.assert_quiet().stdout.trim_end().to_string()
}

#[test]
fn options_of_policies() {
    if !here() {
        return;
    }
    assert_eq!(printed("stack", "alignment"), "16");
    assert_eq!(printed("stack:align=64", "alignment"), "64");
    assert_eq!(printed("stack:align=4096,errno,single-threaded", "alignment"), "4096");
    assert_eq!(printed("bump:grain=8", "alignment"), "16");
    assert_eq!(printed("bump:grain=16,slice=256KiB,single-threaded", "distance"), "16");
    assert_eq!(printed("blocks:fit=best,margin=1MiB,single-threaded", "distance"), "32");
    assert_eq!(printed("blocks:fit=first", "distance"), "32");
}

/// The first refusal is explained, if that is asked for.
#[test]
fn a_refusal_is_diagnosed() {
    if !here() {
        return;
    }
    let program = build("options.c");
    let ended = program.run("bump:diagnose HIGHWATER_LIMIT=64MiB", ["refused"]);
    assert_eq!(ended.assert_success().stdout, "refused\n");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:#?}");
    for words in ["out of memory", "requested 100 MiB", "64 MiB"] {
        assert!(ended.stderr.contains(words), "{words} in {ended:#?}");
    }
    for setting in
        ["bump HIGHWATER_LIMIT=64MiB", "default HIGHWATER_LIMIT=64MiB", "blocks HIGHWATER_LIMIT=64MiB"]
    {
        assert_eq!(program.run(setting, ["refused"]).assert_quiet().stdout, "refused\n");
    }
}

/// `HIGHWATER_STATS=1` says at the end what there was, and leaves standard output alone.
#[test]
fn figures_at_the_end() {
    if !here() {
        return;
    }
    for policy in POLICIES {
        let mut command = build("options.c").command(policy, ["peak"]);
        command.env("HIGHWATER_STATS", "1");
        let ended = run(command);
        assert_eq!(ended.assert_success().stdout, "done\n");
        for words in ["highwater: ", "24 MiB", "peak", "12 MiB live", "page faults"] {
            assert!(ended.stderr.contains(words), "{words} in {ended:#?}");
        }
    }
}

/// A program may have closed standard error, and have a file of its own there.
#[test]
fn figures_go_to_no_other_file() {
    if !here() {
        return;
    }
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let file = directory.path().join("file");
    for setting in ["glibc", "general HIGHWATER_STATS=1", "bump HIGHWATER_STATS=1"] {
        let mut command = build("options.c").command(setting, ["other file"]);
        command.env("TEST_FILE", &file);
        run(command).assert_success();
        assert_eq!(std::fs::read_to_string(&file).expect("it was written"), "own text", "{setting}");
    }
}

/// Whoever asks for a reservation where there is none is not to run on another malloc.
#[test]
fn a_reserve_that_cannot_be_had() {
    if !here() {
        return;
    }
    for policy in POLICIES {
        let mut command = build("options.c").command(policy, ["peak"]);
        limit(&mut command, libc::RLIMIT_AS, 48 << 20);
        command.env("HIGHWATER_RESERVE", "1GiB");
        let ended = run(command);
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(2), ""), "{ended:#?}");
        assert!(ended.stderr.lines().count() == 1 && ended.stderr.contains("RLIMIT_AS"), "{ended:#?}");
    }
}

/// The records that the processes of a case left.
fn records(policy: Setting, case: &str) -> Vec<HeapRecord> {
    let directory = tempfile::tempdir().expect("there is a directory for temporary files");
    let mut command = build("options.c").command(policy, [case]);
    command.env("HIGHWATER_STATS", directory.path());
    let ended = run(command);
    assert!(ended.stderr.is_empty(), "{ended:#?}");
    let read = |path: &Path| {
        HeapRecord::read(&std::fs::read(path).expect("the file can be read")).expect("it is a record")
    };
    let files = std::fs::read_dir(directory.path()).expect("the directory is there");
    files.map(|file| read(&file.expect("the directory can be read").path())).collect()
}

#[test]
fn records_of_processes() {
    if !here() {
        return;
    }
    for (number, policy) in POLICIES.iter().enumerate() {
        let records = records(policy, "peak");
        let [record] = &records[..] else { panic!("{policy}: {} records", records.len()) };
        let figure = |field| record.get(field);
        assert_eq!(
            (figure(RecordField::Policy), figure(RecordField::State)),
            (number as u64, 2),
            "{policy}: {record:?}"
        );
        assert_eq!(figure(RecordField::Parent), u64::from(std::process::id()));
        assert!(record.name().starts_with(b"options"), "{:?}", record.name());
        let mebibyte = 1 << 20;
        assert!(
            (24 * mebibyte..30 * mebibyte).contains(&figure(RecordField::PeakLiveBytes)),
            "{policy}: {record:?}"
        );
        assert!(
            (12 * mebibyte..18 * mebibyte).contains(&figure(RecordField::LiveBytes)),
            "{policy}: {record:?}"
        );
        assert!(
            figure(RecordField::PeakCommitted) >= figure(RecordField::PeakLiveBytes),
            "{policy}: {record:?}"
        );
        assert!(figure(RecordField::PeakCommitted) >= figure(RecordField::Committed), "{policy}: {record:?}");
        assert!(figure(RecordField::Reserved) >= figure(RecordField::PeakCommitted), "{policy}: {record:?}");
        assert!(
            figure(RecordField::LiveBlocks) >= 12 && figure(RecordField::Growths) > 0,
            "{policy}: {record:?}"
        );
        assert!(
            figure(RecordField::MinorFaults) > 0 && figure(RecordField::PeakResident) > 24 * mebibyte,
            "{policy}: {record:?}"
        );
        assert!(
            figure(RecordField::Written) > figure(RecordField::Started) && figure(RecordField::Started) > 0,
            "{policy}: {record:?}"
        );
    }
}

#[test]
fn records_of_children() {
    if !here() {
        return;
    }
    for policy in POLICIES {
        let records = records(policy, "children");
        assert_eq!(records.len(), 4, "{policy}");
        let parents: Vec<_> = records.iter().map(|record| record.get(RecordField::Parent)).collect();
        let first =
            records.iter().find(|record| record.get(RecordField::Parent) == u64::from(std::process::id()));
        let first = first.expect("the first process has a record").get(RecordField::Process);
        assert_eq!(parents.iter().filter(|parent| **parent == first).count(), 3, "{policy}: {parents:?}");
        assert!(records.iter().all(|record| record.get(RecordField::State) == 2), "{policy}");
    }
}

/// A process that ends without a word has left its record as well.
#[test]
fn the_record_of_a_killed_process() {
    if !here() {
        return;
    }
    for policy in POLICIES {
        let records = records(policy, "killed");
        assert_eq!(records.len(), 1, "{policy}");
        assert_eq!(records[0].get(RecordField::State), 1, "{policy}");
        assert!(records[0].get(RecordField::PeakCommitted) > 23 << 20, "{policy}: {:?}", records[0]);
    }
}
