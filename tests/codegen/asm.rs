//! Reading x86-64 assembly (Intel syntax, as LLVM writes it): functions, and the way through one of them.

use std::collections::HashMap;

/// A file of assembly, by function.
pub struct Assembly {
    functions: HashMap<String, Function>,
    /// LLVM keeps one of several equal functions; the others are further names of it.
    aliases: HashMap<String, String>,
}

/// The instructions of one function.
#[derive(Debug, Default)]
pub struct Function {
    instructions: Vec<String>,
    /// Where in `instructions` each label stands.
    labels: HashMap<String, usize>,
}

/// What is executed on one way through a function, `ret` included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    pub instructions: usize,
    pub branches: usize,
}

impl Assembly {
    pub fn parse(text: &str) -> Self {
        let mut assembly = Assembly { functions: HashMap::new(), aliases: HashMap::new() };
        let mut open: Option<(String, Function)> = None;
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some((name, target)) = line.split_once(" = ") {
                assembly.aliases.insert(name.into(), target.into());
            } else if let Some(label) = line.strip_suffix(':') {
                match &mut open {
                    Some(_) if label.starts_with(".Lfunc_end") => assembly.functions.extend(open.take()),
                    Some((_, function)) if label.starts_with(".L") => {
                        function.labels.insert(label.into(), function.instructions.len());
                    }
                    // (The table of a function that has something to drop when it unwinds is none.)
                    None if !label.starts_with('.') && !label.starts_with("GCC_except_table") => {
                        open = Some((label.into(), Function::default()));
                    }
                    _ => {}
                }
            } else if let Some((_, function)) = &mut open
                && !line.is_empty()
                && !line.starts_with('.')
            {
                function.instructions.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
        assembly
    }

    /// The function of this name.
    #[track_caller]
    pub fn function(&self, name: &str) -> &Function {
        let mut name = name;
        while let Some(target) = self.aliases.get(name) {
            name = target;
        }
        self.functions.get(name).unwrap_or_else(|| panic!("no function {name} in the assembly"))
    }
}

impl Function {
    /// Whether this very instruction stands in the function.
    pub fn contains(&self, instruction: &str) -> bool {
        self.instructions.iter().any(|line| line == instruction)
    }

    /// The instructions as text that two functions can be compared by: a place is called by its number, a field of
    /// the first argument is any field, and a call of something called `diverging` is just that.
    pub fn listing(&self, diverging: &str) -> Vec<String> {
        let field = |line: &str| match line.split_once("[rdi") {
            Some((before, rest)) => {
                let after = rest.split_once(']').map_or("", |(_, after)| after);
                format!("{before}[field]{after}")
            }
            None => line.to_owned(),
        };
        let told = |line: &String| match line.split_once(' ') {
            Some(("call", whom)) if whom.contains(diverging) => format!("call {diverging}"),
            Some((jump, label)) if let Some(place) = self.labels.get(label) => format!("{jump} {place}"),
            _ => field(line),
        };
        self.instructions.iter().map(told).collect()
    }

    /// The first instruction that has one of these words in it.
    pub fn mention(&self, words: &[&str]) -> Option<&str> {
        let mentions = |line: &&String| words.iter().any(|word| line.contains(word));
        self.instructions.iter().find(mentions).map(String::as_str)
    }

    /// What is called anywhere in the function, jumps out of it included.
    pub fn calls(&self) -> Vec<&str> {
        let called = |line: &'_ String| line.starts_with("call ") || is_jump_out(line);
        self.instructions.iter().filter(|line| called(line)).map(String::as_str).collect()
    }

    /// Conditional branches anywhere in the function.
    pub fn branches(&self) -> usize {
        self.instructions.iter().filter(|line| is_conditional(line)).count()
    }

    /// The shortest way from the first instruction to the end that calls nothing.
    #[track_caller]
    pub fn fast_path(&self) -> Path {
        self.walk(0, 0)
            .unwrap_or_else(|| panic!("every way through this function calls something: {self:#?}"))
    }

    fn walk(&self, from: usize, depth: usize) -> Option<Path> {
        // More than any of our functions has: a loop.
        if depth > 40 {
            return None;
        }
        let mut path = Path::default();
        let mut at = from;
        loop {
            let line = self.instructions.get(at)?;
            path.instructions += 1;
            if line.starts_with("call ") || is_jump_out(line) || path.instructions > 1000 {
                return None;
            }
            if line == "ret" || line.starts_with("jmp r") {
                return Some(path);
            }
            let target = line.split(' ').nth(1).and_then(|label| self.labels.get(label));
            at += 1;
            if line.starts_with("jmp ") {
                at = *target?;
            } else if is_conditional(line) {
                path.branches += 1;
                let ways = [self.walk(at, depth + 1), self.walk(*target?, depth + 1)];
                let rest = ways.into_iter().flatten().min()?;
                let instructions = path.instructions + rest.instructions;
                return Some(Path { instructions, branches: path.branches + rest.branches });
            }
        }
    }
}

fn is_conditional(line: &str) -> bool {
    line.starts_with('j') && !line.starts_with("jmp ")
}

/// A jump to another function: a call in the last place. One through a register is a probe's own.
fn is_jump_out(line: &str) -> bool {
    line.strip_prefix("jmp ").is_some_and(|to| !to.starts_with(".L") && !to.starts_with('r'))
}
