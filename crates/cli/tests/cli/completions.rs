//! `highwater completions` and `highwater man`.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use crate::common::{highwater, refused, skip, stderr, stdout, succeeds};

/// The subcommands that the help of `highwater PATH…` names, without `help`.
fn subcommands(path: &[String]) -> Vec<String> {
    let output = highwater().args(path).arg("--help").output().unwrap();
    succeeds(&output);
    stdout(&output)
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // Continuation lines are indented further.
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// All subcommands with their parents, depth first.
fn all_subcommands() -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(path) = open.pop() {
        for name in subcommands(&path) {
            let below = [path.clone(), vec![name]].concat();
            found.push(below.clone());
            open.push(below);
        }
    }
    assert!(found.len() >= 5, "{found:?}");
    found
}

fn completions(shell: &str) -> String {
    let output = highwater().args(["completions", shell]).output().unwrap();
    succeeds(&output);
    stdout(&output)
}

#[test]
fn shells_accept_their_completions() {
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = completions(shell);
        for path in all_subcommands() {
            let name = path.last().unwrap();
            assert!(script.contains(name.as_str()), "{shell}: {name}");
        }
        assert!(!script.contains("--measure") && !script.contains("--child"), "{shell}: hidden options");
        let Ok(mut child) = Command::new(shell)
            .arg(check)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
        else {
            skip(&format!("no {shell} here"));
            continue;
        };
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{shell}: {}", stderr(&output));
        assert!(output.stderr.is_empty(), "{shell}: {}", stderr(&output));
    }
}

#[test]
fn bash_completes_a_subcommand() {
    let script = completions("bash");
    let ask = "\nCOMP_WORDS=(highwater gr); COMP_CWORD=1; _highwater highwater gr highwater; echo \"${COMPREPLY[@]}\"";
    let Ok(output) = Command::new("bash").args(["--norc", "-c", &(script + ask)]).output() else {
        return skip("no bash here");
    };
    assert_eq!(stdout(&output).trim(), "grow", "{}", stderr(&output));
}

#[test]
fn every_shell_that_is_offered_has_a_script() {
    let help = stdout(&highwater().args(["completions", "--help"]).output().unwrap());
    let (_, rest) = help.split_once("possible values: ").expect("the shells are listed");
    let (names, _) = rest.split_once(']').unwrap();
    let names: Vec<_> = names.split(',').map(str::trim).collect();
    assert!(names.len() >= 3, "{names:?}");
    for shell in names {
        assert!(completions(shell).contains("highwater"), "{shell}");
    }
    refused(&highwater().args(["completions", "sh"]).output().unwrap(), "'sh'");
}

#[test]
fn a_page_for_every_subcommand() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("new/pages");
    succeeds(&highwater().arg("man").arg(&pages).output().unwrap());
    let main = fs::read_to_string(pages.join("highwater.1")).unwrap();
    let all = all_subcommands();
    for path in &all {
        let name = format!("highwater-{}", path.join("-"));
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        assert!(page.contains("\n.SH SYNOPSIS"), "{name}");
        assert!(page.contains(".SH NAME\n"), "{name}");
        let parent = match path.len() {
            1 => main.clone(),
            n => fs::read_to_string(pages.join(format!("highwater-{}.1", path[..n - 1].join("-")))).unwrap(),
        };
        // A hyphen in a name is escaped.
        assert!(parent.contains(&name.replace('-', "\\-")), "{name} in its parent's page");
    }
    // Hidden subcommands have no page.
    assert_eq!(pages.read_dir().unwrap().count(), all.len() + 1);

    let output = highwater().arg("man").output().unwrap();
    succeeds(&output);
    assert_eq!(stdout(&output).trim_end(), main.trim_end());
}

#[test]
fn a_directory_that_cannot_be_created_is_named() {
    let output = highwater().args(["man", "/dev/null/pages"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/dev/null/pages"), "{}", stderr(&output));
}

#[test]
fn help_has_examples_that_work() {
    for subcommand in ["completions", "man"] {
        let help = stdout(&highwater().args([subcommand, "--help"]).output().unwrap());
        let start = format!("highwater {subcommand}");
        let examples: Vec<_> =
            help.lines().filter_map(|line| line.strip_prefix("  ")?.strip_prefix(&start)).collect();
        assert!(examples.len() >= 2, "{help}");
        for example in examples {
            let dir = tempfile::tempdir().unwrap();
            let mut command = highwater();
            command.current_dir(dir.path()).arg(subcommand).args(example.split_whitespace());
            succeeds(&command.output().unwrap());
        }
    }
}
