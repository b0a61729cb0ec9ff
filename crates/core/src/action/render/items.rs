//! The operators on collections: `$map`, `$reduce`, `$sort`, `$merge` and their like.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::bounds::Meter;
use super::error::{Problem, RenderError};
use super::expression::evaluate;
use super::number::Number;
use super::operator::{Fields, Rendered, named, names, operand, template_error};
use super::scope::Scope;
use super::template::Renderer;
use super::value::{List, Map, Val};

fn is_each(key: &str, counts: &[usize]) -> bool {
    names(key, "each", counts).is_some()
}

fn index(at: usize) -> Val {
    Val::Number(Number::from_int(at as i128))
}

/// The operand of an operator that takes an array and nothing else.
fn array(
    renderer: &Renderer<'_>,
    fields: &Fields,
    operator: &str,
    allowed: impl Fn(&str) -> bool,
    scope: &Scope<'_>,
) -> Result<Rc<List>, RenderError> {
    match renderer.render_some(operand(fields, operator, allowed)?, scope)? {
        Val::List(list) => Ok(list),
        _ => Err(template_error(format!("{operator} value must evaluate to an array"))),
    }
}

pub(super) fn flatten(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let list = array(renderer, fields, "$flatten", |_| false, scope)?;
    let mut flat = Vec::new();
    for item in &list.items {
        match item {
            Val::List(inner) => flat.extend(inner.items.iter().cloned()),
            item => flat.push(item.clone()),
        }
    }
    Ok(Some(renderer.meter.list(flat)?))
}

pub(super) fn flatten_deep(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    /// Goes no deeper than a value may nest.
    fn flatten(list: &List, flat: &mut Vec<Val>) {
        for item in &list.items {
            match item {
                Val::List(inner) => flatten(inner, flat),
                item => flat.push(item.clone()),
            }
        }
    }
    let list = array(renderer, fields, "$flattenDeep", |_| false, scope)?;
    renderer.meter.work(list.size.bytes)?;
    let mut flat = Vec::new();
    flatten(&list, &mut flat);
    Ok(Some(renderer.meter.list(flat)?))
}

pub(super) fn reverse(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let list = array(renderer, fields, "$reverse", |_| false, scope)?;
    Ok(Some(renderer.meter.list(list.items.iter().rev().cloned().collect())?))
}

pub(super) fn map(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let collection = operand(fields, "$map", |key| is_each(key, &[1, 2]))?;
    let Some((names, template)) = named(fields, |key| names(key, "each", &[1, 2])).filter(|_| fields.len() == 2) else {
        return Err(template_error("$map requires exactly one other property, each(..)"));
    };
    let mut inner = Scope::inside(scope);
    match renderer.render_some(collection, scope)? {
        Val::List(list) => {
            let mut mapped = Vec::new();
            for (at, item) in list.items.iter().enumerate() {
                bind(renderer, &mut inner, &names, [item.clone(), index(at)])?;
                mapped.extend(renderer.render(template, &inner)?);
            }
            Ok(Some(renderer.meter.list(mapped)?))
        }
        Val::Map(map) => {
            let mut mapped = BTreeMap::new();
            for (key, value) in &map.fields {
                let key = renderer.meter.text(key)?;
                match names.as_slice() {
                    [name] => {
                        let pair = [("key".to_owned(), key), ("val".to_owned(), value.clone())];
                        inner.set(name, renderer.meter.map(BTreeMap::from(pair))?);
                    }
                    names => bind(renderer, &mut inner, names, [value.clone(), key])?,
                }
                match renderer.render(template, &inner)? {
                    Some(Val::Map(part)) => extend(&mut mapped, &part, renderer.meter)?,
                    None => {}
                    Some(_) => return Err(template_error("$map on objects expects each(..) to evaluate to an object")),
                }
            }
            Ok(Some(renderer.meter.map(mapped)?))
        }
        _ => Err(template_error("$map value must evaluate to an array or object")),
    }
}

/// Gives names to what an item is and where it stands. An item costs something, whatever is made of it.
fn bind<const N: usize>(
    renderer: &Renderer<'_>,
    scope: &mut Scope<'_>,
    names: &[&str],
    values: [Val; N],
) -> Result<(), Problem> {
    renderer.meter.node()?;
    for (name, bound) in names.iter().zip(values) {
        scope.set(name, bound);
    }
    Ok(())
}

fn extend(into: &mut BTreeMap<String, Val>, part: &Map, meter: &Meter) -> Result<(), Problem> {
    meter.work(part.size.bytes)?;
    into.extend(part.fields.iter().map(|(key, value)| (key.clone(), value.clone())));
    Ok(())
}

pub(super) fn reduce(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let allowed = |key: &str| key == "initial" || is_each(key, &[2, 3]);
    let list = array(renderer, fields, "$reduce", allowed, scope)?;
    let each = named(fields, |key| names(key, "each", &[2, 3])).filter(|_| fields.len() == 3);
    let (Some((names, template)), Some(initial)) = (each, fields.get("initial")) else {
        return Err(template_error("$reduce must have exactly three properties"));
    };
    // It is taken as it stands, not rendered, in every implementation.
    let mut result = renderer.meter.import(initial)?;
    let mut inner = Scope::inside(scope);
    for (at, item) in list.items.iter().enumerate() {
        bind(renderer, &mut inner, &names, [result.clone(), item.clone(), index(at)])?;
        if let Some(next) = renderer.render(template, &inner)? {
            result = next;
        }
    }
    Ok(Some(result))
}

