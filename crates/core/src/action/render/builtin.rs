//! The functions that expressions can call.

use std::fmt;

use super::bounds::{Meter, check_bytes};
use super::error::{Problem, quoted};
use super::number::Number;
use super::offset::from_now;
use super::scope::Scope;
use super::value::{NUMBER_BYTES, Val};

type Result<T> = std::result::Result<T, Problem>;

/// What a function has to work with.
struct Call<'c> {
    name: &'static str,
    arguments: &'c [Val],
    scope: &'c Scope<'c>,
    meter: &'c Meter,
}

/// A function that every template knows.
pub(super) struct Builtin {
    pub(super) name: &'static str,
    run: fn(&Call<'_>) -> Result<Val>,
}

impl fmt::Debug for Builtin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Builtin {
    pub(super) fn call(&'static self, arguments: &[Val], scope: &Scope<'_>, meter: &Meter) -> Result<Val> {
        meter.node()?;
        (self.run)(&Call { name: self.name, arguments, scope, meter })
    }
}

pub(super) static BUILTINS: &[Builtin] = &[
    Builtin { name: "abs", run: abs },
    Builtin { name: "ceil", run: |call| call.number(|number| number.rounded(f64::ceil)) },
    Builtin { name: "defined", run: |call| Ok(Val::Bool(call.scope.get(call.text()?).is_some())) },
    Builtin { name: "floor", run: |call| call.number(|number| number.rounded(f64::floor)) },
    Builtin { name: "fromNow", run: from_now_of },
    Builtin { name: "join", run: join },
    Builtin { name: "len", run: len },
    Builtin { name: "lowercase", run: |call| call.meter.text(&call.text()?.to_lowercase()) },
    Builtin { name: "lstrip", run: |call| call.meter.text(call.text()?.trim_start()) },
    Builtin { name: "max", run: |call| call.fold(|best, next| next.compare(best).is_gt()) },
    Builtin { name: "min", run: |call| call.fold(|best, next| next.compare(best).is_lt()) },
    Builtin { name: "number", run: number },
    Builtin { name: "range", run: range },
    Builtin { name: "rstrip", run: |call| call.meter.text(call.text()?.trim_end()) },
    Builtin { name: "split", run: split },
    Builtin { name: "sqrt", run: |call| call.number(|number| Number::from_float(number.as_float().sqrt())) },
    Builtin { name: "str", run: |call| call.meter.text(&call.one()?.to_text().ok_or_else(|| call.invalid())?) },
    Builtin { name: "strip", run: |call| call.meter.text(call.text()?.trim()) },
    Builtin { name: "typeof", run: |call| call.meter.text(call.one()?.type_name()) },
    Builtin { name: "uppercase", run: |call| call.meter.text(&call.text()?.to_uppercase()) },
];

impl Call<'_> {
    fn invalid(&self) -> Problem {
        Problem::Builtin(format!("invalid arguments to builtin: {}", self.name))
    }

    fn one(&self) -> Result<&Val> {
        match self.arguments {
            [one] => Ok(one),
            _ => Err(self.invalid()),
        }
    }

    /// The one argument, a text.
    fn text(&self) -> Result<&str> {
        match self.one()? {
            Val::Text(text) => Ok(text),
            _ => Err(self.invalid()),
        }
    }

    /// `function` of the one argument, a number.
    fn number(&self, function: impl Fn(Number) -> Option<Number>) -> Result<Val> {
        match self.one()? {
            Val::Number(number) => function(*number).map(Val::Number).ok_or_else(|| self.invalid()),
            _ => Err(self.invalid()),
        }
    }

    /// The argument that nothing is `better` than; all are numbers.
    fn fold(&self, better: fn(Number, Number) -> bool) -> Result<Val> {
        let numbers = self.arguments.iter().map(|argument| match argument {
            Val::Number(number) => Ok(*number),
            _ => Err(self.invalid()),
        });
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        let best = numbers.into_iter().reduce(|best, next| if better(best, next) { next } else { best });
        best.map(Val::Number).ok_or_else(|| self.invalid())
    }
}

