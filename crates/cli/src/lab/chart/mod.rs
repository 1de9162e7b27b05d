//! Charts as SVG, with their text as text.
//!
//! They are told apart without seeing colours: what has a colour of its own has a hatching, or a mark and a dash, of
//! its own as well. Bars begin at zero.

mod axis;
mod bars;
mod canvas;
mod lines;
pub mod style;

pub use self::{
    bars::{Bar, Bars, Group},
    lines::{Axis, Line, Lines},
};

/// A drawing that is done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// Of its file, without the bench's name and the ending: `time-by-step`.
    pub name: String,
    /// What it shows, for who cannot see it.
    pub title: String,
    /// A whole SVG document, without declarations, ids or script: it may stand inside of HTML.
    pub svg: String,
}
