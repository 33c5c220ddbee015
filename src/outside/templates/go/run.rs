//! Runs a template over data: bounded in output, depth and work.

use std::collections::BTreeMap;
use std::mem;

use serde_json::{Map, Value as Json};

use super::ast::{List, Node, Pipe};
use super::value::{Value, sorted};
use super::{Problem, escapers};

/// Longest output, in bytes.
pub(super) const MAX_OUTPUT: usize = 4 << 20;
/// How deep templates and blocks may run inside each other.
const MAX_DEPTH: usize = 100;
/// Nodes, loop rounds and calls of one run; every 64 bytes of text made count as one more.
const MAX_STEPS: usize = 500_000;

/// Runs `root` with the dot (and `$`) at `data`.
pub(super) fn run(
    root: &List,
    defined: &BTreeMap<String, List>,
    escaped: bool,
    data: &Map<String, Json>,
) -> Result<String, Problem> {
    let dot = Value::Map(data);
    let mut run = Run {
        defined,
        escaped,
        out: String::new(),
        steps: 0,
        depth: 0,
        line: 0,
        variables: vec![("$", dot.clone())],
    };
    run.list(root, &dot)?;
    Ok(run.out)
}

/// One run.
pub(super) struct Run<'a> {
    defined: &'a BTreeMap<String, List>,
    /// HTML: every action has its escapers. Otherwise values are printed as they are.
    escaped: bool,
    out: String,
    steps: usize,
    depth: usize,
    /// Where we are, for the message of a failure.
    pub(super) line: usize,
    pub(super) variables: Vec<(&'a str, Value<'a>)>,
}

/// How a list of nodes ended.
#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl<'a> Run<'a> {
    pub(super) fn failure<T>(&self, reason: impl Into<String>) -> Result<T, Problem> {
        Err(Problem::new(self.line, reason))
    }

    pub(super) fn step(&mut self, cost: usize) -> Result<(), Problem> {
        self.steps += cost;
        if self.steps > MAX_STEPS {
            self.failure("the template takes too much work")
        } else {
            Ok(())
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Problem> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return self.failure("the text gets too long");
        }
        self.out.push_str(text);
        self.step(text.len() / 64)
    }

    fn list(&mut self, list: &'a List, dot: &Value<'a>) -> Result<Flow, Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.failure("exceeded maximum template depth");
        }
        for node in list {
            let flow = self.node(node, dot)?;
            if flow != Flow::On {
                self.depth -= 1;
                return Ok(flow);
            }
        }
        self.depth -= 1;
        Ok(Flow::On)
    }

    fn node(&mut self, node: &'a Node, dot: &Value<'a>) -> Result<Flow, Problem> {
        self.step(1)?;
        match node {
            Node::Text(text, _) => self.write(text)?,
            Node::Action { pipe, escapers } => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    let text = if self.escaped {
                        escapers::apply(escapers, &value)
                    } else {
                        plain(&value)
                    };
                    self.write(&text)?;
                }
            }
            Node::If {
                arms,
                otherwise,
                rebind,
                line,
            } => {
                self.line = *line;
                let mark = self.variables.len();
                let flow = self.branch(arms, otherwise, *rebind, dot)?;
                self.variables.truncate(mark);
                return Ok(flow);
            }
            Node::Range {
                pipe,
                body,
                otherwise,
                ..
            } => {
                let mark = self.variables.len();
                let flow = self.range(pipe, body, otherwise, dot)?;
                self.variables.truncate(mark);
                return Ok(flow);
            }
            Node::Template { name, pipe, line } => {
                self.line = *line;
                let Some(list) = self.defined.get(name) else {
                    return self.failure(format!("template {name:?} not defined"));
                };
                let dot = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Missing,
                };
                // A template sees none of its caller's variables.
                let caller = mem::replace(&mut self.variables, vec![("$", dot.clone())]);
                self.list(list, &dot)?;
                self.variables = caller;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(
        &mut self,
        arms: &'a [(std::sync::Arc<Pipe>, List)],
        otherwise: &'a List,
        rebind: bool,
        dot: &Value<'a>,
    ) -> Result<Flow, Problem> {
        for (pipe, body) in arms {
            let value = self.pipe(pipe, dot)?;
            if value.is_true() {
                return self.list(body, if rebind { &value } else { dot });
            }
        }
        self.list(otherwise, dot)
    }

    fn range(
        &mut self,
        pipe: &'a Pipe,
        body: &'a List,
        otherwise: &'a List,
        dot: &Value<'a>,
    ) -> Result<Flow, Problem> {
        let value = self.pipe(pipe, dot)?;
        let mut empty = true;
        match &value {
            Value::Missing | Value::Nil => {}
            Value::List(values) => {
                for (at, element) in values.iter().enumerate() {
                    empty = false;
                    let index = Value::Int(i64::try_from(at).unwrap_or(i64::MAX));
                    if !self.round(pipe, body, index, &Value::from_json(element))? {
                        break;
                    }
                }
            }
            Value::Map(members) => {
                for (name, element) in sorted(members) {
                    empty = false;
                    if !self.round(
                        pipe,
                        body,
                        Value::text(name.as_str()),
                        &Value::from_json(element),
                    )? {
                        break;
                    }
                }
            }
            Value::Int(_) | Value::Byte(_) if pipe.variables.len() > 1 => {
                return self.failure("can't use a number to iterate over more than one variable");
            }
            Value::Int(count) => {
                for at in 0..*count {
                    empty = false;
                    if !self.round(pipe, body, Value::Missing, &Value::Int(at))? {
                        break;
                    }
                }
            }
            other => {
                return self.failure(format!("range can't iterate over {}", other.type_name()));
            }
        }
        if !empty {
            return Ok(Flow::On);
        }
        // In Go, too, a `break` in the `else` ends this loop, but a `continue` goes to the one around it.
        let flow = self.list(otherwise, dot)?;
        Ok(if flow == Flow::Break { Flow::On } else { flow })
    }

    /// One round of a loop; false after `break`.
    fn round(
        &mut self,
        pipe: &'a Pipe,
        body: &'a List,
        index: Value<'a>,
        element: &Value<'a>,
    ) -> Result<bool, Problem> {
        self.step(1)?;
        let mark = self.variables.len();
        match (pipe.variables.as_slice(), pipe.assigns) {
            ([], _) => {}
            ([one], true) => self.assign(one, element.clone())?,
            ([first, second, ..], true) => {
                self.assign(first, index)?;
                self.assign(second, element.clone())?;
            }
            ([_], false) => self.set_top(1, element.clone()),
            ([_, _, ..], false) => {
                self.set_top(1, element.clone());
                self.set_top(2, index);
            }
        }
        let flow = self.list(body, element)?;
        self.variables.truncate(mark);
        Ok(flow != Flow::Break)
    }

    fn set_top(&mut self, from_top: usize, value: Value<'a>) {
        let at = self.variables.len().checked_sub(from_top);
        if let Some((_, variable)) = at.and_then(|at| self.variables.get_mut(at)) {
            *variable = value;
        }
    }

    pub(super) fn assign(&mut self, name: &str, value: Value<'a>) -> Result<(), Problem> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| *known == name)
        {
            Some((_, variable)) => {
                *variable = value;
                Ok(())
            }
            None => self.failure(format!("undefined variable: {name}")),
        }
    }
}

/// What `text/template` prints.
fn plain(value: &Value<'_>) -> String {
    if value.is_nothing() {
        return "<no value>".into();
    }
    let mut out = String::new();
    value.print(&mut out);
    out
}
