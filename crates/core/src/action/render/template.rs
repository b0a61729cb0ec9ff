//! Rendering: a template's JSON, walked once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::bounds::{Meter, check_template};
use super::error::{Problem, RenderError};
use super::interpolate::interpolate;
use super::number::Number;
use super::operator::OPERATORS;
use super::scope::{Scope, is_identifier};
use super::value::Val;
use crate::time;

/// A template within the bounds. Whether its expressions can be read shows when they are evaluated, as in every
/// JSON-e: a branch that isn't taken may hold anything.
#[derive(Debug, Clone, Copy)]
pub struct Template<'a>(&'a Value);

impl<'a> Template<'a> {
    /// # Errors
    /// A template of more than [`MAX_TEMPLATE_BYTES`](super::MAX_TEMPLATE_BYTES), or one that nests deeper than
    /// [`MAX_DEPTH`](super::MAX_DEPTH).
    pub fn check(json: &'a Value) -> Result<Self, RenderError> {
        check_template(json)?;
        Ok(Self(json))
    }
}

/// `template` with the names of `context`, an object. `now` is what the name `now` stands for, unless `context` has one,
/// and what `$fromNow` counts from. A template that leaves nothing (an `$if` without `else`) is null.
///
/// # Errors
/// What the template gets wrong, with the place; a result or work beyond the bounds; a NUL in the result.
pub fn render(template: &Template<'_>, context: &Value, now: Timestamp) -> Result<Value, RenderError> {
    let meter = Meter::new();
    let scope = root(context, now, &meter)?;
    let renderer = Renderer { meter: &meter };
    match renderer.render(template.0, &scope)? {
        Some(value) => value.to_json(),
        None => Ok(Value::Null),
    }
}

fn root(context: &Value, now: Timestamp, meter: &Meter) -> Result<Scope<'static>, RenderError> {
    let Value::Object(fields) = context else {
        return Err(Problem::Template("context must be a dictionary".to_owned()).into());
    };
    let mut names = BTreeMap::from([("now".to_owned(), meter.text(&time::format_ms(now))?)]);
    for (name, value) in fields {
        if !is_identifier(name) {
            let message = "top level keys of context must follow /[a-zA-Z_][a-zA-Z0-9_]*/";
            return Err(Problem::Template(message.to_owned()).into());
        }
        names.insert(name.clone(), meter.import(value)?);
    }
    Ok(Scope::root(names))
}

/// One rendering.
pub(super) struct Renderer<'m> {
    pub(super) meter: &'m Meter,
}

impl Renderer<'_> {
    /// What `template` becomes; nothing where it is to be left out of what holds it. Goes no deeper than the template.
    pub(super) fn render(&self, template: &Value, scope: &Scope<'_>) -> Result<Option<Val>, RenderError> {
        self.meter.node()?;
        let value = match template {
            Value::Null => Val::Null,
            Value::Bool(bool) => Val::Bool(*bool),
            Value::Number(number) => Val::Number(Number::from_json(number)),
            Value::String(text) => self.meter.text(&interpolate(text, scope, self.meter)?)?,
            Value::Array(items) => self.array(items, scope)?,
            Value::Object(fields) => return self.object(fields, scope),
        };
        Ok(Some(value))
    }

    /// As [`render`](Self::render), where something has to be there: what is left out is null.
    pub(super) fn render_some(&self, template: &Value, scope: &Scope<'_>) -> Result<Val, RenderError> {
        Ok(self.render(template, scope)?.unwrap_or(Val::Null))
    }

    fn array(&self, items: &[Value], scope: &Scope<'_>) -> Result<Val, RenderError> {
        let mut rendered = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            rendered.extend(self.render(item, scope).map_err(|error| error.in_item(at))?);
        }
        Ok(self.meter.list(rendered)?)
    }

    fn object(&self, fields: &Map<String, Value>, scope: &Scope<'_>) -> Result<Option<Val>, RenderError> {
        // Only what stands in the template is an operator, never what a key's interpolation makes of it.
        let mut operators = OPERATORS.iter().filter(|(name, _)| fields.contains_key(*name));
        match (operators.next(), operators.next()) {
            (Some((_, operator)), None) => return operator(self, fields, scope),
            (Some(_), Some(_)) => return Err(Problem::Template("only one operator allowed".to_owned()).into()),
            (None, _) => {}
        }
        let mut rendered = BTreeMap::new();
        for (key, value) in fields {
            let name = self.key(key, scope)?;
            if let Some(value) = self.render(value, scope).map_err(|error| error.in_field(&name))? {
                rendered.insert(name, value);
            }
        }
        Ok(Some(self.meter.map(rendered)?))
    }

    fn key(&self, key: &str, scope: &Scope<'_>) -> Result<String, RenderError> {
        match key.strip_prefix('$') {
            Some(rest) if rest.starts_with('$') => Ok(rest.to_owned()),
            Some(rest) if is_identifier(rest) => {
                Err(Problem::Template("$<identifier> is reserved; use $$<identifier>".to_owned()).into())
            }
            _ => Ok(interpolate(key, scope, self.meter)?),
        }
    }
}
