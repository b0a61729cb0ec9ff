//! The operators that choose, name and write: `$if`, `$let`, `$switch`, `$json` and their like.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::{Problem, RenderError};
use super::expression::evaluate;
use super::items;
use super::offset::from_now;
use super::scope::{Scope, is_identifier};
use super::template::Renderer;
use super::value::Val;

/// The fields of a template object that holds an operator.
pub(super) type Fields = Map<String, Value>;
/// What an operator makes; nothing where the whole object is to be left out.
pub(super) type Rendered = Result<Option<Val>, RenderError>;
type Operator = fn(&Renderer<'_>, &Fields, &Scope<'_>) -> Rendered;

pub(super) const OPERATORS: &[(&str, Operator)] = &[
    ("$eval", eval),
    ("$find", items::find),
    ("$flatten", items::flatten),
    ("$flattenDeep", items::flatten_deep),
    ("$fromNow", from_now_operator),
    ("$if", if_else),
    ("$json", json),
    ("$let", let_in),
    ("$map", items::map),
    ("$match", match_all),
    ("$merge", items::merge),
    ("$mergeDeep", items::merge_deep),
    ("$reduce", items::reduce),
    ("$reverse", items::reverse),
    ("$sort", items::sort),
    ("$switch", switch),
];

pub(super) fn template_error(message: impl Into<String>) -> RenderError {
    Problem::Template(message.into()).into()
}

/// The operand of `operator`, whose object may have no other field than those that `allowed` knows.
pub(super) fn operand<'f>(
    fields: &'f Fields,
    operator: &str,
    allowed: impl Fn(&str) -> bool,
) -> Result<&'f Value, RenderError> {
    let unknown: Vec<&str> =
        fields.keys().map(String::as_str).filter(|key| *key != operator && !allowed(key)).take(10).collect();
    if !unknown.is_empty() {
        return Err(template_error(format!("{operator} has undefined properties: {}", unknown.join(" "))));
    }
    Ok(fields.get(operator).unwrap_or(&Value::Null))
}

/// The one field of `fields` that is called `each(…)` or `by(…)`, taken apart by `read`.
pub(super) fn named<'f, T>(fields: &'f Fields, read: impl Fn(&'f str) -> Option<T>) -> Option<(T, &'f Value)> {
    fields.iter().find_map(|(key, value)| Some((read(key)?, value)))
}

/// The names in `call(a,b)`, if there are as many as `counts` has.
pub(super) fn names<'k>(key: &'k str, call: &str, counts: &[usize]) -> Option<Vec<&'k str>> {
    let inner = key.strip_prefix(call)?.strip_prefix('(')?.strip_suffix(')')?;
    let names: Vec<&str> =
        inner.split(',').enumerate().map(|(at, name)| if at == 0 { name } else { name.trim_start() }).collect();
    (counts.contains(&names.len()) && names.iter().all(|name| is_identifier(name))).then_some(names)
}

fn eval(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    match operand(fields, "$eval", |_| false)? {
        Value::String(source) => Ok(Some(evaluate(source, scope, renderer.meter)?)),
        _ => Err(template_error("$eval must be given a string expression")),
    }
}

fn if_else(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let Value::String(condition) = operand(fields, "$if", |key| key == "then" || key == "else")? else {
        return Err(template_error("$if can evaluate string expressions only"));
    };
    let taken = if evaluate(condition, scope, renderer.meter)?.is_truthy() { "then" } else { "else" };
    match fields.get(taken) {
        Some(template) => renderer.render(template, scope),
        None => Ok(None),
    }
}

fn let_in(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let names = operand(fields, "$let", |key| key == "in")?;
    if !names.is_object() {
        return Err(template_error("$let value must be an object"));
    }
    let Val::Map(names) = renderer.render_some(names, scope)? else {
        return Err(template_error("$let value must be an object"));
    };
    let mut inner = Scope::inside(scope);
    for (name, value) in &names.fields {
        if !is_identifier(name) {
            return Err(template_error("top level keys of $let must follow /[a-zA-Z_][a-zA-Z0-9_]*/"));
        }
        inner.set(name, value.clone());
    }
    let template = fields.get("in").ok_or_else(|| template_error("$let operator requires an `in` clause"))?;
    renderer.render(template, &inner)
}

fn match_all(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let Value::Object(cases) = operand(fields, "$match", |_| false)? else {
        return Err(template_error("$match can evaluate objects only"));
    };
    let mut matched = Vec::new();
    // In the order of the conditions' texts, as everywhere in JSON-e.
    for (condition, template) in cases.iter().collect::<BTreeMap<_, _>>() {
        if evaluate(condition, scope, renderer.meter)?.is_truthy() {
            matched.extend(renderer.render(template, scope)?);
        }
    }
    Ok(Some(renderer.meter.list(matched)?))
}

fn switch(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let Value::Object(cases) = operand(fields, "$switch", |_| false)? else {
        return Err(template_error("$switch can evaluate objects only"));
    };
    let mut taken = None;
    for (condition, template) in cases.iter().filter(|(condition, _)| *condition != "$default") {
        if evaluate(condition, scope, renderer.meter)?.is_truthy() && taken.replace(template).is_some() {
            return Err(template_error("$switch can only have one truthy condition"));
        }
    }
    match taken.or_else(|| cases.get("$default")) {
        Some(template) => renderer.render(template, scope),
        None => Ok(None),
    }
}

/// A value as compact JSON with sorted keys, in a text.
fn json(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let value = renderer.render_some(operand(fields, "$json", |_| false)?, scope)?;
    renderer.meter.work(value.size().bytes)?;
    Ok(Some(renderer.meter.text(&value.to_json()?.to_string())?))
}

fn from_now_operator(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let offset = renderer.render_some(operand(fields, "$fromNow", |key| key == "from")?, scope)?;
    let reference = match fields.get("from") {
        Some(from) => renderer.render_some(from, scope)?,
        None => scope.get("now").unwrap_or(Val::Null),
    };
    let (Val::Text(offset), Val::Text(reference)) = (&offset, &reference) else {
        return Err(template_error("$fromNow expects a string"));
    };
    Ok(Some(renderer.meter.text(&from_now(offset, reference)?)?))
}
