//! Getting at the library: the commands of the documentation, the install recipe, and a program that was compiled for
//! the other engine.

mod support;

use std::process::Command;
use support::{
    GCC, Link, available, build, compile_command, fresh, include, library, root, run, skip, succeeds,
};

/// The two commands of docs/c.md, word for word but for the compiler's name and the directories.
#[test]
fn the_commands_of_the_documentation() {
    if !available(GCC) {
        return;
    }
    let source = root().join("crates/capi/tests/c/alloc.c");
    let explicit = if support::is_fault() { &[][..] } else { &["-DHIGHWATER_EXPLICIT"] };
    let shared = fresh("shared");
    let mut command = Command::new("cc");
    command.arg(&source).arg(format!("-I{}", include().display())).arg(format!("-L{}", library().display()));
    command
        .args([
            &format!("-l{}", support::name(support::is_fault())),
            &format!("-Wl,-rpath,{}", library().display()),
            "-o",
        ])
        .arg(&shared)
        .args(explicit);
    succeeds(&mut command);
    let fixed = fresh("static");
    let mut command = Command::new("cc");
    command.arg(&source).arg(format!("-I{}", include().display())).arg(library().join("libhighwater.a"));
    succeeds(command.arg("-o").arg(&fixed).args(explicit));
    for program in [shared, fixed] {
        let mut command = Command::new(&program);
        command.arg("blocks");
        run(command).assert_success();
        let _ = std::fs::remove_file(program);
    }
}

/// A part of a program that is given its cursor has to be compiled for the same engine as the part that makes it.
#[test]
fn a_unit_for_the_other_engine_does_not_link() {
    if !available(GCC) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let unit = directory.path().join("unit.c");
    let calls =
        ["hw_alloc(c, 8)", "hw_try_alloc(c, 8)", "hw_alloc_committed(c, 8)", "hw_alloc_aligned(c, 8, 64)"];
    for call in calls {
        let body = format!(
            "#include <highwater.h>\nvoid *part(hw_cursor *c) {{ return {call}; }}\nint main(void) {{ return 0; }}\n"
        );
        std::fs::write(&unit, body).unwrap();
        for (flag, links) in
            [("-DHIGHWATER_EXPLICIT", !support::is_fault()), ("-DUNUSED", support::is_fault())]
        {
            let mut command = Command::new("cc");
            command.arg(flag).arg(&unit).arg(format!("-I{}", include().display()));
            command.arg(library().join("libhighwater.so")).arg("-o").arg(directory.path().join("unit"));
            let answer = command.output().expect("cc starts");
            assert_eq!(answer.status.success(), links, "{call} {flag}: {answer:?}");
        }
    }
}

#[test]
fn a_program_for_the_other_engine_does_not_link() {
    if !available(GCC) {
        return;
    }
    let output = fresh("mismatch");
    for archive in ["libhighwater.a", "libhighwater.so"] {
        let mut command = compile_command(GCC, "alloc.c");
        let (other, missing) = if support::is_fault() {
            ("-DHIGHWATER_EXPLICIT", "hw_engine_explicit")
        } else {
            ("-UHIGHWATER_EXPLICIT", "hw_engine_fault")
        };
        command.arg(other).arg(library().join(archive)).arg("-o").arg(&output);
        let answer = command.output().expect("gcc starts");
        let said = String::from_utf8_lossy(&answer.stderr);
        assert!(
            !answer.status.success() && said.contains(&format!("undefined reference to `{missing}'")),
            "{said}"
        );
    }
}

