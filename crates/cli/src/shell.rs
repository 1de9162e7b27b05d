//! The command line of this process, in the form a shell reads it.

use std::env;

/// The command line that repeats this process.
pub fn command_line() -> String {
    let arguments = env::args_os().skip(1).map(|argument| quote(&argument.to_string_lossy()));
    std::iter::once("highwater".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// An argument, quoted for a shell if it has to be.
fn quote(argument: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_if_need_be() {
        assert_eq!(quote("make"), "make");
        assert_eq!(quote("-j2"), "-j2");
        assert_eq!(quote("--only=a,b"), "--only=a,b");
        assert_eq!(quote("my page.html"), "'my page.html'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a;b"), "'a;b'");
    }
}
