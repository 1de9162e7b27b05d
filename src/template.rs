//! Text with values in it, for messages of which one of many is written.
//!
//! Where every arm of a `match` has a `write!` of its own, each is compiled to code that collects its arguments.
//! Here an arm is a template, which is data, and the code is compiled once.

use core::fmt::{self, Display, Formatter};

/// A value and its name in the template.
pub(crate) type NamedValue<'a> = (&'static str, &'a dyn Display);

/// Writes `template` with each `{name}` in it replaced by the value of that name. Allocates nothing.
pub(crate) fn fill(f: &mut Formatter<'_>, template: &str, values: &[NamedValue<'_>]) -> fmt::Result {
    let mut pieces = template.split('{');
    f.write_str(pieces.next().unwrap_or_default())?;
    for piece in pieces {
        let (name, text) = piece.split_once('}').unwrap_or_default();
        for (known, value) in values {
            if *known == name {
                write!(f, "{value}")?;
            }
        }
        f.write_str(text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Message(&'static str);

    impl Display for Message {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            fill(f, self.0, &[("a", &1), ("b", &"two")])
        }
    }

    #[test]
    fn names_are_replaced_wherever_they_stand() {
        for (template, text) in [
            ("", ""),
            ("nothing", "nothing"),
            ("{a}", "1"),
            ("{b} before {a}, and {b}", "two before 1, and two"),
            ("ends in {a}{b}", "ends in 1two"),
        ] {
            assert_eq!(Message(template).to_string(), text);
            // The format of the whole does not become that of a value.
            assert_eq!(format!("{:>9}", Message(template)), text);
        }
    }
}
