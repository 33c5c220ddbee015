//! Tokens into trees, with Go's grammar and Go's complaints.

use std::collections::BTreeMap;
use std::mem;

use super::Problem;
use super::ast::{List, Node};
use super::lex::lex;
use super::literal;
use super::token::{Item, Keyword, Token};

/// How deep blocks and parentheses may stand in each other.
const MAX_DEPTH: usize = 50;

/// A source and what it defines.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: List,
    /// `{{ define }}` and `{{ block }}`, by name.
    pub(super) defined: BTreeMap<String, List>,
}

/// Parses a whole source.
pub(super) fn parse(source: &str) -> Result<Parsed, Problem> {
    let mut parser = Parser {
        items: lex(source),
        at: 0,
        scope: Scope::new(),
        depth: 0,
        defined: BTreeMap::new(),
    };
    let root = parser.root()?;
    Ok(Parsed {
        root,
        defined: parser.defined,
    })
}

/// A source being read.
pub(super) struct Parser<'s> {
    items: Vec<Item<'s>>,
    pub(super) at: usize,
    pub(super) scope: Scope,
    pub(super) depth: usize,
    defined: BTreeMap<String, List>,
}

/// What is known at a place of one template.
pub(super) struct Scope {
    pub(super) variables: Vec<String>,
    ranges: usize,
}

impl Scope {
    fn new() -> Self {
        Self {
            variables: vec!["$".into()],
            ranges: 0,
        }
    }
}

/// What a list of nodes ran into.
enum Next {
    Node(Node),
    End,
    Else,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Branch {
    If,
    With,
    Range,
}

impl Branch {
    fn name(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }
}

impl<'s> Parser<'s> {
    pub(super) fn peek(&self) -> Item<'s> {
        self.items
            .get(self.at)
            .or(self.items.last())
            .cloned()
            .unwrap_or(Item {
                token: Token::End,
                line: 1,
            })
    }

