//! Pipes, commands and operands in a source.

use std::sync::Arc;

use super::Problem;
use super::ast::{Command, Function, Operand, Pipe};
use super::literal::{self, Number};
use super::parse::{Parser, unexpected};
use super::token::{Item, Token};

impl Parser<'_> {
    pub(super) fn pipe(&mut self, context: &str, end: &Token<'_>) -> Result<Arc<Pipe>, Problem> {
        let line = self.peek_past_space().line;
        let (variables, assigns) = self.declarations(context, line)?;
        let mut commands: Vec<Command> = Vec::new();
        loop {
            let item = self.peek_past_space();
            if item.token == *end {
                self.next();
                break;
            }
            if !starts_operand(&item.token) {
                return Err(unexpected(&item, context));
            }
            let command = self.command()?;
            if !commands.is_empty() && is_constant(&command.operand) {
                let stage = commands.len() + 1;
                return Err(Problem::new(
                    line,
                    format!("non executable command in pipeline stage {stage}"),
                ));
            }
            commands.push(command);
        }
        if commands.is_empty() {
            return Err(Problem::new(line, format!("missing value for {context}")));
        }
        Ok(Arc::new(Pipe {
            line,
            assigns,
            variables,
            commands,
        }))
    }

    /// `$x :=`, `$x =`, and for a range also `$i, $x :=`.
    fn declarations(&mut self, context: &str, line: usize) -> Result<(Vec<String>, bool), Problem> {
        let mut variables: Vec<String> = Vec::new();
        loop {
            let Token::Variable(name) = self.peek_past_space().token else {
                return Ok((variables, false));
            };
            let before = self.at;
            self.next();
            let sign = self.peek_past_space().token;
            if !matches!(sign, Token::Assign | Token::Declare | Token::Comma) {
                self.at = before;
                return Ok((variables, false));
            }
            self.next();
            variables.push(name.to_owned());
            self.scope.variables.push(name.to_owned());
            if sign != Token::Comma {
                return Ok((variables, sign == Token::Assign));
            }
            if context != "range" || variables.len() > 1 {
                return Err(Problem::new(
                    line,
                    format!("too many declarations in {context}"),
                ));
            }
            if !matches!(
                self.peek_past_space().token,
                Token::Variable(_) | Token::Close | Token::CloseParen
            ) {
                return Err(Problem::new(line, "range can only initialize variables"));
            }
        }
    }

    fn command(&mut self) -> Result<Command, Problem> {
        let line = self.peek_past_space().line;
        let mut operands = Vec::new();
        loop {
            self.peek_past_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let item = self.peek();
            match item.token {
                Token::Space => {}
                Token::Close | Token::CloseParen => break,
                Token::Pipe => {
                    self.next();
                    break;
                }
                _ => return Err(unexpected(&item, "operand")),
            }
        }
        let mut operands = operands.into_iter();
        let operand = operands
            .next()
            .ok_or_else(|| Problem::new(line, "empty command"))?;
        Ok(Command {
            operand,
            arguments: operands.collect(),
        })
    }

    /// A term with the fields that follow it.
    fn operand(&mut self) -> Result<Option<Operand>, Problem> {
        let line = self.peek().line;
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let mut fields = Vec::new();
        while let Token::Field(name) = self.peek().token {
            self.next();
            fields.push(name.to_owned());
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        Ok(Some(match term {
            Operand::Field(mut path) => {
                path.append(&mut fields);
                Operand::Field(path)
            }
            Operand::Variable(name, _) => Operand::Variable(name, fields),
            Operand::Function(_) | Operand::Pipe(_) => Operand::Chain(Box::new(term), fields),
            _ => return Err(Problem::new(line, "unexpected . after a constant")),
        }))
    }

    fn term(&mut self) -> Result<Option<Operand>, Problem> {
        let Item { token, line } = self.peek_past_space();
        let term = match token {
            Token::Name(name) => Operand::Function(
                Function::named(name)
                    .ok_or_else(|| Problem::new(line, format!("function {name:?} not defined")))?,
            ),
            Token::Dot => Operand::Dot,
            Token::Nil => Operand::Nil,
            Token::Variable(name) => {
                if !self.scope.variables.iter().any(|known| known == name) {
                    return Err(Problem::new(line, format!("undefined variable {name:?}")));
                }
                Operand::Variable(name.to_owned(), Vec::new())
            }
            Token::Field(name) => Operand::Field(vec![name.to_owned()]),
            Token::Bool(value) => Operand::Bool(value),
            Token::Number(text) => match literal::number(text) {
                Some(Number::Int(value)) => Operand::Int(value),
                Some(Number::Float(value)) => Operand::Float(value),
                None => return Err(Problem::new(line, format!("bad number syntax: {text:?}"))),
            },
            Token::Char(quoted) => Operand::Int(literal::character(quoted).ok_or_else(|| {
                Problem::new(line, format!("malformed character constant: {quoted}"))
            })?),
            Token::Str(quoted) => Operand::Str(
                literal::unquote(quoted).ok_or_else(|| Problem::new(line, "invalid syntax"))?,
            ),
            Token::OpenParen => {
                self.next();
                self.deeper(line)?;
                let pipe = self.pipe("parenthesized pipeline", &Token::CloseParen)?;
                self.depth -= 1;
                return Ok(Some(Operand::Pipe(pipe)));
            }
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(term))
    }
}

fn starts_operand(token: &Token<'_>) -> bool {
    matches!(
        token,
        Token::Bool(_)
            | Token::Char(_)
            | Token::Dot
            | Token::Field(_)
            | Token::Name(_)
            | Token::Nil
            | Token::Number(_)
            | Token::OpenParen
            | Token::Str(_)
            | Token::Variable(_)
    )
}

fn is_constant(operand: &Operand) -> bool {
    matches!(
        operand,
        Operand::Bool(_)
            | Operand::Dot
            | Operand::Nil
            | Operand::Int(_)
            | Operand::Float(_)
            | Operand::Str(_)
    )
}
