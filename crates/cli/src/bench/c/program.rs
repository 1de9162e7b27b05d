//! Runs a program in C; `sources/serve.h` is the other side of its protocol.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{self, ChildStdin, ChildStdout, Command, Stdio},
};

/// A process that has read its problem and waits for numbers of steps.
#[derive(Debug)]
pub struct CProgram {
    child: process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl CProgram {
    /// Starts it and sends it the problem.
    pub fn start(program: &Path, problem: &[f64]) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start the C program: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { unreachable!("both are pipes") };
        let mut this = CProgram { child, input, output: BufReader::new(output) };
        let mut words = problem.len().to_string();
        for number in problem {
            words.push_str(&format!(" {:x}", number.to_bits()));
        }
        this.send(&words)?;
        Ok(this)
    }

    /// Runs this many steps from the start. Returns the time in nanoseconds and the result.
    pub fn run(&mut self, steps: usize) -> Result<(f64, Vec<f64>), String> {
        self.send(&steps.to_string())?;
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(|error| format!("cannot read from the C program: {error}"))?;
        if line.is_empty() {
            return Err(format!("the C program {}", self.end()));
        }
        parse_result(&line).ok_or_else(|| {
            let start: String = line.chars().take(40).collect();
            format!("the C program printed {start:?}")
        })
    }

    fn send(&mut self, words: &str) -> Result<(), String> {
        let sent = writeln!(self.input, "{words}").and_then(|()| self.input.flush());
        sent.map_err(|_| format!("the C program {}", self.end()))
    }

    /// How it ended, after it has closed its end of a pipe.
    fn end(&mut self) -> String {
        match self.child.wait() {
            Ok(status) => format!("ended with {status}"),
            Err(error) => format!("cannot be waited for: {error}"),
        }
    }
}

impl Drop for CProgram {
    fn drop(&mut self) {
        // It waits for input, or has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Parses the output of a run: nanoseconds, the count of numbers, and their bits.
fn parse_result(line: &str) -> Option<(f64, Vec<f64>)> {
    let mut words = line.split_ascii_whitespace();
    let ns = words.next()?.parse().ok()?;
    let count: usize = words.next()?.parse().ok()?;
    let numbers: Option<Vec<_>> =
        words.map(|word| u64::from_str_radix(word, 16).ok().map(f64::from_bits)).collect();
    numbers.filter(|numbers| numbers.len() == count).map(|numbers| (ns, numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_parsed() {
        assert_eq!(parse_result("250 2 3ff0000000000000 0\n"), Some((250.0, vec![1.0, 0.0])));
        assert_eq!(parse_result("250 3 3ff0000000000000 0\n"), None);
        assert_eq!(parse_result("250\n"), None);
        assert_eq!(parse_result("250 1 xyz\n"), None);
    }

    #[test]
    fn a_program_that_ends_is_an_error() {
        let mut child = CProgram::start(Path::new("/bin/true"), &[]);
        let error = match &mut child {
            Ok(child) => child.run(1).unwrap_err(),
            Err(error) => error.clone(),
        };
        assert_eq!(error, "the C program ended with exit status: 0");
        assert!(CProgram::start(Path::new("/no/such/program"), &[]).unwrap_err().starts_with("cannot start"));
    }
}
