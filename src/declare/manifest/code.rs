//! Diagnostic codes: each has a number that never changes and a page that `arcology explain CODE` prints.
//!
//! Hundreds: 1 files and syntax, 2 structure and values (this file); 3 references and the world, 4 pruning
//! (`declare::world::code`).

/// A code, its title, and its page in Markdown.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    pub code: &'static str,
    pub title: &'static str,
    pub page: &'static str,
}
