//! What the compiler makes of an allocation in C: asserts on assembly, which repeats exactly.

mod support;

use support::{Compiler, compile_command, compilers, fresh, skip, succeeds};

/// The functions of a source file as the compiler writes them: name and instructions. The part that gcc puts out of the
/// way (`.cold`) is a function of its own.
fn assembly(compiler: Compiler, level: &str) -> Vec<(String, Vec<String>)> {
    let path = fresh("assembly");
    let mut command = compile_command(compiler, "sum.c");
    command.args([
        level,
        "-masm=intel",
        "-fno-asynchronous-unwind-tables",
        "-fcf-protection=none",
        "-S",
        "-o",
    ]);
    succeeds(command.arg(&path));
    let text = std::fs::read_to_string(&path).expect("the compiler wrote it");
    let _ = std::fs::remove_file(path);
    let mut functions: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match line.strip_suffix(':') {
            Some(label) if !label.starts_with('.') => functions.push((label.to_owned(), Vec::new())),
            Some(_) => {}
            None if line.is_empty() || line.starts_with('.') => {}
            None => {
                if let Some((_, instructions)) = functions.last_mut() {
                    instructions.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
                }
            }
        }
    }
    functions
}

/// A function's instructions, by its name in C.
fn function<'a>(functions: &'a [(String, Vec<String>)], name: &str) -> &'a [String] {
    // C++ names have the length before and the parameters behind.
    let mangled = format!("{}{name}", name.len());
    let is_it = |label: &str| !label.ends_with(".cold") && (label == name || label.contains(&mangled));
    let found = functions.iter().find(|(label, _)| is_it(label));
    &found.unwrap_or_else(|| panic!("no {name} in {functions:#?}")).1
}

fn calls(instructions: &[String]) -> Vec<&str> {
    instructions.iter().filter_map(|line| line.strip_prefix("call ")).collect()
}

#[test]
fn two_numbers_and_their_sum() {
    if !cfg!(target_arch = "x86_64") || !support::is_fault() {
        return skip("the expectations are written for x86_64 and the fault engine");
    }
    for compiler in compilers() {
        for level in ["-O2", "-O3"] {
            let functions = assembly(compiler, level);
            for name in ["two_numbers", "through_a_copy"] {
                let sum = function(&functions, name);
                assert!(sum.iter().any(|line| line == "mov eax, 4"), "{compiler:?} {level}: {sum:#?}");
                // The cursor's making, and nothing for the allocations but what does not return.
                for call in calls(sum) {
                    let known = ["the_arena", "hw_engine_fault", "hw_refuse"]
                        .iter()
                        .any(|known| call.contains(known));
                    assert!(known, "{compiler:?} {level}: {call} in {sum:#?}");
                }
                let loads =
                    sum.iter().filter(|line| line.starts_with("mov e") && line.contains("PTR")).count();
                assert_eq!(loads, 0, "{compiler:?} {level}: {sum:#?}");
            }
            let malloc = function(&functions, "two_numbers_of_malloc");
            assert!(malloc.iter().all(|line| line != "mov eax, 4"), "{malloc:#?}");
            assert_eq!(calls(malloc).iter().filter(|call| call.contains("malloc")).count(), 2, "{malloc:#?}");

            // Load, load, round up, compare, store: no call but the diverging one.
            let any = function(&functions, "of_any_size");
            assert!(calls(any).iter().all(|call| call.contains("hw_refuse")), "{any:#?}");
            assert!(any.len() <= 14, "{} instructions: {any:#?}", any.len());
        }
    }
}
