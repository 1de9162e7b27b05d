//! The library under valgrind: it commits by request, so no copy loses anything there.

mod support;

use std::process::Command;
use std::time::Duration;
use support::{build, has, here, run_within};

#[test]
fn blocks_keep_their_contents_under_every_tool() {
    if !here() || !has("valgrind") {
        return;
    }
    let program = build("contents.c");
    for tool in ["none", "memcheck", "callgrind", "massif"] {
        let directory = tempfile::tempdir().unwrap();
        let inner = program.command("default", ["realloc contents"]);
        let mut command = Command::new("valgrind");
        command.args(["-q", &format!("--tool={tool}"), "--soname-synonyms=somalloc=nouserintercepts"]);
        command.arg(inner.get_program()).args(inner.get_args()).current_dir(&directory);
        // (valgrind itself is linked with no library.)
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => _ = command.env(name, value),
                None => _ = command.env_remove(name),
            }
        }
        run_within(command, Duration::from_secs(120)).assert_success();
    }
}
