//! What an expression's tree is worth.

use super::bounds::Meter;
use super::error::{Problem, quoted};
use super::parse::{Expr, parse};
use super::scope::Scope;
use super::value::Val;

type Result<T> = std::result::Result<T, Problem>;

/// Reads `source` as one expression and evaluates it.
pub(super) fn evaluate(source: &str, scope: &Scope<'_>, meter: &Meter) -> Result<Val> {
    meter.work(source.len() as u64)?;
    value_of(&parse(source)?, scope, meter)
}

/// The value of a tree. Goes no deeper than the tree, whose depth is bounded.
pub(super) fn value_of(expr: &Expr<'_>, scope: &Scope<'_>, meter: &Meter) -> Result<Val> {
    meter.node()?;
    let value = |expr: &Expr<'_>| value_of(expr, scope, meter);
    let values = |items: &[Expr<'_>]| items.iter().map(value).collect::<Result<Vec<_>>>();
    match expr {
        Expr::Null => Ok(Val::Null),
        Expr::Bool(bool) => Ok(Val::Bool(*bool)),
        Expr::Number(number) => Ok(Val::Number(*number)),
        Expr::Text(text) => meter.text(text),
        Expr::Name(name) => {
            scope.get(name).ok_or_else(|| Problem::Interpreter(format!("unknown context value {}", quoted(name))))
        }
        Expr::List(items) => meter.list(values(items)?),
        Expr::Map(fields) => {
            let fields = fields.iter().map(|(key, field)| Ok(((*key).to_owned(), value(field)?)));
            meter.map(fields.collect::<Result<_>>()?)
        }
        Expr::Unary(sign, operand) => unary(sign, &value(operand)?),
        Expr::Binary(left, "||", right) => Ok(Val::Bool(value(left)?.is_truthy() || value(right)?.is_truthy())),
        Expr::Binary(left, "&&", right) => Ok(Val::Bool(value(left)?.is_truthy() && value(right)?.is_truthy())),
        Expr::Binary(left, symbol, right) => binary(&value(left)?, symbol, &value(right)?, meter),
        Expr::Index(collection, index) => index_of(&value(collection)?, &value(index)?, meter),
        Expr::Slice(collection, from, to) => {
            let end = |expr: &Option<Box<Expr<'_>>>| expr.as_deref().map(value).transpose();
            slice(&value(collection)?, end(from)?.as_ref(), end(to)?.as_ref(), meter)
        }
        Expr::Field(object, name) => field(&value(object)?, name),
        Expr::Call(function, arguments) => {
            let function = value(function)?;
            let arguments = values(arguments)?;
            let Val::Function(builtin) = function else {
                return Err(Problem::Interpreter(format!("a value of type {} is not callable", function.type_name())));
            };
            builtin.call(&arguments, scope, meter)
        }
    }
}

fn unary(sign: &str, operand: &Val) -> Result<Val> {
    match (sign, operand) {
        ("!", operand) => Ok(Val::Bool(!operand.is_truthy())),
        ("-", Val::Number(number)) => Ok(Val::Number(number.negated())),
        (_, Val::Number(number)) => Ok(Val::Number(*number)),
        _ => Err(Problem::Interpreter(format!("unary {sign} expects number"))),
    }
}

fn expects(symbol: &str, what: &str) -> Problem {
    Problem::Interpreter(format!("infix: {symbol} expects {what} {symbol} {what}"))
}

fn binary(left: &Val, symbol: &str, right: &Val, meter: &Meter) -> Result<Val> {
    match symbol {
        "==" => Ok(Val::Bool(left.equals(right, meter)?)),
        "!=" => Ok(Val::Bool(!left.equals(right, meter)?)),
        "<" | "<=" | ">" | ">=" => compare(left, symbol, right, meter),
        "in" => contains(left, right, meter),
        _ => arithmetic(left, symbol, right, meter),
    }
}

fn arithmetic(left: &Val, symbol: &str, right: &Val, meter: &Meter) -> Result<Val> {
    let (left, right) = match (left, right) {
        (Val::Text(left), Val::Text(right)) if symbol == "+" => return meter.text(&format!("{left}{right}")),
        (Val::Number(left), Val::Number(right)) => (*left, *right),
        _ if symbol == "+" => return Err(expects("+", "numbers/strings")),
        _ => return Err(expects(symbol, "number")),
    };
    let result = match symbol {
        "+" => left.add(right),
        "-" => left.sub(right),
        "*" => left.mul(right),
        "/" if right.is_zero() => return Err(Problem::Interpreter("division by zero".to_owned())),
        "/" => left.div(right),
        _ => left.pow(right),
    };
    result.map(Val::Number).ok_or_else(|| Problem::Interpreter(format!("the result of {symbol} is too large a number")))
}

fn compare(left: &Val, symbol: &str, right: &Val, meter: &Meter) -> Result<Val> {
    let ordering = match (left, right) {
        (Val::Number(left), Val::Number(right)) => left.compare(*right),
        (Val::Text(left), Val::Text(right)) => {
            meter.work(left.len().min(right.len()) as u64)?;
            left.cmp(right)
        }
        _ => return Err(expects(symbol, "numbers/strings")),
    };
    Ok(Val::Bool(match symbol {
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        _ => ordering.is_ge(),
    }))
}

fn contains(needle: &Val, collection: &Val, meter: &Meter) -> Result<Val> {
    let found = match (needle, collection) {
        (Val::Text(key), Val::Map(map)) => map.fields.contains_key(key.as_ref()),
        (_, Val::Map(_)) => return Err(expects("in-object", "string on left side")),
        (Val::Text(part), Val::Text(text)) => {
            meter.work(text.len() as u64 + part.len() as u64)?;
            text.contains(part.as_ref())
        }
        (_, Val::Text(_)) => return Err(expects("in-string", "string on left side")),
        (needle, Val::List(list)) => {
            meter.work(list.items.len() as u64)?;
            let mut found = false;
            for item in &list.items {
                found = found || item.equals(needle, meter)?;
            }
            found
        }
        _ => return Err(expects("in", "Array, string, or object on right side")),
    };
    Ok(Val::Bool(found))
}

/// Where `index` points in `length` items: from the end where it is negative.
fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index.checked_add(length)? } else { index }).ok()
}

