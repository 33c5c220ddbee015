//! Go's predefined functions, all but `and` and `or`, which do not evaluate all their arguments.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::ast::Function;
use super::escapers;
use super::value::Value;
use super::{print, printf};

/// Calls a function; the error is a reason in Go's words. No text made here is longer than `limit`.
pub(super) fn call<'a>(
    function: Function,
    arguments: &[Value<'a>],
    limit: usize,
) -> Result<Value<'a>, String> {
    match (function, arguments) {
        (Function::Eq, [first, others @ ..]) => equal(first, others).map(Value::Bool),
        (Function::Ne, [a, b]) => {
            equal(a, std::slice::from_ref(b)).map(|equal| Value::Bool(!equal))
        }
        (Function::Lt, [a, b]) => Ok(Value::Bool(less(a, b)?)),
        (Function::Le, [a, b]) => Ok(Value::Bool(
            less(a, b)? || equal(a, std::slice::from_ref(b))?,
        )),
        (Function::Gt, [a, b]) => Ok(Value::Bool(
            !(less(a, b)? || equal(a, std::slice::from_ref(b))?),
        )),
        (Function::Ge, [a, b]) => Ok(Value::Bool(!less(a, b)?)),
        (Function::Not, [value]) => Ok(Value::Bool(!value.is_true())),
        (Function::Len, [value]) => length(value),
        (Function::Index, [item, indexes @ ..]) => index(item, indexes),
        (Function::Slice, [item, indexes @ ..]) => slice(item, indexes),
        (Function::Print | Function::Joined, values) => bounded(print::sprint(values), limit),
        (Function::Println, values) => bounded(print::sprintln(values), limit),
        (Function::Printf, [Value::Str(format), values @ ..]) => {
            printf::sprintf(format, values, limit)
                .map(Value::text)
                .ok_or_else(too_long)
        }
        (Function::Printf, [format, ..]) => Err(format!(
            "wrong type for value; expected string; got {}",
            format.type_name()
        )),
        (Function::Html, values) => bounded(escapers::predefined_html(&joined(values)), limit),
        (Function::Js, values) => bounded(escapers::predefined_js(&joined(values)), limit),
        (Function::Urlquery, values) => {
            bounded(escapers::predefined_urlquery(&joined(values)), limit)
        }
        (Function::Call, [Value::Missing | Value::Nil, ..]) => Err("call of nil".into()),
        (Function::Call, [value, ..]) => Err(format!("non-function of type {}", value.type_name())),
        _ => Err(format!("wrong number of args for {}", function.name())),
    }
}

fn too_long() -> String {
    "the text gets too long".into()
}

fn bounded<'a>(text: String, limit: usize) -> Result<Value<'a>, String> {
    if text.len() > limit {
        Err(too_long())
    } else {
        Ok(Value::text(text))
    }
}

/// The arguments of an escaping function as one text.
pub(super) fn joined<'v>(values: &'v [Value<'_>]) -> Cow<'v, str> {
    if let [Value::Str(text)] = values {
        return Cow::Borrowed(text);
    }
    let shown: Vec<_> = values
        .iter()
        .map(|value| {
            if value.is_nothing() {
                Value::text("<no value>")
            } else {
                value.clone()
            }
        })
        .collect();
    Cow::Owned(print::sprint(&shown))
}

fn equal(first: &Value<'_>, others: &[Value<'_>]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        let same = match (first, other) {
            (Value::Missing | Value::Nil, Value::Missing | Value::Nil) => true,
            (Value::Missing | Value::Nil, _) | (_, Value::Missing | Value::Nil) => false,
            (Value::List(_) | Value::Map(_), Value::List(_) | Value::Map(_)) => {
                return Err(format!(
                    "non-comparable types {}, {}",
                    first.type_name(),
                    other.type_name()
                ));
            }
            (Value::Bool(a), Value::Bool(b)) => a == b,
            _ => ordering(first, other)? == Some(Ordering::Equal),
        };
        if same {
            return Ok(true);
        }
    }
    Ok(false)
}