#[test]
fn an_installed_library_is_found() {
    if !available(GCC) {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory can be made");
    let library_name = support::name(support::is_fault());
    let package = if support::is_fault() { "highwater" } else { "highwater-explicit" };
    let prefix = directory.path().join("a prefix");
    let mut install = Command::new("sh");
    install.arg(root().join("crates/capi/install.sh")).arg(&prefix).arg(library());
    succeeds(&mut install);
    let pc = format!("lib/pkgconfig/{package}.pc");
    let files = [format!("lib/lib{library_name}.so"), format!("lib/lib{library_name}.a")];
    for file in
        files.iter().map(String::as_str).chain(["include/highwater.h", "share/highwater/highwater.py", &pc])
    {
        assert!(prefix.join(file).is_file(), "{file}");
    }
    let file = std::fs::read_to_string(prefix.join(&pc)).expect("it was installed");
    assert!(
        file.contains(&format!("Version: {}", env!("CARGO_PKG_VERSION"))) && !file.contains('@'),
        "{file}"
    );
    assert_eq!(file.contains("-DHIGHWATER_EXPLICIT"), !support::is_fault(), "{file}");

    if !Command::new("pkg-config").arg("--version").output().is_ok_and(|output| output.status.success()) {
        skip("no pkg-config here");
        return;
    }
    // A path without spaces, as pkg-config's answer is split at them.
    let prefix = directory.path().join("prefix");
    succeeds(Command::new("sh").arg(root().join("crates/capi/install.sh")).arg(&prefix).arg(library()));
    let ask = |arguments: &[&str]| {
        let mut command = Command::new("pkg-config");
        command.args(arguments).arg(package).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
        let answer = succeeds(&mut command);
        answer.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let program = directory.path().join("program");
    let mut command = Command::new("cc");
    command.arg(root().join("crates/capi/tests/c/alloc.c")).args(ask(&["--cflags", "--libs"]));
    command.arg(format!("-Wl,-rpath,{}", prefix.join("lib").display())).arg("-o").arg(&program);
    succeeds(&mut command);
    let mut command = Command::new(&program);
    command.arg("blocks");
    run(command).assert_success();

    let refused = Command::new("sh").arg(root().join("crates/capi/install.sh")).output().expect("sh starts");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("install.sh PREFIX"), "{refused:?}");
}

/// Each engine's library has a name of its own, so the loader loads both.
#[test]
fn plug_ins_of_both_engines_share_a_process() {
    // (What is built for other systems has no fault engine.)
    if !available(GCC) || !support::reserves() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory can be made");
    let sources = root().join("crates/capi/tests/c");
    let compile = |source: &str, output: &str, is_fault: bool, links: bool, flags: &[&str]| {
        let output = directory.path().join(output);
        let mut command = Command::new("cc");
        command
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"])
            .args(flags)
            .arg("-I")
            .arg(include());
        if !is_fault {
            command.arg("-DHIGHWATER_EXPLICIT");
        }
        command.arg(sources.join(source)).arg("-o").arg(&output);
        if links {
            let library = support::library_of(is_fault);
            command.arg("-L").arg(library).arg(format!("-l{}", support::name(is_fault)));
            command.arg(format!("-Wl,-rpath,{}", library.display()));
        }
        succeeds(command.arg("-ldl"));
        output
    };
    let [fault, explicit] = [true, false].map(|is_fault| {
        compile("plugin.c", &format!("plugin-{is_fault}.so"), is_fault, true, &["-shared", "-fPIC"])
    });
    let hosts = [
        compile("plugged.c", "host", true, false, &[]),
        compile("plugged.c", "linked", true, true, &["-DLINKED"]),
        compile("plugged.c", "linked-explicit", false, true, &["-DLINKED"]),
    ];
    for host in hosts {
        for plugins in [[&fault, &explicit], [&explicit, &fault]] {
            let mut command = Command::new(&host);
            command.args(plugins);
            run(command).assert_success();
        }
    }
}

#[test]
fn a_static_program_needs_no_library() {
    if !available(GCC) {
        return;
    }
    let program = build(GCC, "alloc.c", Link::Static, &["-O2"]);
    let needed = succeeds(Command::new("readelf").args(["-d", "-W"]).arg(&program.path));
    assert!(!needed.contains("libhighwater"), "{needed}");
}
