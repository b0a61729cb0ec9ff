//! Writing JSON byte for byte as the reference does: Python's `json.dumps(…, sort_keys=True, indent=2,
//! separators=(",", ": "))`.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::ops::Range;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter};

/// `value` as the reference writes it: keys sorted by code point, two spaces a level, non-ASCII escaped, floats as
/// Python prints them, no newline at the end. All keys have to be texts.
#[must_use]
pub fn to_string_sorted(value: &impl Serialize) -> String {
    let Ok(text) = to_string_sorted_within(value, |_| Ok::<_, Infallible>(()));
    text
}

/// The same while there is room for it: that is asked for from time to time, with the bytes that it has by then or soon
/// after. While it is put in order it is in memory twice.
///
/// # Errors
/// What asking for room fails with.
pub fn to_string_sorted_within<E>(
    value: &impl Serialize,
    mut room: impl FnMut(usize) -> Result<(), E>,
) -> Result<String, E> {
    let (mut out, mut refused) = (String::new(), None);
    let mut room = |bytes| room(bytes).map_err(|why| refused = Some(why)).is_ok();
    let sorted = Sorted {
        out: &mut out,
        room: &mut room,
        granted: STEP,
        level: 0,
        objects: Vec::new(),
        entries: Vec::new(),
        keys: String::new(),
        in_key: false,
    };
    // Writing to a text fails of nothing else.
    let _ = value.serialize(&mut serde_json::Serializer::with_formatter(io::sink(), sorted));
    refused.map_or(Ok(out), Err)
}

/// For how many bytes more room is asked at once.
const STEP: usize = 64 * 1024;

/// Writes to a text rather than to the writer that it is given, since what was written may have to be put in order.
struct Sorted<'a> {
    out: &'a mut String,
    room: &'a mut dyn FnMut(usize) -> bool,
    /// For how many bytes there is room.
    granted: usize,
    level: usize,
    /// The objects that are being written, outermost first.
    objects: Vec<Object>,
    /// The entries of all of them.
    entries: Vec<Entry>,
    /// The entries' keys, unescaped.
    keys: String,
    in_key: bool,
}

struct Object {
    /// Its first entry's place among all.
    first: usize,
    /// Where its entries begin in the text.
    start: usize,
    in_order: bool,
}

struct Entry {
    /// Where it begins in the text.
    start: usize,
    /// Where its key stands among the keys.
    key: Range<usize>,
}

