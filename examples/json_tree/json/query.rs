//! Questions: a path such as `users[*].name`, or an aggregate of one, such as `sum(users[*].balance)`.

use super::tree::{Kind, Node, write};
use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `.key` or `["key"]`.
    Key(String),
    /// `[3]`.
    Place(usize),
    /// `[*]`: all items, or all members' values.
    All,
}

/// What is made of the values that a path leads to. All but the number of values look at numbers only.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Aggregate {
    Count,
    Sum,
    Mean,
    Min,
    Max,
}

/// A question that can be put to a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    steps: Vec<Step>,
    aggregate: Option<Aggregate>,
}

/// What a tree answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The values, as JSON, in the order of the tree.
    Values(Vec<String>),
    /// The aggregate; `None` is the mean, the least or the greatest of no numbers.
    Number(Option<f64>),
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Number(Some(number)) => write!(f, "{number}"),
            Answer::Number(None) => f.write_str("none"),
            Answer::Values(values) => {
                let shown: Vec<_> = values.iter().take(3).map(|value| shortened(value)).collect();
                let more = if values.len() > shown.len() { ", …" } else { "" };
                write!(f, "{} values: {}{more}", values.len(), shown.join(", "))
            }
        }
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

impl std::str::FromStr for Query {
    type Err = String;

    /// A path starts with a key or `$`, the whole tree.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let names = [
            ("count(", Aggregate::Count),
            ("sum(", Aggregate::Sum),
            ("mean(", Aggregate::Mean),
            ("min(", Aggregate::Min),
            ("max(", Aggregate::Max),
        ];
        for (name, aggregate) in names {
            if let Some(path) = text.strip_prefix(name).and_then(|rest| rest.strip_suffix(')')) {
                return Ok(Query { steps: steps(path)?, aggregate: Some(aggregate) });
            }
        }
        Ok(Query { steps: steps(text)?, aggregate: None })
    }
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path.trim();
    if let Some(after) = rest.strip_prefix('$') {
        rest = after;
    } else if !rest.starts_with('[') {
        rest = key(rest, &mut steps)?;
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            rest = key(after, &mut steps)?;
        } else if let Some(after) = rest.strip_prefix("[\"") {
            let (name, after) = after.split_once("\"]").ok_or("a key in brackets ends with \"]")?;
            steps.push(Step::Key(name.to_owned()));
            rest = after;
        } else if let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let place = || inside.parse().map_err(|_| format!("neither a number nor *: [{inside}]"));
            steps.push(if inside == "*" { Step::All } else { Step::Place(place()?) });
            rest = after;
        } else {
            return Err(format!("a step is .key, [\"key\"], [number] or [*]: {rest}"));
        }
    }
    Ok(steps)
}

/// Takes a key off the front of a path.
fn key<'p>(path: &'p str, steps: &mut Vec<Step>) -> Result<&'p str, String> {
    let end = path.find(['.', '[', ']', '(', ')', '"']).unwrap_or(path.len());
    if end == 0 {
        return Err(format!("a key is expected: {path}"));
    }
    steps.push(Step::Key(path[..end].to_owned()));
    Ok(&path[end..])
}

impl Query {
    /// Puts the question to a tree.
    pub fn answer<'t>(&self, root: impl Node<'t>) -> Answer {
        let Some(aggregate) = self.aggregate else {
            let mut values = Vec::new();
            each(&self.steps, root, &mut |node| {
                let mut value = String::new();
                write(node, &mut value);
                values.push(value);
            });
            return Answer::Values(values);
        };
        let (mut count, mut numbers, mut sum) = (0usize, 0usize, 0.0);
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        each(&self.steps, root, &mut |node| {
            count += 1;
            if let Kind::Number(number) = node.kind() {
                numbers += 1;
                sum += number;
                (min, max) = (min.min(number), max.max(number));
            }
        });
        let of_numbers = |number: f64| (numbers > 0).then_some(number);
        Answer::Number(match aggregate {
            Aggregate::Count => Some(count as f64),
            Aggregate::Sum => Some(sum),
            Aggregate::Mean => of_numbers(sum / numbers as f64),
            Aggregate::Min => of_numbers(min),
            Aggregate::Max => of_numbers(max),
        })
    }
}

/// Calls `found` with every value that the steps lead to.
fn each<'t, N: Node<'t>>(steps: &[Step], node: N, found: &mut dyn FnMut(N)) {
    let Some((step, rest)) = steps.split_first() else { return found(node) };
    let next = match step {
        Step::Key(key) => node.member(key),
        Step::Place(place) => node.item(*place),
        Step::All => {
            node.items().for_each(|item| each(rest, item, found));
            node.members().for_each(|(_, value)| each(rest, value, found));
            return;
        }
    };
    if let Some(node) = next {
        each(rest, node, found);
    }
}