    pub(super) fn next(&mut self) -> Item<'s> {
        let item = self.peek();
        self.at += 1;
        item
    }

    pub(super) fn peek_past_space(&mut self) -> Item<'s> {
        while self.peek().token == Token::Space {
            self.at += 1;
        }
        self.peek()
    }

    fn next_past_space(&mut self) -> Item<'s> {
        self.peek_past_space();
        self.next()
    }

    fn expect_close(&mut self, context: &str) -> Result<(), Problem> {
        let item = self.next_past_space();
        if item.token == Token::Close {
            Ok(())
        } else {
            Err(unexpected(&item, context))
        }
    }

    fn root(&mut self) -> Result<List, Problem> {
        let mut root = List::new();
        loop {
            let item = self.peek();
            if item.token == Token::End {
                return Ok(root);
            }
            let before = self.at;
            if item.token == Token::Open {
                self.next();
                if self.next_past_space().token == Token::Keyword(Keyword::Define) {
                    self.define(item.line)?;
                    continue;
                }
                self.at = before;
            }
            match self.node()? {
                Next::Node(node) => root.push(node),
                Next::End => return Err(Problem::new(item.line, "unexpected {{end}}")),
                Next::Else => return Err(Problem::new(item.line, "unexpected {{else}}")),
            }
        }
    }

    fn define(&mut self, line: usize) -> Result<(), Problem> {
        let name = self.template_name("define clause")?;
        self.expect_close("define clause")?;
        self.definition(name, line, "define clause")
    }

    /// The body of a `define` or `block`, up to its `end`.
    fn definition(&mut self, name: String, line: usize, context: &str) -> Result<(), Problem> {
        let outer = mem::replace(&mut self.scope, Scope::new());
        let (list, next) = self.list()?;
        if !matches!(next, Next::End) {
            return Err(Problem::new(
                line,
                format!("unexpected {{{{else}}}} in {context}"),
            ));
        }
        self.scope = outer;
        match self.defined.get(&name) {
            Some(earlier) if !is_blank(earlier) => {
                if !is_blank(&list) {
                    return Err(Problem::new(
                        line,
                        format!("multiple definition of template {name:?}"),
                    ));
                }
            }
            _ => {
                self.defined.insert(name, list);
            }
        }
        Ok(())
    }

    /// Nodes up to an `end` or `else`, which is returned.
    fn list(&mut self) -> Result<(List, Next), Problem> {
        let mut list = List::new();
        loop {
            let item = self.peek_past_space();
            if item.token == Token::End {
                return Err(Problem::new(item.line, "unexpected EOF"));
            }
            match self.node()? {
                Next::Node(node) => list.push(node),
                next => return Ok((list, next)),
            }
        }
    }

    fn node(&mut self) -> Result<Next, Problem> {
        let item = self.next_past_space();
        match item.token {
            Token::Text(text) => Ok(Next::Node(Node::Text(text.to_owned(), item.line))),
            Token::Open => self.action(),
            _ => Err(unexpected(&item, "input")),
        }
    }

    fn action(&mut self) -> Result<Next, Problem> {
        let item = self.peek_past_space();
        let Token::Keyword(keyword) = item.token else {
            let pipe = self.pipe("command", &Token::Close)?;
            return Ok(Next::Node(Node::Action {
                pipe,
                escapers: Vec::new(),
            }));
        };
        self.next();
        let line = item.line;
        Ok(Next::Node(match keyword {
            Keyword::If => self.branch(Branch::If, line)?,
            Keyword::With => self.branch(Branch::With, line)?,
            Keyword::Range => self.branch(Branch::Range, line)?,
            Keyword::Template => self.template(line)?,
            Keyword::Block => self.block(line)?,
            Keyword::Break => {
                self.in_range("break", line)?;
                Node::Break
            }
            Keyword::Continue => {
                self.in_range("continue", line)?;
                Node::Continue
            }
            Keyword::End => {
                self.expect_close("end")?;
                return Ok(Next::End);
            }
            Keyword::Else => {
                // `else if` is left for the branch that it continues.
                if !matches!(
                    self.peek_past_space().token,
                    Token::Keyword(Keyword::If | Keyword::With)
                ) {
                    self.expect_close("else")?;
                }
                return Ok(Next::Else);
            }
            Keyword::Define => return Err(unexpected(&item, "command")),
        }))
    }

    fn in_range(&mut self, word: &str, line: usize) -> Result<(), Problem> {
        self.expect_close(&format!("{{{{{word}}}}}"))?;
        if self.scope.ranges == 0 {
            return Err(Problem::new(
                line,
                format!("{{{{{word}}}}} outside {{{{range}}}}"),
            ));
        }
        Ok(())
    }

    fn branch(&mut self, branch: Branch, line: usize) -> Result<Node, Problem> {
        self.deeper(line)?;
        let known = self.scope.variables.len();
        let mut arms = Vec::new();
        let mut otherwise = List::new();
        loop {
            let pipe = self.pipe(branch.name(), &Token::Close)?;
            self.scope.ranges += usize::from(branch == Branch::Range);
            let (body, next) = self.list()?;
            self.scope.ranges -= usize::from(branch == Branch::Range);
            arms.push((pipe, body));
            if !matches!(next, Next::Else) {
                break;
            }
            let continues = match self.peek().token {
                Token::Keyword(Keyword::If) => branch == Branch::If,
                Token::Keyword(Keyword::With) => branch == Branch::With,
                _ => false,
            };
            if continues {
                self.next();
                continue;
            }
            let (body, next) = self.list()?;
            if !matches!(next, Next::End) {
                return Err(Problem::new(line, "expected end; found {{else}}"));
            }
            otherwise = body;
            break;
        }
        self.scope.variables.truncate(known);
        self.depth -= 1;
        if branch == Branch::Range
            && let Some((pipe, body)) = arms.pop()
        {
            return Ok(Node::Range {
                pipe,
                body,
                otherwise,
                line,
            });
        }
        Ok(Node::If {
            arms,
            otherwise,
            rebind: branch == Branch::With,
            line,
        })
    }

    pub(super) fn deeper(&mut self, line: usize) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Problem::new(line, "max expression depth exceeded"));
        }
        Ok(())
    }

    fn template(&mut self, line: usize) -> Result<Node, Problem> {
        let name = self.template_name("template clause")?;
        let pipe = if self.peek_past_space().token == Token::Close {
            self.next();
            None
        } else {
            Some(self.pipe("template clause", &Token::Close)?)
        };
        Ok(Node::Template { name, pipe, line })
    }

    fn block(&mut self, line: usize) -> Result<Node, Problem> {
        self.deeper(line)?;
        let name = self.template_name("block clause")?;
        let pipe = self.pipe("block clause", &Token::Close)?;
        self.definition(name.clone(), line, "block clause")?;
        self.depth -= 1;
        Ok(Node::Template {
            name,
            pipe: Some(pipe),
            line,
        })
    }

    fn template_name(&mut self, context: &str) -> Result<String, Problem> {
        let item = self.next_past_space();
        let Token::Str(quoted) = item.token else {
            return Err(unexpected(&item, context));
        };
        literal::unquote(quoted).ok_or_else(|| Problem::new(item.line, "invalid syntax"))
    }
}

/// Only blanks: such a definition may be given again.
fn is_blank(list: &List) -> bool {
    list.iter()
        .all(|node| matches!(node, Node::Text(text, _) if text.trim().is_empty()))
}

pub(super) fn unexpected(item: &Item<'_>, context: &str) -> Problem {
    match &item.token {
        Token::Error(reason) => Problem::new(item.line, reason.clone()),
        token => Problem::new(item.line, format!("unexpected {token} in {context}")),
    }
}
