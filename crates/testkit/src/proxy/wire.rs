//! HTTP/1.1 messages, as far as a proxy must know where they end.

use std::io::{self, BufRead, Read as _, Write};

/// No head is longer.
const MAX_HEAD: u64 = 1 << 20;

/// A whole request.
pub(super) struct Request {
    pub(super) method: String,
    /// Without the query.
    pub(super) path: String,
    /// As it came.
    pub(super) bytes: Vec<u8>,
}

/// What stands behind a message's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Length(u64),
    Chunked,
    /// Until the connection closes.
    ToEnd,
}

/// The next request of a connection; none if it was closed.
pub(super) fn read_request(from: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(head) = read_head(from)? else { return Ok(None) };
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let (method, path) = (method.to_owned(), path.to_owned());
    // A request without a length has no body.
    let body = match body(&head) {
        Body::ToEnd => Body::Length(0),
        body @ (Body::Length(_) | Body::Chunked) => body,
    };
    let mut bytes = head.into_bytes();
    copy_body(from, &mut bytes, body)?;
    Ok(Some(Request { method, path, bytes }))
}

/// Copies an answer as it comes, interim ones before it too.
pub(super) fn copy_answer(from: &mut impl BufRead, to: &mut impl Write, is_head: bool) -> io::Result<()> {
    loop {
        let head = read_head(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        to.write_all(head.as_bytes())?;
        let status = head.split(' ').nth(1).unwrap_or_default();
        if status.starts_with('1') {
            continue;
        }
        let empty = is_head || matches!(status, "204" | "304");
        copy_body(from, to, if empty { Body::Length(0) } else { body(&head) })?;
        return to.flush();
    }
}

/// An answer without a body.
pub(super) fn write_status(to: &mut impl Write, status: u16) -> io::Result<()> {
    to.write_all(format!("HTTP/1.1 {status} Broken On Purpose\r\ncontent-length: 0\r\n\r\n").as_bytes())
}

/// A message's head with the empty line behind it.
fn read_head(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    let mut from = from.take(MAX_HEAD);
    loop {
        let start = head.len();
        match (from.read_line(&mut head)?, &head[start..]) {
            (0, _) if start == 0 => return Ok(None),
            (0, _) => return Err(io::ErrorKind::UnexpectedEof.into()),
            (_, "\r\n") => return Ok(Some(head)),
            _ => {}
        }
    }
}

fn body(head: &str) -> Body {
    let header = |wanted: &str| {
        head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Body::Chunked;
    }
    header("content-length").and_then(|value| value.parse().ok()).map_or(Body::ToEnd, Body::Length)
}

fn copy_body(from: &mut impl BufRead, to: &mut impl Write, body: Body) -> io::Result<()> {
    match body {
        Body::Length(length) => copy(from, to, length),
        Body::ToEnd => io::copy(from, to).map(drop),
        Body::Chunked => loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            to.write_all(line.as_bytes())?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            if size == 0 {
                // Trailers, and the empty line.
                while line != "\r\n" && !line.is_empty() {
                    line.clear();
                    from.read_line(&mut line)?;
                    to.write_all(line.as_bytes())?;
                }
                return Ok(());
            }
            copy(from, to, size + 2)?;
            to.flush()?;
        },
    }
}

/// Copies exactly so many bytes.
fn copy(from: &mut impl BufRead, to: &mut impl Write, length: u64) -> io::Result<()> {
    match io::copy(&mut from.take(length), to)? == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