impl Sorted<'_> {
    /// Whether there is room for what was written and `more` bytes.
    fn reserve(&mut self, more: usize) -> io::Result<()> {
        let bytes = self.out.len() + more;
        if bytes > self.granted {
            self.granted = bytes + STEP;
            if !(self.room)(self.granted) {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
        }
        Ok(())
    }

    fn new_line(&mut self) -> io::Result<()> {
        self.reserve(1 + 2 * self.level)?;
        self.out.push('\n');
        for _ in 0..self.level {
            self.out.push_str("  ");
        }
        Ok(())
    }

    /// A text that needs no escapes.
    fn plain(&mut self, text: &str) -> io::Result<()> {
        if self.in_key {
            self.keys.push_str(text);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn open(&mut self, open: char) {
        self.out.push(open);
        self.level += 1;
    }

    /// Ends what `open` began; on a line of its own unless there is nothing inside.
    fn close(&mut self, open: char, close: char) -> io::Result<()> {
        self.level -= 1;
        if !self.out.ends_with(open) {
            self.new_line()?;
        }
        self.out.push(close);
        Ok(())
    }

    /// Puts an object's entries in the order of their keys: by bytes, which for UTF-8 is by code point.
    fn put_in_order(&mut self, object: &Object) {
        let entries = &mut self.entries[object.first..];
        let written = self.out.split_off(object.start);
        let ends = entries.iter().skip(1).map(|next| next.start - 1).chain([object.start + written.len()]);
        let mut parts: Vec<(&str, &str)> = entries
            .iter()
            .zip(ends)
            .map(|(entry, end)| {
                (&self.keys[entry.key.clone()], &written[entry.start - object.start..end - object.start])
            })
            .collect();
        parts.sort_by_key(|(key, _)| *key);
        for (n, (_, part)) in parts.into_iter().enumerate() {
            if n > 0 {
                self.out.push(',');
            }
            self.out.push_str(part);
        }
    }
}

/// The ways to write a whole number, which all are to write its digits.
macro_rules! whole_numbers {
    ($($name:ident: $number:ty),+) => {
        $(fn $name<W: ?Sized + io::Write>(&mut self, _: &mut W, value: $number) -> io::Result<()> {
            self.plain(&value.to_string())
        })+
    };
}

impl Formatter for Sorted<'_> {
    whole_numbers! {
        write_i8: i8, write_i16: i16, write_i32: i32, write_i64: i64, write_i128: i128,
        write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_u128: u128
    }

    fn write_null<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.plain("null")
    }

    fn write_bool<W: ?Sized + io::Write>(&mut self, _: &mut W, value: bool) -> io::Result<()> {
        self.plain(if value { "true" } else { "false" })
    }

    fn write_f32<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        self.write_f64(writer, f64::from(value))
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, _: &mut W, value: f64) -> io::Result<()> {
        self.plain(&python_float(value))
    }

    fn begin_string<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.out.push('"');
        Ok(())
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin_string(writer)
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, _: &mut W, fragment: &str) -> io::Result<()> {
        if self.in_key {
            self.keys.push_str(fragment);
        }
        let mut rest = fragment;
        self.reserve(rest.len())?;
        while let Some(at) = rest.bytes().position(|byte| !matches!(byte, b' '..=b'~')) {
            // All before `at` is ASCII, so a character starts there.
            let (plain, special) = rest.split_at(at);
            self.out.push_str(plain);
            let mut chars = special.chars();
            if let Some(char) = chars.next() {
                write_units(char, self.out);
            }
            rest = chars.as_str();
            self.reserve(rest.len())?;
        }
        self.out.push_str(rest);
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(&mut self, _: &mut W, escape: CharEscape) -> io::Result<()> {
        let (char, short) = match escape {
            CharEscape::Quote => ('"', "\\\""),
            CharEscape::ReverseSolidus => ('\\', "\\\\"),
            CharEscape::Solidus => ('/', "/"),
            CharEscape::Backspace => ('\u{8}', "\\b"),
            CharEscape::FormFeed => ('\u{c}', "\\f"),
            CharEscape::LineFeed => ('\n', "\\n"),
            CharEscape::CarriageReturn => ('\r', "\\r"),
            CharEscape::Tab => ('\t', "\\t"),
            CharEscape::AsciiControl(byte) => (char::from(byte), ""),
        };
        if self.in_key {
            self.keys.push(char);
        }
        match short {
            "" => write_units(char, self.out),
            short => self.out.push_str(short),
        }
        Ok(())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.open('[');
        Ok(())
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        if !first {
            self.out.push(',');
        }
        self.new_line()
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.close('[', ']')
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.open('{');
        self.objects.push(Object { first: self.entries.len(), start: self.out.len(), in_order: true });
        Ok(())
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W, first: bool) -> io::Result<()> {
        if !first {
            self.out.push(',');
        }
        self.entries.push(Entry { start: self.out.len(), key: self.keys.len()..self.keys.len() });
        self.new_line()?;
        self.in_key = true;
        Ok(())
    }

    fn end_object_key<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_key = false;
        let (Some(object), Some((entry, before))) = (self.objects.last_mut(), self.entries.split_last_mut()) else {
            return Ok(());
        };
        entry.key.end = self.keys.len();
        if let Some(last) = before.get(object.first..).and_then(<[Entry]>::last) {
            object.in_order &= self.keys[last.key.clone()] <= self.keys[entry.key.clone()];
        }
        Ok(())
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.out.push_str(": ");
        Ok(())
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, _: &mut W) -> io::Result<()> {
        if let Some(object) = self.objects.pop() {
            if !object.in_order {
                self.put_in_order(&object);
            }
            if let Some(first) = self.entries.get(object.first) {
                self.keys.truncate(first.key.start);
            }
            self.entries.truncate(object.first);
        }
        self.close('{', '}')
    }
}