fn index_of(collection: &Val, index: &Val, meter: &Meter) -> Result<Val> {
    const NO_INTEGER: &str = "should only use integers to access arrays or strings";
    let out_of_bounds = || Problem::Interpreter("index out of bounds".to_owned());
    let number = |index: &Val| match index {
        Val::Number(number) => number.as_index().ok_or_else(|| Problem::Interpreter(NO_INTEGER.to_owned())),
        _ => Err(Problem::Interpreter(NO_INTEGER.to_owned())),
    };
    match (collection, index) {
        (Val::Map(map), Val::Text(key)) => Ok(map.fields.get(key.as_ref()).cloned().unwrap_or(Val::Null)),
        (Val::Map(_), _) => Err(Problem::Interpreter("object keys must be strings".to_owned())),
        (Val::List(list), index) => {
            let at = position(number(index)?, list.items.len());
            at.and_then(|at| list.items.get(at).cloned()).ok_or_else(out_of_bounds)
        }
        (Val::Text(text), index) => {
            meter.work(text.len() as u64)?;
            let at = position(number(index)?, text.chars().count());
            let found = at.and_then(|at| text.chars().nth(at)).ok_or_else(out_of_bounds)?;
            meter.text(found.encode_utf8(&mut [0; 4]))
        }
        _ => Err(Problem::Interpreter("infix: \"[..]\" expects object, array, or string".to_owned())),
    }
}

fn slice(collection: &Val, from: Option<&Val>, to: Option<&Val>, meter: &Meter) -> Result<Val> {
    let ends = |length: usize| -> Result<(usize, usize)> {
        let end = |value: Option<&Val>, missing: usize| match value {
            None => Ok(missing),
            Some(Val::Number(number)) if let Some(index) = number.as_index() => {
                Ok(position(index, length).unwrap_or(0).min(length))
            }
            Some(_) => Err(Problem::Interpreter("cannot perform interval access with non-integers".to_owned())),
        };
        let (from, to) = (end(from, 0)?, end(to, length)?);
        Ok((from, to.max(from)))
    };
    match collection {
        Val::List(list) => {
            let (from, to) = ends(list.items.len())?;
            meter.list(list.items[from..to].to_vec())
        }
        Val::Text(text) => {
            meter.work(text.len() as u64)?;
            let (from, to) = ends(text.chars().count())?;
            meter.text(&text.chars().skip(from).take(to - from).collect::<String>())
        }
        _ => Err(Problem::Interpreter("infix: \"[..]\" expects object, array, or string".to_owned())),
    }
}

fn field(object: &Val, name: &str) -> Result<Val> {
    let Val::Map(map) = object else {
        return Err(Problem::Interpreter("infix: . expects objects".to_owned()));
    };
    map.fields
        .get(name)
        .cloned()
        .ok_or_else(|| Problem::Interpreter(format!("object has no property \"{}\"", quoted(name))))
}
