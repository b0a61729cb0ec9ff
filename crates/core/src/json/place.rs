//! Where in a JSON text something is: from an offset to a JSON pointer, for messages. Slow, and only used on errors.

/// What a JSON error says, without the line and column that the pointer replaces.
pub(super) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.contains("surrogate") || text.contains("unexpected end of hex escape") {
        return "a lone surrogate, which is no text".to_owned();
    }
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// The offset that an error names by line and column.
pub(super) fn offset(text: &[u8], error: &serde_json::Error) -> usize {
    let mut start = 0;
    for _ in 1..error.line() {
        start += memchr::memchr(b'\n', &text[start..]).map_or(0, |at| at + 1);
    }
    (start + error.column().saturating_sub(1)).min(text.len())
}

/// Appends one step, escaped.
pub(super) fn push_step(pointer: &mut String, step: &str) {
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
}

/// The position behind the string that opens at `at`, or the end of the text.
pub(super) fn string_end(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = text.get(end) {
        match byte {
            b'"' => return end + 1,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    text.len()
}

/// An array or object that is open at some position.
enum Open {
    Array {
        index: usize,
    },
    /// `key` is the last that was read; `value` is whether its colon has been passed.
    Object {
        key: String,
        value: bool,
    },
}

/// The JSON pointer of the innermost value around `offset`. The text may be invalid from there on.
pub(super) fn pointer(text: &[u8], offset: usize) -> String {
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while at < text.len().min(offset.saturating_add(1)) {
        match text[at] {
            b'"' => {
                let end = string_end(text, at);
                if let Some(Open::Object { key, value: false }) = open.last_mut() {
                    *key = text_of(&text[at..end]);
                }
                at = end;
                continue;
            }
            b'{' => open.push(Open::Object { key: String::new(), value: false }),
            b'[' => open.push(Open::Array { index: 0 }),
            // The closing bracket still belongs to what it closes.
            b'}' | b']' if at < offset => drop(open.pop()),
            b':' => {
                if let Some(Open::Object { value, .. }) = open.last_mut() {
                    *value = true;
                }
            }
            b',' => match open.last_mut() {
                Some(Open::Array { index }) => *index += 1,
                Some(Open::Object { value, .. }) => *value = false,
                None => {}
            },
            _ => {}
        }
        at += 1;
    }
    let mut pointer = String::new();
    for step in open {
        match step {
            Open::Array { index } => push_step(&mut pointer, &index.to_string()),
            Open::Object { key, .. } if key.is_empty() => {}
            Open::Object { key, .. } => push_step(&mut pointer, &key),
        }
    }
    pointer
}

/// A key for a message: unescaped where that is possible.
fn text_of(quoted: &[u8]) -> String {
    serde_json::from_slice(quoted).unwrap_or_else(|_| String::from_utf8_lossy(quoted).trim_matches('"').to_owned())
}
