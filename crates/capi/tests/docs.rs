//! The programs of docs/c.md: each compiles without a warning, as C and as C++ where it is both, and runs.

mod support;

use std::process::Command;
use support::{GCC, GXX, available, fresh, include, library, root, run, succeeds};

/// The complete programs of the page.
fn programs() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/c.md")).expect("the page is there");
    let blocks = page.split("\n```c\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.filter(|block| block.contains("int main(")).map(|block| format!("{block}\n")).collect()
}

#[test]
fn every_program_of_the_page_runs() {
    let programs = programs();
    assert!(programs.len() >= 5, "{programs:#?}");
    for compiler in [GCC, GXX] {
        if !available(compiler) {
            continue;
        }
        for text in &programs {
            let (source, program) = (fresh("page").with_extension("c"), fresh("page"));
            std::fs::write(&source, text).expect("it can be written");
            let mut command = Command::new(compiler.command);
            let (language, standard) =
                if compiler.is_cpp { ("c++", "-std=c++17") } else { ("c", "-std=c11") };
            command
                .args(["-x", language, standard, "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
                .arg(&source);
            if !support::is_fault() {
                command.arg("-DHIGHWATER_EXPLICIT");
            }
            command.arg("-I").arg(include()).args(["-x", "none"]).arg(library().join("libhighwater.a"));
            succeeds(command.arg("-o").arg(&program));
            let ended = run(Command::new(&program));
            assert!(ended.status.success(), "{text}\n{ended:#?}");
            let _ = (std::fs::remove_file(source), std::fs::remove_file(program));
        }
    }
}

#[test]
fn every_function_of_the_header_is_in_the_reference() {
    let header = std::fs::read_to_string(include().join("highwater.h")).expect("the header is there");
    let page = std::fs::read_to_string(root().join("docs/c.md")).expect("the page is there");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names = header.lines().filter(|line| !line.starts_with([' ', '#', '/', '}'])).filter_map(|line| {
        let name = line.split_once('(')?.0.rsplit(|c| !is_name(c)).next()?;
        (name.starts_with("hw_") && !name.ends_with('_')).then_some(name)
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 60, "{names:?}");
    // Functions that the header calls and programs do not.
    for name in
        names.iter().filter(|name| !["hw_refuse", "hw_engine_fault", "hw_engine_explicit"].contains(name))
    {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/c.md");
    }
}
