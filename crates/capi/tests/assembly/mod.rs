//! Reading x86-64 assembly (Intel syntax, as gcc writes it): the functions of a file and what they call.

use crate::support::{Compiler, compile_command, fresh, succeeds};
use std::path::Path;

/// One function, the part that gcc puts out of the way (`.cold`) included.
#[derive(Debug)]
pub struct Function {
    label: String,
    instructions: Vec<String>,
}

/// A file of assembly.
#[derive(Debug)]
pub struct Assembly(Vec<Function>);

/// Compiles a C file to assembly.
pub fn compile(compiler: Compiler, source: &Path, flags: &[&str]) -> Assembly {
    let path = fresh("assembly");
    let mut command = compile_command(compiler, source.to_str().expect("the project's path is UTF-8"));
    command.args(flags).args(["-masm=intel", "-S", "-o"]).arg(&path);
    // Not of interest here, and switched on by default in some distributions.
    command.args(["-fno-asynchronous-unwind-tables", "-fcf-protection=none", "-fno-stack-protector", "-g0"]);
    command.args(["-march=x86-64", "-mtune=generic"]);
    succeeds(&mut command);
    let text = std::fs::read_to_string(&path).expect("the compiler wrote it");
    let _ = std::fs::remove_file(path);
    Assembly::parse(&text)
}

impl Assembly {
    fn parse(text: &str) -> Self {
        let mut functions: Vec<Function> = Vec::new();
        let mut at = None;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(label) = line.strip_suffix(':') {
                if !label.starts_with('.') {
                    let label = label.strip_suffix(".cold").unwrap_or(label);
                    let known = functions.iter().position(|function| function.label == label);
                    at = Some(known.unwrap_or_else(|| {
                        functions.push(Function { label: label.to_owned(), instructions: Vec::new() });
                        functions.len() - 1
                    }));
                }
            } else if let Some(at) = at
                && !line.is_empty()
                && !line.starts_with('.')
            {
                let words: Vec<&str> = line.split_whitespace().collect();
                functions[at].instructions.push(words.join(" "));
            }
        }
        Self(functions)
    }

    /// A function by its name in C.
    #[track_caller]
    pub fn function(&self, name: &str) -> &Function {
        // What C++ makes of it has the length before and the parameters behind.
        let mangled = format!("{}{name}", name.len());
        let is_it = |label: &str| {
            let plain = label.strip_prefix("_ZL").or_else(|| label.strip_prefix("_Z"));
            !label.contains('.') && (label == name || plain.is_some_and(|rest| rest.starts_with(&mangled)))
        };
        let found = self.0.iter().find(|function| is_it(&function.label));
        found.unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}

impl Function {
    /// Whether this very instruction stands in the function.
    pub fn contains(&self, instruction: &str) -> bool {
        self.instructions.iter().any(|line| line == instruction)
    }

    /// How many instructions have this name, or the one that AVX gives it.
    pub fn count(&self, instruction: &str) -> usize {
        let is_it = |name: &str| name.strip_prefix('v').unwrap_or(name) == instruction;
        self.instructions.iter().filter(|line| line.split(' ').next().is_some_and(is_it)).count()
    }

    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Conditional branches.
    pub fn branches(&self) -> usize {
        self.instructions.iter().filter(|line| line.starts_with('j') && !line.starts_with("jmp ")).count()
    }

    /// The names of the functions that are called, jumps out of this one included.
    pub fn calls(&self) -> Vec<&str> {
        self.instructions.iter().filter_map(|line| self.called(line)).collect()
    }

    fn called<'a>(&self, line: &'a str) -> Option<&'a str> {
        let (kind, target) = line.split_once(' ')?;
        // `call name`, `call name@PLT`, `call [QWORD PTR name@GOTPCREL[rip]]`
        let name = target.trim_start_matches("[QWORD PTR ").split(['@', '[', ']']).next()?;
        let stays =
            name.starts_with('.') || name.strip_suffix(".cold") == Some(&self.label) || name == self.label;
        (kind == "call" || kind.starts_with('j') && !stays).then_some(name)
    }

    /// How often a function is called.
    pub fn calls_of(&self, name: &str) -> usize {
        self.calls().into_iter().filter(|called| *called == name).count()
    }
}