fn less(a: &Value<'_>, b: &Value<'_>) -> Result<bool, String> {
    let basic = |value: &Value<'_>| {
        !matches!(
            value,
            Value::Missing | Value::Nil | Value::List(_) | Value::Map(_)
        )
    };
    if !basic(a) || !basic(b) || matches!((a, b), (Value::Bool(_), Value::Bool(_))) {
        return Err("invalid type for comparison".into());
    }
    Ok(ordering(a, b)? == Some(Ordering::Less))
}

/// Values of one kind in order. A number from JSON (a float) cannot be compared with a constant such as `3`.
fn ordering(a: &Value<'_>, b: &Value<'_>) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Byte(a), Value::Byte(b)) => Ok(Some(a.cmp(b))),
        (Value::Int(a), Value::Byte(b)) => Ok(Some(a.cmp(&i64::from(*b)))),
        (Value::Byte(a), Value::Int(b)) => Ok(Some(i64::from(*a).cmp(b))),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Str(a), Value::Str(b)) => Ok(Some(a.cmp(b))),
        _ => Err(format!(
            "incompatible types for comparison: {} and {}",
            a.type_name(),
            b.type_name()
        )),
    }
}

fn length<'a>(value: &Value<'a>) -> Result<Value<'a>, String> {
    let length = match value {
        Value::Str(text) => text.len(),
        Value::List(values) => values.len(),
        Value::Map(members) => members.len(),
        Value::Missing | Value::Nil => return Err("len of nil pointer".into()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    i64::try_from(length)
        .map(Value::Int)
        .map_err(|_| too_long())
}

fn index<'a>(item: &Value<'a>, indexes: &[Value<'a>]) -> Result<Value<'a>, String> {
    if item.is_nothing() {
        return Err("index of untyped nil".into());
    }
    let mut item = item.clone();
    for index in indexes {
        item = match &item {
            Value::Missing | Value::Nil => return Err("index of nil pointer".into()),
            Value::Str(text) => {
                let at = position(index, text.len())?;
                text.as_bytes()
                    .get(at)
                    .copied()
                    .map(Value::Byte)
                    .ok_or_else(|| out_of_range(at))?
            }
            Value::List(values) => {
                let at = position(index, values.len())?;
                values
                    .get(at)
                    .map(Value::from_json)
                    .ok_or_else(|| out_of_range(at))?
            }
            Value::Map(members) => match index {
                Value::Str(name) => members
                    .get(name.as_ref())
                    .map_or(Value::Nil, Value::from_json),
                Value::Missing | Value::Nil => {
                    return Err("value is nil; should be of type string".into());
                }
                other => {
                    return Err(format!(
                        "value has type {}; should be string",
                        other.type_name()
                    ));
                }
            },
            other => return Err(format!("can't index item of type {}", other.type_name())),
        };
    }
    Ok(item)
}

fn slice<'a>(item: &Value<'a>, indexes: &[Value<'a>]) -> Result<Value<'a>, String> {
    let length = match item {
        Value::Missing | Value::Nil => return Err("slice of untyped nil".into()),
        Value::Str(_) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        Value::Str(text) => text.len(),
        Value::List(values) => values.len(),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()));
    }
    let bounds = indexes
        .iter()
        .map(|index| position(index, length))
        .collect::<Result<Vec<_>, _>>()?;
    let from = bounds.first().copied().unwrap_or(0);
    let to = bounds.get(1).copied().unwrap_or(length);
    if from > to || bounds.get(2).is_some_and(|capacity| to > *capacity) {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    match item {
        // Cut between bytes, as Go does; half a character is shown as U+FFFD.
        Value::Str(text) => {
            let bytes = text.as_bytes().get(from..to).unwrap_or_default();
            Ok(Value::text(String::from_utf8_lossy(bytes).into_owned()))
        }
        Value::List(values) => Ok(Value::List(values.get(from..to).unwrap_or_default())),
        _ => Ok(Value::Missing),
    }
}

fn position(index: &Value<'_>, most: usize) -> Result<usize, String> {
    let at = match index {
        Value::Int(at) => *at,
        Value::Byte(at) => i64::from(*at),
        Value::Missing | Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => {
            return Err(format!(
                "cannot index slice/array with type {}",
                other.type_name()
            ));
        }
    };
    usize::try_from(at)
        .ok()
        .filter(|at| *at <= most)
        .ok_or_else(|| format!("index out of range: {at}"))
}

fn out_of_range(at: usize) -> String {
    format!("index out of range: {at}")
}
