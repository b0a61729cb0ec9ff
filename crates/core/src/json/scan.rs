//! The fast reader, for the layout that the reference writes: keys sorted, two spaces a level, one key a line.
//!
//! In that layout a task begins with `\n  "label": {\n    "` and ends with `\n  }`. A JSON string holds no raw newline,
//! so neither can be part of one: whatever a task contains, its lines are deeper. So it is enough to search for line
//! ends of that one shape, which `memmem` does about as fast as memory can be read. All that stands *between* tasks
//! is checked byte for byte; what stands *in* them is when they are used.

use memchr::{memchr2, memmem};

use super::{MAX_LABEL_BYTES, MAX_LABELS, MAX_TASK_BYTES, Span, Spans};

const FILE_START: &[u8] = b"{\n  \"";
const LABEL_END: &[u8] = b"\": {\n    \"";
/// From the start of [`LABEL_END`] to the brace in it.
const BRACE: usize = 3;
const TASK_END: &[u8] = b"\n  }";
const NEXT_LABEL: &[u8] = b",\n  \"";
const FILE_END: &[u8] = b"\n}";

/// Where labels and tasks stand, if `bytes` has the reference writer's layout as far as this can see; none where the
/// typed reader has to look.
pub(super) fn scan(bytes: &[u8]) -> Option<Spans> {
    let task_end = memmem::Finder::new(TASK_END);
    let mut spans = Spans::new();
    let mut at = bytes.starts_with(FILE_START).then_some(FILE_START.len())?;
    loop {
        let label_end = end_of_string(bytes, at)?;
        let value_start = label_end + BRACE;
        bytes.get(label_end..)?.starts_with(LABEL_END).then_some(())?;
        let value_end = value_start + task_end.find(bytes.get(value_start..)?)? + TASK_END.len();
        if spans.labels.len() == MAX_LABELS || value_end - value_start > MAX_TASK_BYTES {
            return None;
        }
        spans.push(bytes, Span::new(at, label_end)?, Span::new(value_start, value_end)?).ok()?;
        let rest = bytes.get(value_end..)?;
        if rest.starts_with(NEXT_LABEL) {
            at = value_end + NEXT_LABEL.len();
        } else {
            let behind = rest.strip_prefix(FILE_END)?;
            return behind.iter().all(|byte| b" \t\r\n".contains(byte)).then_some(spans);
        }
    }
}

/// Where the string that starts at `at`, behind its opening quote, has its closing quote.
fn end_of_string(bytes: &[u8], at: usize) -> Option<usize> {
    let reach = bytes.len().min(at.checked_add(MAX_LABEL_BYTES + 1)?);
    let text = bytes.get(at..reach)?;
    let mut from = 0;
    loop {
        let found = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[found] == b'"' {
            // Control characters are no part of a JSON string.
            return text[..found].iter().all(|byte| *byte >= b' ').then_some(at + found);
        }
        from = found + 2;
    }
}
