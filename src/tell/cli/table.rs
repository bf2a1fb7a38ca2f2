//! Tables without borders: columns in line, cut to the terminal, left whole when piped.

use crate::tell::terminal::{clean_line, cut, width};

use super::ui::{Paint, Tone};

/// Blanks between columns.
const GAP: usize = 2;
/// A column is never made narrower than this; a terminal that is narrower still cuts the line.
const COLUMN_MIN: usize = 6;

/// A cell: text and what it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// Any text, made harmless and put on one line.
    #[must_use]
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: clean_line(text.as_ref()), tone: Tone::Plain }
    }

    #[must_use]
    pub fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows under headings.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headings: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        Self { headings: headings.iter().map(|text| Cell::new(text).tone(Tone::Strong)).collect(), rows: Vec::new() }
    }

    /// Adds a row; missing cells are empty, surplus ones are a mistake of the caller.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut cells: Vec<Cell> = cells.into_iter().collect();
        debug_assert!(cells.len() <= self.headings.len(), "a row has more cells than the table has columns");
        cells.resize(self.headings.len(), Cell::default());
        self.rows.push(cells);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as lines. `cells_max` is the width of the terminal; none leaves every cell whole.
    #[must_use]
    pub fn render(&self, cells_max: Option<usize>, paint: Paint) -> String {
        let mut widths: Vec<usize> = (0..self.headings.len())
            .map(|column| self.lines().map(|row| width(&row[column].text)).max().unwrap_or(0))
            .collect();
        if let Some(cells_max) = cells_max {
            shrink(&mut widths, cells_max);
        }
        self.lines().map(|row| line(row, &widths, cells_max, paint)).collect()
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<Cell>> {
        std::iter::once(&self.headings).chain(&self.rows)
    }
}

/// Takes from the widest column until all fit, or until none can give more.
fn shrink(widths: &mut [usize], cells_max: usize) {
    let gaps = GAP * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > cells_max {
        let Some(widest) = widths.iter_mut().filter(|width| **width > COLUMN_MIN).max_by_key(|width| **width) else {
            return;
        };
        *widest -= 1;
    }
}

fn line(row: &[Cell], widths: &[usize], cells_max: Option<usize>, paint: Paint) -> String {
    let mut text = String::new();
    let mut used = 0;
    let mut owed = 0; // blanks that are only written when something follows them
    for (cell, column) in row.iter().zip(widths) {
        let left = cells_max.map_or(usize::MAX, |max| max.saturating_sub(used + owed));
        let shown = cut(&cell.text, (*column).min(left));
        let cells = width(&shown);
        if cells > 0 {
            text.extend(std::iter::repeat_n(' ', owed));
            used += owed + cells;
            owed = 0;
            text.push_str(&paint.tone(&shown, cell.tone));
        }
        owed += column - cells.min(*column) + GAP;
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["NAME", "STATE", "REASON"]);
        table.row(["qwen2.5-7b-q4".into(), Cell::new("loaded").tone(Tone::Good), "".into()]);
        table.row(["漢字".into(), "".into(), "a reason that goes\non for longer than the terminal is wide".into()]);
        table
    }

    #[test]
    fn a_pipe_gets_whole_cells_in_plain_columns() {
        insta::assert_snapshot!(sample().render(None, Paint { on: false }), @"
        NAME           STATE   REASON
        qwen2.5-7b-q4  loaded
        漢字                   a reason that goes on for longer than the terminal is wide
        ");
    }

    #[test]
    fn a_terminal_gets_a_table_that_fits_it() {
        insta::assert_snapshot!(sample().render(Some(40), Paint { on: false }), @"
        NAME           STATE   REASON
        qwen2.5-7b-q4  loaded
        漢字                   a reason that go…
        ");
    }

    #[test]
    fn colour_changes_no_column() {
        let coloured = sample().render(Some(40), Paint { on: true });
        assert!(coloured.contains("\u{1b}[32mloaded\u{1b}[0m"));
        let plain = ["\u{1b}[32m", "\u{1b}[1m", "\u{1b}[0m"].iter().fold(coloured, |text, sgr| text.replace(sgr, ""));
        assert_eq!(plain, sample().render(Some(40), Paint { on: false }));
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal_or_ends_in_blanks(
            cells in proptest::collection::vec(("\\PC{0,40}", "[a-z漢 ]{0,60}"), 0..6), max in 1_usize..100,
        ) {
            let mut table = Table::new(&["FIRST", "SECOND"]);
            for (first, second) in &cells {
                table.row([first.into(), second.into()]);
            }
            let text = table.render(Some(max), Paint { on: false });
            prop_assert_eq!(text.lines().count(), cells.len() + 1);
            for line in text.lines() {
                prop_assert!(width(line) <= max, "{:?} in {}", line, max);
                prop_assert!(!line.ends_with(' '));
            }
        }
    }
}
