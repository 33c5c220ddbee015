//! Pipes, commands and operands: how an action comes to its value.

use std::borrow::Cow;

use super::ast::{Command, Function, Operand, Pipe};
use super::run::{MAX_OUTPUT, Run};
use super::value::Value;
use super::{Problem, functions};

impl<'a> Run<'a> {
    pub(super) fn pipe(&mut self, pipe: &'a Pipe, dot: &Value<'a>) -> Result<Value<'a>, Problem> {
        self.line = pipe.line;
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, dot, value)?.settled());
        }
        // A pipe whose only command became an escaper has nothing left.
        let value = value.unwrap_or(Value::text(""));
        for name in &pipe.variables {
            if pipe.assigns {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Ok(value)
    }

    /// One command of a pipe; `last` is what the command before it gave, and becomes the last argument.
    fn command(
        &mut self,
        command: &'a Command,
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Result<Value<'a>, Problem> {
        if let Operand::Function(function) = &command.operand {
            return self.call(*function, &command.arguments, dot, last);
        }
        let arguments = !command.arguments.is_empty() || last.is_some();
        match &command.operand {
            Operand::Nil => self.failure("nil is not a command"),
            Operand::Field(path) => self.fields(dot.clone(), path, arguments),
            Operand::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, path, arguments)
            }
            Operand::Variable(name, path) if !path.is_empty() => {
                let value = self.variable(name)?;
                self.fields(value, path, arguments)
            }
            _ if arguments => self.failure("can't give argument to non-function"),
            operand => self.operand(operand, dot),
        }
    }

    fn operand(&mut self, operand: &'a Operand, dot: &Value<'a>) -> Result<Value<'a>, Problem> {
        Ok(match operand {
            Operand::Dot => dot.clone(),
            Operand::Nil => Value::Missing,
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Int(value) => Value::Int(*value),
            Operand::Float(value) => Value::Float(*value),
            Operand::Str(text) => Value::text(text.as_str()),
            Operand::Field(path) => self.fields(dot.clone(), path, false)?,
            Operand::Variable(name, path) => {
                let value = self.variable(name)?;
                self.fields(value, path, false)?
            }
            Operand::Function(function) => self.call(*function, &[], dot, None)?,
            Operand::Pipe(pipe) => self.pipe(pipe, dot)?,
            Operand::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                self.fields(value, path, false)?
            }
        })
    }

    fn variable(&self, name: &str) -> Result<Value<'a>, Problem> {
        match self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
        {
            Some((_, value)) => Ok(value.clone()),
            None => self.failure(format!("undefined variable: {name}")),
        }
    }

    /// `.a.b.c`: a missing key is nothing, and nothing's fields are nothing; only a null or a plain value has none.
    fn fields(
        &self,
        mut value: Value<'a>,
        path: &[String],
        arguments: bool,
    ) -> Result<Value<'a>, Problem> {
        for (at, name) in path.iter().enumerate() {
            value = match value {
                Value::Missing => return Ok(Value::Missing),
                Value::Nil => {
                    return self.failure(format!("nil pointer evaluating interface {{}}.{name}"));
                }
                Value::Map(_) if arguments && at + 1 == path.len() => {
                    return self.failure(format!("{name} is not a method but has arguments"));
                }
                Value::Map(members) => members.get(name).map_or(Value::Missing, Value::from_json),
                other => {
                    return self.failure(format!(
                        "can't evaluate field {name} in type {}",
                        other.type_name()
                    ));
                }
            };
        }
        Ok(value)
    }

    fn call(
        &mut self,
        function: Function,
        arguments: &'a [Operand],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Result<Value<'a>, Problem> {
        self.step(1)?;
        let count = arguments.len() + usize::from(last.is_some());
        let (fewest, most) = function.arity();
        if count < fewest || count > most {
            let name = function.name();
            return self.failure(format!(
                "wrong number of args for {name}: want {fewest} got {count}"
            ));
        }
        if matches!(function, Function::And | Function::Or) {
            return self.shortcut(function == Function::Or, arguments, dot, last);
        }
        let mut values = Vec::with_capacity(count);
        for argument in arguments {
            values.push(self.operand(argument, dot)?);
        }
        values.extend(last);
        let value = functions::call(function, &values, MAX_OUTPUT).or_else(|reason| {
            self.failure(format!("error calling {}: {reason}", function.name()))
        })?;
        if let Value::Str(Cow::Owned(text)) = &value {
            self.step(text.len() / 64)?;
        }
        Ok(value)
    }

    /// `and`, `or`: the first argument that decides, or the last one.
    fn shortcut(
        &mut self,
        decides: bool,
        arguments: &'a [Operand],
        dot: &Value<'a>,
        last: Option<Value<'a>>,
    ) -> Result<Value<'a>, Problem> {
        let mut value = Value::Missing;
        for argument in arguments {
            value = self.operand(argument, dot)?;
            if value.is_true() == decides {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }
}
