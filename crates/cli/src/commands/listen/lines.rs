//! The lines of a file that may be anything.

use std::io::{self, BufRead};

/// Lines in the order of a file, none kept longer than it is looked at, and of none more than a bound.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    max: usize,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Of a line that is longer, `max` and one bytes are kept.
    pub(super) fn new(from: R, max: usize) -> Self {
        Self { from, max, line: Vec::new(), number: 0 }
    }

    /// The next line that isn't blank, and its number, from 1.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        loop {
            if !self.read()? {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((self.number, &self.line)));
            }
        }
    }

    /// Reads up to the next line's end; false at the file's.
    fn read(&mut self) -> io::Result<bool> {
        self.line.clear();
        let mut begun = false;
        loop {
            let bytes = match self.from.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            if bytes.is_empty() {
                return Ok(begun);
            }
            begun = true;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let room = (self.max + 1).saturating_sub(self.line.len());
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            let taken = part.len() + usize::from(end.is_some());
            self.from.consume(taken);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn lines(text: &str, max: usize) -> Vec<(u64, String)> {
        // A buffer so small that lines go over its end.
        let mut lines = Lines::new(BufReader::with_capacity(3, text.as_bytes()), max);
        let mut all = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            all.push((number, String::from_utf8(line.to_vec()).unwrap()));
        }
        all
    }

    #[test]
    fn blank_lines_count_and_are_passed_over() {
        let all = lines("first\n\n  \r\nfourth\r\nlast", 100);
        assert_eq!(all, [(1, "first".into()), (4, "fourth\r".into()), (5, "last".into())]);
        assert_eq!(lines("", 100), []);
    }

    #[test]
    fn of_a_line_without_end_a_bounded_part_is_kept() {
        assert_eq!(lines("0123456789\nab\n", 4), [(1, "01234".into()), (2, "ab".into())]);
    }
}
