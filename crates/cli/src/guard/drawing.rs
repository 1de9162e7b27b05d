//! Draws a layout as boxes, with low addresses at the top.

use super::layout::{Accessibility, Layout, Part};

/// Columns for the offsets on the left.
const OFFSET: usize = 14;
/// Columns inside the boxes.
const INSIDE: usize = 35;

/// Draws a layout in at most 80 columns. `touch` is the access to the byte.
pub fn draw(layout: &Layout, touch: &str) -> String {
    let mut text =
        format!("{:>OFFSET$}   not to scale; in bytes from the first one, at {}\n", "offset", layout.base);
    let mut corners = ('┌', '┐');
    for part in &layout.parts {
        text.push_str(&border(layout, part.start, corners));
        text.push_str(&body(layout, part, touch));
        corners = ('├', '┤');
    }
    if let Some(last) = layout.parts.last() {
        text.push_str(&border(layout, last.end, ('└', '┘')));
    }
    let legend = [
        (Accessibility::Guard, "never accessible"),
        (Accessibility::Inaccessible, "inaccessible for now"),
        (Accessibility::Grows, "a touch is growth"),
    ];
    let legend = legend
        .into_iter()
        .filter(|(accessibility, _)| layout.parts.iter().any(|part| part.accessibility == *accessibility));
    let legend: Vec<_> =
        legend.map(|(accessibility, what)| format!("{} {what}", fill(accessibility))).collect();
    text.push_str(&format!("{:OFFSET$}   {}", "", legend.join("  ")));
    text
}

/// The line above a part, with its offset and the names for it.
fn border(layout: &Layout, at: i64, (left, right): (char, char)) -> String {
    let names: Vec<_> =
        layout.marks.iter().filter(|mark| mark.at == at).map(|mark| mark.name.as_str()).collect();
    let names = if names.is_empty() { String::new() } else { format!(" {}", names.join(", ")) };
    format!("{at:>OFFSET$} {left}{}{right}{names}\n", "─".repeat(INSIDE))
}

fn body(layout: &Layout, part: &Part, touch: &str) -> String {
    let fill = fill(part.accessibility);
    let side = |content: &str| format!("{:OFFSET$} │{content}│", "");
    let label = format!(" {} ", part.what);
    let mut text = format!("{} {} B\n", side(&centred(&label, fill)), part.end - part.start);
    if (part.start..part.end).contains(&layout.touched) {
        let row = fill.to_string().repeat(INSIDE);
        text.push_str(&format!("{} ◄── {touch} at {}\n", side(&row), layout.touched));
    }
    text
}

fn fill(accessibility: Accessibility) -> char {
    match accessibility {
        Accessibility::Accessible => ' ',
        Accessibility::Grows => '·',
        Accessibility::Inaccessible => '░',
        Accessibility::Guard => '▓',
    }
}

/// The label in the middle of the box.
fn centred(label: &str, fill: char) -> String {
    let label: String = label.chars().take(INSIDE).collect();
    let room = INSIDE - label.chars().count();
    let fill = |columns: usize| fill.to_string().repeat(columns);
    format!("{}{label}{}", fill(room / 2), fill(room - room / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Layout {
        let mut layout = Layout::new(0x10000, 4096);
        layout.up_to(100, "allocation", Accessibility::Accessible);
        layout.up_to(100, "nothing", Accessibility::Accessible);
        layout.up_to(1 << 40, "tail", Accessibility::Grows);
        layout.up_to((1 << 40) + 4096, "guard behind a name that is too long for it", Accessibility::Guard);
        layout.mark(100, "frontier");
        layout.mark(100, "another");
        layout.touched = -1;
        layout
    }

    #[test]
    fn drawings_fit_80_columns() {
        let text = draw(&example(), "write");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(text.contains("1099511631872 └"), "{text}");
        assert!(!text.contains("nothing"), "{text}");
        assert!(text.contains("100 ├───────────────────────────────────┤ frontier, another\n"), "{text}");
    }

    #[test]
    fn the_arrow_is_at_the_part_that_was_touched() {
        for (touched, what) in [(-1, "before the head"), (0, "allocation"), (99, "allocation"), (100, "tail")]
        {
            let text = draw(&Layout { touched, ..example() }, "read");
            let lines: Vec<_> = text.lines().collect();
            let arrow =
                lines.iter().position(|line| line.ends_with(&format!("◄── read at {touched}"))).unwrap();
            assert!(lines[arrow - 1].contains(what), "{text}");
            assert_eq!(text.matches('◄').count(), 1, "{text}");
        }
    }
}