/// A character as `\u` and four digits, twice where UTF-16 has two units of it.
fn write_units(char: char, out: &mut String) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        // Writing to a string can't fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

/// Python's `repr`: the shortest digits that read back as the same float, with an exponent (of at least two digits)
/// from 1e16 on and below 1e-4.
fn python_float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        let plain = format!("{float}");
        if plain.contains('.') { plain } else { plain + ".0" }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn floats_are_written_as_python_prints_them() {
        let floats = [
            (1e16, "1e+16"),
            (1e-5, "1e-05"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (-0.0, "-0.0"),
            (5e-324, "5e-324"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (-2.5, "-2.5"),
        ];
        for (float, expected) in floats {
            assert_eq!(to_string_sorted(&json!(float)), expected);
        }
    }

    #[test]
    fn no_more_is_written_than_there_is_room_for() {
        let value = json!({"z": vec![json!({"b": [[], [1]], "a": "x".repeat(1000)}); 1000], "a": "é".repeat(50_000)});
        let whole = to_string_sorted(&value);
        let mut most = 0;
        let written = to_string_sorted_within(&value, |bytes| {
            assert!(bytes > most, "{bytes} was granted before");
            most = bytes;
            Ok::<_, ()>(())
        });
        assert_eq!(written.as_ref(), Ok(&whole));
        assert!((whole.len()..whole.len() + 2 * STEP).contains(&most), "{most} of {}", whole.len());
        assert_eq!(
            to_string_sorted_within(&value, |bytes| if bytes < whole.len() / 2 { Ok(()) } else { Err(7) }),
            Err(7)
        );
        let little = to_string_sorted_within(&json!([1]), |_| Err(7));
        assert_eq!(little.as_deref(), Ok("[\n  1\n]"), "little needs none");
    }

    #[derive(Serialize)]
    struct Unordered {
        z: Vec<Tagged>,
        #[serde(flatten)]
        more: std::collections::HashMap<String, u8>,
        b: (),
        a: Option<Box<Unordered>>,
    }

    #[derive(Serialize)]
    #[serde(tag = "is")]
    enum Tagged {
        #[serde(rename = "first")]
        First { z: f32, n: i8, a: [(); 0] },
    }

    #[test]
    fn whatever_is_written_is_in_the_order_of_its_keys() {
        // A quote and a backslash stand in the text otherwise than they are ordered, as does what is not ASCII.
        let more: std::collections::HashMap<String, u8> =
            ["\"", "!", "é", "y", "\\", "]", "\u{1}", "😀", "\u{ffee}", "", "\n\"x"]
                .map(|key| (key.to_owned(), 7))
                .into();
        let first = || Tagged::First { z: 0.5, n: -3, a: [] };
        let inner = Unordered { z: vec![first(), first()], more: more.clone(), b: (), a: None };
        let outer = Unordered { z: Vec::new(), more, b: (), a: Some(Box::new(inner)) };
        let ordered = serde_json::to_value(&outer).unwrap();
        assert_eq!(to_string_sorted(&outer), to_string_sorted(&ordered));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&to_string_sorted(&outer)).unwrap(), ordered);
    }

    #[test]
    fn the_layout_is_the_references() {
        let value = json!({"b": [1, {}], "a": [], "é😀\u{7f}": "\u{1}\"\\\n", "Z": {"x": -1, "y": u64::MAX}});
        let expected = r#"{
  "Z": {
    "x": -1,
    "y": 18446744073709551615
  },
  "a": [],
  "b": [
    1,
    {}
  ],
  "\u00e9\ud83d\ude00\u007f": "\u0001\"\\\n"
}"#;
        assert_eq!(to_string_sorted(&value), expected);
    }
}
