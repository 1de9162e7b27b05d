//! A program in C that runs as often as it is told to; `sources/serve.h` is the other side.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{self, ChildStdin, ChildStdout, Command, Stdio},
};

/// A process that has a problem and waits for numbers of steps.
#[derive(Debug)]
pub struct Child {
    child: process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts it and tells it the problem.
    pub fn start(program: &Path, problem: &[f64]) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start the C program: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { unreachable!("both were asked for") };
        let mut this = Child { child, input, output: BufReader::new(output) };
        let mut words = problem.len().to_string();
        for number in problem {
            words.push_str(&format!(" {:x}", number.to_bits()));
        }
        this.say(&words)?;
        Ok(this)
    }

    /// So many steps from the start: the nanoseconds they took, and the result.
    pub fn run(&mut self, steps: usize) -> Result<(f64, Vec<f64>), String> {
        self.say(&steps.to_string())?;
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(|error| format!("cannot hear the C program: {error}"))?;
        if line.is_empty() {
            return Err(format!("the C program {}", self.ended()));
        }
        answer(&line).ok_or_else(|| {
            let start: String = line.chars().take(40).collect();
            format!("the C program said {start:?}")
        })
    }

    fn say(&mut self, words: &str) -> Result<(), String> {
        let said = writeln!(self.input, "{words}").and_then(|()| self.input.flush());
        said.map_err(|_| format!("the C program {}", self.ended()))
    }

    /// How it ended, after it closed its end of a pipe.
    fn ended(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("cannot be waited for: {error}"),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It waits for more, or has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nanoseconds, how many numbers, and their bits.
fn answer(line: &str) -> Option<(f64, Vec<f64>)> {
    let mut words = line.split_ascii_whitespace();
    let took = words.next()?.parse().ok()?;
    let count: usize = words.next()?.parse().ok()?;
    let numbers: Option<Vec<_>> =
        words.map(|word| u64::from_str_radix(word, 16).ok().map(f64::from_bits)).collect();
    numbers.filter(|numbers| numbers.len() == count).map(|numbers| (took, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        assert_eq!(answer("250 2 3ff0000000000000 0\n"), Some((250.0, vec![1.0, 0.0])));
        assert_eq!(answer("250 3 3ff0000000000000 0\n"), None);
        assert_eq!(answer("250\n"), None);
        assert_eq!(answer("250 1 xyz\n"), None);
    }

    #[test]
    fn a_program_that_ends_is_told_of() {
        let mut child = Child::start(Path::new("/bin/true"), &[]);
        let said = match &mut child {
            Ok(child) => child.run(1).unwrap_err(),
            Err(said) => said.clone(),
        };
        assert_eq!(said, "the C program ended with exit status: 0");
        assert!(Child::start(Path::new("/no/such/program"), &[]).unwrap_err().starts_with("cannot start"));
    }
}
