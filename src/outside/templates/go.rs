//! Go templates: the language of the mails (and texts) that operators wrote for GoTrue, parsed at load and
//! run over JSON. `html` escapes by context as Go's `html/template` does, `text` not at all.
//!
//! Left out, because nothing in a mail's data can reach it: methods, functions as values, complex numbers.

mod action;
mod ast;
mod context;
mod css;
mod entities;
mod escape;
mod escapers;
mod eval;
mod expression;
mod functions;
mod html;
mod js;
mod lex;
mod literal;
mod number;
mod parse;
mod print;
mod printf;
mod run;
mod text;
mod token;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json};

/// A template that has passed all checks that need no data. The default one is empty.
#[derive(Debug, Default)]
pub struct GoTemplate {
    root: ast::List,
    defined: BTreeMap<String, ast::List>,
    escaped: bool,
}

impl GoTemplate {
    /// Parses a template whose values are escaped by where in the HTML they stand.
    pub fn html(source: &str) -> Result<Self, Problem> {
        let (root, defined) = escape::escape(parse::parse(source)?)?;
        Ok(Self {
            root,
            defined,
            escaped: true,
        })
    }

    /// Parses a template for plain text.
    pub fn text(source: &str) -> Result<Self, Problem> {
        let parse::Parsed { root, defined } = parse::parse(source)?;
        Ok(Self {
            root,
            defined,
            escaped: false,
        })
    }

    /// Fills in the data. Fails where Go would (comparing a text with a number, indexing what is not there),
    /// and on what takes too long or gets too large.
    pub fn render(&self, data: &Map<String, Json>) -> Result<String, Problem> {
        run::run(&self.root, &self.defined, self.escaped, data)
    }
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from one; zero when no line can be named.
    pub line: usize,
    /// In the words of Go's template packages where they have some.
    pub reason: String,
}

impl Problem {
    fn new(line: usize, reason: impl Into<String>) -> Self {
        Self {
            line,
            reason: reason.into(),
        }
    }

    /// A problem whose line somebody further up knows.
    fn here(reason: impl Into<String>) -> Self {
        Self::new(0, reason)
    }

    /// Names the line, when none is named yet.
    fn at(mut self, line: usize) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }

    fn because(mut self, where_: &str) -> Self {
        self.reason = format!("{where_}: {}", self.reason);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Problem {}
