//! Rows whose columns line up.

use console::measure_text_width;

/// What stands between two columns.
const GAP: usize = 2;
/// The last column is not made narrower than this: a line that the terminal breaks reads better than a ribbon.
const NARROWEST: usize = 20;

/// Rows of text in columns, the last of which is wrapped to the terminal's width.
#[derive(Debug)]
pub(crate) struct Columns {
    rows: Vec<Vec<String>>,
    width: Option<usize>,
}

impl Columns {
    /// No rows yet. `width` is the terminal's; nothing is wrapped without one.
    pub(crate) fn new(width: Option<u16>) -> Self {
        Self { rows: Vec::new(), width: width.map(usize::from) }
    }

    /// One more row. A row of one cell stands for itself: its length counts for no column. No cell has a line end: a label
    /// with one doesn't look like two.
    pub(crate) fn row<I: IntoIterator<Item = S>, S: Into<String>>(&mut self, cells: I) {
        self.rows.push(cells.into_iter().map(|cell| cell.into().replace('\n', "\\u{a}")).collect());
    }

    /// The lines, ended each.
    pub(crate) fn text(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let (last, before) = match row.split_last() {
                Some((last, before)) if before.len() + 1 == widths.len() => (last.as_str(), before),
                Some(_) | None => ("", row.as_slice()),
            };
            let mut line = String::new();
            for (cell, width) in before.iter().zip(&widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat((width + GAP).saturating_sub(measure_text_width(cell))));
            }
            let indent: usize = widths.iter().rev().skip(1).map(|width| width + GAP).sum();
            let room = self.width.map(|width| width.saturating_sub(indent).max(NARROWEST));
            for (n, part) in wrap(last, room).into_iter().enumerate() {
                let start = if n == 0 { std::mem::take(&mut line) } else { " ".repeat(indent) };
                text.push_str(format!("{start}{part}").trim_end());
                text.push('\n');
            }
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let full = || self.rows.iter().filter(|row| columns < 2 || row.len() > 1);
        (0..columns)
            .map(|n| full().filter_map(|row| row.get(n)).map(|cell| measure_text_width(cell)).max().unwrap_or_default())
            .collect()
    }
}

/// The words in lines of at most `room` columns, where a word itself is not longer.
fn wrap(text: &str, room: Option<usize>) -> Vec<String> {
    let Some(room) = room.filter(|room| measure_text_width(text) > *room) else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.len() - 1;
        let used = measure_text_width(&lines[line]);
        if used > 0 && used + 1 + measure_text_width(word) > room {
            lines.push(word.to_owned());
        } else {
            if used > 0 {
                lines[line].push(' ');
            }
            lines[line].push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_blanks() {
        let mut columns = Columns::new(None);
        columns.row(["a", "bb", "c"]);
        columns.row(["long", "b", ""]);
        columns.row(["a row of its own"]);
        assert_eq!(columns.text(), "a     bb  c\nlong  b\na row of its own\n");
    }

    #[test]
    fn a_cell_has_no_line_end() {
        let mut columns = Columns::new(None);
        columns.row(["a\nb", "c"]);
        assert_eq!(columns.text(), "a\\u{a}b  c\n");
    }

    #[test]
    fn a_narrow_terminal_wraps_the_last_column() {
        let mut columns = Columns::new(Some(27));
        columns.row(["label", "one two three four five"]);
        assert_eq!(columns.text(), "label  one two three four\n       five\n");
    }

    #[test]
    fn colours_take_no_room() {
        let mut columns = Columns::new(None);
        columns.row(["\u{1b}[32mok\u{1b}[0m", "x"]);
        columns.row(["fine", "y"]);
        assert_eq!(columns.text(), "\u{1b}[32mok\u{1b}[0m    x\nfine  y\n");
    }
}
