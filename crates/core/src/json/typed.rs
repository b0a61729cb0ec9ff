//! The reader for any layout: a JSON parser that keeps only where keys and values stand.

use std::fmt;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{MAX_LABEL_BYTES, MAX_LABELS, ReadError, Span, Spans};

/// Where labels and tasks stand in any JSON object.
pub(super) fn read(bytes: &[u8]) -> Result<Spans, ReadError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ReadError::Syntax(error.to_string()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let spans = reader.deserialize_map(Entries { text });
    let spans = spans.and_then(|spans| reader.end().map(|()| spans));
    let spans = spans.map_err(|error| ReadError::Syntax(error.to_string()))?;
    if spans.labels.len() > MAX_LABELS {
        return Err(ReadError::TooLarge { what: "labels", limit: MAX_LABELS });
    }
    if spans.labels.iter().any(|label| label.len as usize > MAX_LABEL_BYTES) {
        return Err(ReadError::TooLarge { what: "bytes in one label", limit: MAX_LABEL_BYTES });
    }
    Ok(spans)
}

struct Entries<'t> {
    /// The text that the raw values are parts of.
    text: &'t str,
}

impl Entries<'_> {
    fn span(&self, raw: &str) -> Option<Span> {
        let start = raw.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?;
        Span::new(start, start + raw.len())
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Spans;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tasks")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Spans, A::Error> {
        let mut spans = Spans::new();
        while let Some(label) = entries.next_key::<&'de RawValue>()? {
            if spans.labels.len() > MAX_LABELS {
                // Too many: the caller says so. The rest is only checked.
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let quoted = self.span(label.get());
            let value = self.span(entries.next_value::<&'de RawValue>()?.get());
            let (Some(quoted), Some(value)) = (quoted, value) else {
                return Err(A::Error::custom("an entry above 4 GiB"));
            };
            let label = Span::new(quoted.start + 1, quoted.end() - 1);
            let label = label.ok_or_else(|| A::Error::custom("a key that is no string"))?;
            spans.push(self.text.as_bytes(), label, value).map_err(A::Error::custom)?;
        }
        Ok(spans)
    }
}