/// The first item whose condition holds, as it is: an item is data, and never rendered once more.
pub(super) fn find(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let list = array(renderer, fields, "$find", |key| is_each(key, &[1, 2]), scope)?;
    let Some((names, condition)) = named(fields, |key| names(key, "each", &[1, 2])).filter(|_| fields.len() == 2)
    else {
        return Err(template_error("$find requires exactly one other property, each(..)"));
    };
    let Value::String(condition) = condition else {
        return Err(template_error("each can evaluate string expressions only"));
    };
    let mut inner = Scope::inside(scope);
    for (at, item) in list.items.iter().enumerate() {
        bind(renderer, &mut inner, &names, [item.clone(), index(at)])?;
        if evaluate(condition, &inner, renderer.meter)?.is_truthy() {
            return Ok(Some(item.clone()));
        }
    }
    Ok(None)
}

/// The operand of `$merge` and `$mergeDeep`: objects.
fn objects(
    renderer: &Renderer<'_>,
    fields: &Fields,
    operator: &str,
    scope: &Scope<'_>,
) -> Result<Vec<Rc<Map>>, RenderError> {
    let wrong = || template_error(format!("{operator} value must evaluate to an array of objects"));
    let Val::List(list) = renderer.render_some(operand(fields, operator, |_| false)?, scope)? else {
        return Err(wrong());
    };
    let object = |item: &Val| if let Val::Map(map) = item { Some(Rc::clone(map)) } else { None };
    list.items.iter().map(object).collect::<Option<_>>().ok_or_else(wrong)
}

pub(super) fn merge(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let mut merged = BTreeMap::new();
    for object in objects(renderer, fields, "$merge", scope)? {
        extend(&mut merged, &object, renderer.meter)?;
    }
    Ok(Some(renderer.meter.map(merged)?))
}

pub(super) fn merge_deep(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    /// Goes no deeper than a value may nest.
    fn merge(left: &Val, right: &Val, meter: &Meter) -> Result<Val, Problem> {
        match (left, right) {
            (Val::List(left), Val::List(right)) => meter.list(left.items.iter().chain(&right.items).cloned().collect()),
            (Val::Map(left), Val::Map(right)) => {
                meter.work(left.size.bytes)?;
                let mut fields = left.fields.clone();
                for (key, value) in &right.fields {
                    let value = fields.get(key).map_or_else(|| Ok(value.clone()), |old| merge(old, value, meter))?;
                    fields.insert(key.clone(), value);
                }
                meter.map(fields)
            }
            (_, right) => Ok(right.clone()),
        }
    }
    let mut merged = renderer.meter.map(BTreeMap::new())?;
    for object in objects(renderer, fields, "$mergeDeep", scope)? {
        merged = merge(&merged, &Val::Map(object), renderer.meter)?;
    }
    Ok(Some(merged))
}

/// By the items themselves, or by what `by(item)` makes of each; equal ones keep their order.
pub(super) fn sort(renderer: &Renderer<'_>, fields: &Fields, scope: &Scope<'_>) -> Rendered {
    let wrong = || template_error("$sorted values to be sorted must have the same type");
    let value = operand(fields, "$sort", |key| names(key, "by", &[1]).is_some())?;
    let Val::List(list) = renderer.render_some(value, scope)? else { return Err(wrong()) };
    if fields.len() > 2 {
        return Err(template_error("only one by(..) is allowed"));
    }
    let mut sorted: Vec<(Val, Val)> = Vec::with_capacity(list.items.len());
    let by = named(fields, |key| names(key, "by", &[1]));
    let mut inner = Scope::inside(scope);
    for item in &list.items {
        let key = match &by {
            None => item.clone(),
            Some((names, Value::String(source))) => {
                bind(renderer, &mut inner, names, [item.clone()])?;
                evaluate(source, &inner, renderer.meter)?
            }
            Some(_) => return Err(template_error("by can evaluate string expressions only")),
        };
        sorted.push((key, item.clone()));
    }
    let all = |is: fn(&Val) -> bool| sorted.iter().all(|(key, _)| is(key));
    if !all(|key| matches!(key, Val::Number(_))) && !all(|key| matches!(key, Val::Text(_))) {
        return Err(wrong());
    }
    // Each item is compared about as often as the number of items has bits.
    let bytes: u64 = sorted.iter().map(|(key, _)| key.size().bytes).sum();
    renderer.meter.work(bytes.saturating_mul(u64::from(usize::BITS - sorted.len().leading_zeros())))?;
    sorted.sort_by(|(left, _), (right, _)| match (left, right) {
        (Val::Number(left), Val::Number(right)) => left.compare(*right),
        (Val::Text(left), Val::Text(right)) => left.cmp(right),
        _ => std::cmp::Ordering::Equal,
    });
    Ok(Some(renderer.meter.list(sorted.into_iter().map(|(_, item)| item).collect())?))
}