fn abs(call: &Call<'_>) -> Result<Val> {
    let is_negative = |number: Number| number.compare(Number::Int(0)).is_lt();
    call.number(|number| Some(if is_negative(number) { number.negated() } else { number }))
}

fn len(call: &Call<'_>) -> Result<Val> {
    let length = match call.one()? {
        Val::Text(text) => {
            call.meter.work(text.len() as u64)?;
            text.chars().count()
        }
        Val::List(list) => list.items.len(),
        _ => return Err(call.invalid()),
    };
    Ok(Val::Number(Number::from_int(length as i128)))
}

fn number(call: &Call<'_>) -> Result<Val> {
    let text = call.text()?;
    let number = Number::parse(text.trim()).map(Val::Number);
    number.ok_or_else(|| Problem::Builtin(format!("'{}' is no number", quoted(text))))
}

/// `range(from, to)` or `range(from, to, step)`: without `to`, as in Python.
fn range(call: &Call<'_>) -> Result<Val> {
    let index = |value: &Val| match value {
        Val::Number(number) => number.as_index().ok_or_else(|| call.invalid()),
        _ => Err(call.invalid()),
    };
    let (from, to, step) = match call.arguments {
        [from, to] => (index(from)?, index(to)?, 1),
        [from, to, step] => (index(from)?, index(to)?, index(step)?),
        _ => return Err(call.invalid()),
    };
    if step == 0 {
        return Err(call.invalid());
    }
    let distance = (i128::from(to) - i128::from(from)) * i128::from(step.signum());
    let count = distance.max(0).unsigned_abs().div_ceil(u128::from(step.unsigned_abs()));
    // Judged and paid for before there is anything.
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    check_bytes(count.saturating_mul(NUMBER_BYTES))?;
    call.meter.work(count)?;
    let numbers = (0..).zip(0..count).map(|(at, _)| Number::from_int(i128::from(from) + at * i128::from(step)));
    call.meter.list(numbers.map(Val::Number).collect())
}

/// A separator: a text or a number.
fn separator(call: &Call<'_>, value: &Val) -> Result<String> {
    match value {
        Val::Text(_) | Val::Number(_) => value.to_text().ok_or_else(|| call.invalid()),
        _ => Err(call.invalid()),
    }
}

fn join(call: &Call<'_>) -> Result<Val> {
    let [Val::List(list), between] = call.arguments else { return Err(call.invalid()) };
    let between = separator(call, between)?;
    let length = list.size.bytes.saturating_add((between.len() as u64).saturating_mul(list.items.len() as u64));
    check_bytes(length)?;
    call.meter.work(length)?;
    let texts = list.items.iter().map(|item| match item {
        // As in JavaScript.
        Val::Null => Ok(String::new()),
        item => item.to_text().ok_or_else(|| call.invalid()),
    });
    call.meter.text(&texts.collect::<Result<Vec<_>>>()?.join(&between))
}

fn split(call: &Call<'_>) -> Result<Val> {
    let [Val::Text(text), by] = call.arguments else { return Err(call.invalid()) };
    let separator = separator(call, by)?;
    call.meter.work(text.len() as u64)?;
    let count = if separator.is_empty() { text.len() } else { text.matches(separator.as_str()).count() };
    // Each part has quotes around it and a comma behind it.
    check_bytes((text.len() as u64).saturating_add((count as u64).saturating_mul(3)))?;
    let parts: Vec<Val> = if separator.is_empty() {
        text.chars().map(|char| call.meter.text(char.encode_utf8(&mut [0; 4]))).collect::<Result<_>>()?
    } else {
        text.split(separator.as_str()).map(|part| call.meter.text(part)).collect::<Result<_>>()?
    };
    call.meter.list(parts)
}

fn from_now_of(call: &Call<'_>) -> Result<Val> {
    let now;
    let (offset, reference) = match call.arguments {
        [Val::Text(offset)] => {
            now = call.scope.get("now");
            (offset, now.as_ref())
        }
        [Val::Text(offset), reference] => (offset, Some(reference)),
        _ => return Err(call.invalid()),
    };
    match reference {
        Some(Val::Text(reference)) => call.meter.text(&from_now(offset, reference)?),
        _ => Err(call.invalid()),
    }
}
