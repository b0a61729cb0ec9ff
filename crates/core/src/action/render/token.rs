//! The words of an expression, read one at a time: what follows the `}` of a `${…}` is never looked at.

use super::error::{Problem, quoted};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Number(&'a str),
    Name(&'a str),
    /// Without its quotes. There are no escapes.
    Text(&'a str),
    /// `true`, `false`, `null`, `in`, and everything that is not a letter.
    Symbol(&'static str),
    End,
}

/// Longer ones first.
const SYMBOLS: &[&str] = &[
    "**", ">=", "<=", "==", "!=", "&&", "||", "+", "-", "*", "/", "[", "]", ".", "(", ")", "{", "}", ":", ",", "<",
    ">", "!",
];
const WORDS: &[&str] = &["true", "false", "null", "in"];

pub(super) struct Tokens<'a> {
    source: &'a str,
    /// Where the next token is looked for.
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, at: 0 }
    }

    /// The next token and the byte offset at which it begins.
    pub(super) fn next(&mut self) -> Result<(Token<'a>, usize), Problem> {
        let rest = &self.source[self.at..];
        let trimmed = rest.trim_start();
        let start = self.at + (rest.len() - trimmed.len());
        let Some(first) = trimmed.chars().next() else {
            self.at = start;
            return Ok((Token::End, start));
        };
        let (token, length) = match first {
            '0'..='9' => number(trimmed),
            'a'..='z' | 'A'..='Z' | '_' => word(trimmed),
            '\'' | '"' => text(trimmed, first).ok_or_else(|| self.unexpected(trimmed))?,
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| trimmed.starts_with(**symbol));
                symbol.map(|symbol| (Token::Symbol(symbol), symbol.len())).ok_or_else(|| self.unexpected(trimmed))?
            }
        };
        self.at = start + length;
        Ok((token, start))
    }

    fn unexpected(&self, rest: &str) -> Problem {
        Problem::Syntax(format!("Unexpected input for '{}' at '{}'", quoted(self.source), quoted(rest)))
    }
}

fn number(rest: &str) -> (Token<'_>, usize) {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(rest);
    if let Some(decimals) = rest[length..].strip_prefix('.').map(digits)
        && decimals > 0
    {
        length += 1 + decimals;
    }
    (Token::Number(&rest[..length]), length)
}

fn word(rest: &str) -> (Token<'_>, usize) {
    let length = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let word = &rest[..length];
    let token = WORDS.iter().find(|known| **known == word).map_or(Token::Name(word), |known| Token::Symbol(known));
    (token, length)
}

fn text(rest: &str, quote: char) -> Option<(Token<'_>, usize)> {
    let inner = &rest[1..];
    let length = inner.find(quote)?;
    Some((Token::Text(&inner[..length]), length + 2))
}
