//! `${…}` in texts and keys.

use super::bounds::{Meter, check_bytes};
use super::error::{Problem, quoted};
use super::expression::value_of;
use super::parse::parse_to_brace;
use super::scope::Scope;
use super::value::Val;

/// `source` with each `${expression}` replaced by its value and each `$${` by `${`. What is put in is not looked at
/// again.
///
/// # Errors
/// An expression that can't be read or evaluated, or whose value is no scalar.
pub(super) fn interpolate(source: &str, scope: &Scope<'_>, meter: &Meter) -> Result<String, Problem> {
    meter.work(source.len() as u64 + 1)?;
    let (mut result, mut rest) = (String::new(), source);
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            result.push_str(before);
            result.push_str("${");
            rest = &from[2..];
            continue;
        }
        result.push_str(before);
        let (expr, end) = parse_to_brace(&from[2..])?;
        let value = value_of(&expr, scope, meter)?;
        push(&mut result, &value, &from[2..=end])?;
        // It is paid for when it is finished, but bounded on the way.
        check_bytes(result.len() as u64)?;
        rest = &from[2 + end..];
    }
    result.push_str(rest);
    Ok(result)
}

fn push(result: &mut String, value: &Val, source: &str) -> Result<(), Problem> {
    match value {
        // Nothing is what JSON-e makes of null here.
        Val::Null => Ok(()),
        Val::Text(text) => {
            result.push_str(text);
            Ok(())
        }
        value => match value.to_text() {
            Some(text) => {
                result.push_str(&text);
                Ok(())
            }
            None => {
                let expression = quoted(source.trim_end_matches('}'));
                Err(Problem::Template(format!("interpolation of '{expression}' produced an array or object")))
            }
        },
    }
}
