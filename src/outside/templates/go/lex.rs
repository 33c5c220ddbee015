//! Text and actions into tokens, as Go's `text/template/parse` cuts them: trim markers and comments
//! are gone after this, line numbers stay.

use super::token::{Item, Keyword, Token};

/// Cuts a whole source. The last item is `End` or `Error`.
pub(super) fn lex(source: &str) -> Vec<Item<'_>> {
    let mut lexer = Lexer {
        rest: source,
        line: 1,
        items: Vec::new(),
    };
    if let Err((line, reason)) = lexer.text() {
        lexer.items.push(Item {
            token: Token::Error(reason),
            line,
        });
    } else {
        lexer.items.push(Item {
            token: Token::End,
            line: lexer.line,
        });
    }
    lexer.items
}

struct Lexer<'s> {
    rest: &'s str,
    line: usize,
    items: Vec<Item<'s>>,
}

type Lexed = Result<(), (usize, String)>;

impl<'s> Lexer<'s> {
    /// Takes `bytes` off the front, counting lines.
    fn take(&mut self, bytes: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.line += taken.matches('\n').count();
        taken
    }

    fn emit(&mut self, token: Token<'s>, line: usize) {
        self.items.push(Item { token, line });
    }

    fn text(&mut self) -> Lexed {
        while let Some(at) = self.rest.find("{{") {
            let line = self.line;
            let text = self.take(at);
            self.take(2);
            let marked = trims_left(self.rest);
            let text = if marked {
                text.trim_end_matches(is_space)
            } else {
                text
            };
            if !text.is_empty() {
                self.emit(Token::Text(text), line);
            }
            let line = self.line;
            if marked {
                self.take(2);
            }
            if self.rest.starts_with("/*") {
                self.take(2);
                self.comment(line)?;
            } else {
                self.emit(Token::Open, line);
                self.action(line)?;
            }
        }
        let line = self.line;
        let text = self.take(self.rest.len());
        if !text.is_empty() {
            self.emit(Token::Text(text), line);
        }
        Ok(())
    }

    /// A comment after its opening.
    fn comment(&mut self, line: usize) -> Lexed {
        let Some(end) = self.rest.find("*/") else {
            return Err((line, "unclosed comment".into()));
        };
        self.take(end + 2);
        if self.close() {
            Ok(())
        } else {
            Err((line, "comment ends before closing delimiter".into()))
        }
    }

    /// Takes `}}` or ` -}}` when it comes next, and the space that the marker trims.
    fn close(&mut self) -> bool {
        if closes_trimming(self.rest) {
            self.take(4);
            let text = self.rest.trim_start_matches(is_space);
            self.take(self.rest.len() - text.len());
            true
        } else if self.rest.starts_with("}}") {
            self.take(2);
            true
        } else {
            false
        }
    }

    fn action(&mut self, opened: usize) -> Lexed {
        let mut parens = 0_usize;
        loop {
            let line = self.line;
            if closes_trimming(self.rest) || self.rest.starts_with("}}") {
                if parens > 0 {
                    return Err((line, "unclosed left paren".into()));
                }
                self.close();
                self.emit(Token::Close, line);
                return Ok(());
            }
            let Some(first) = self.rest.chars().next() else {
                return Err((opened, "unclosed action".into()));
            };
            match first {
                c if is_space(c) => self.space(),
                '=' => self.single(Token::Assign),
                '|' => self.single(Token::Pipe),
                ',' => self.single(Token::Comma),
                '(' => {
                    parens += 1;
                    self.single(Token::OpenParen);
                }
                ')' => {
                    parens = parens
                        .checked_sub(1)
                        .ok_or((line, "unexpected right paren".into()))?;
                    self.single(Token::CloseParen);
                }
                ':' if self.rest.starts_with(":=") => {
                    self.take(2);
                    self.emit(Token::Declare, line);
                }
                ':' => return Err((line, "expected :=".into())),
                '"' | '\'' => self.quoted(first)?,
                '`' => self.raw()?,
                '$' => self.variable()?,
                '.' if !self.rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => {
                    self.field()?;
                }
                '.' | '+' | '-' | '0'..='9' => self.number()?,
                c if is_word(c) => self.word()?,
                c if c.is_ascii_graphic() => self.single(Token::Other(c)),
                c => {
                    return Err((
                        line,
                        format!("unrecognized character in action: {}", named(c)),
                    ));
                }
            }
        }
    }

    fn single(&mut self, token: Token<'s>) {
        let line = self.line;
        self.take(1);
        self.emit(token, line);
    }

    fn space(&mut self) {
        let line = self.line;
        let mut run = self.rest.len() - self.rest.trim_start_matches(is_space).len();
        // The last blank of the run may belong to a trim marker.
        if self
            .rest
            .get(run..)
            .is_some_and(|after| after.starts_with("-}}"))
        {
            run -= 1;
        }
        if run > 0 {
            self.take(run);
            self.emit(Token::Space, line);
        }
    }

    fn quoted(&mut self, quote: char) -> Lexed {
        let line = self.line;
        let what = if quote == '"' {
            "quoted string"
        } else {
            "character constant"
        };
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    let text = self.take(at + 1);
                    self.emit(
                        if quote == '"' {
                            Token::Str(text)
                        } else {
                            Token::Char(text)
                        },
                        line,
                    );
                    return Ok(());
                }
                _ => {}
            }
        }
        Err((line, format!("unterminated {what}")))
    }

    fn raw(&mut self) -> Lexed {
        let line = self.line;
        let Some(end) = self.rest.get(1..).and_then(|inner| inner.find('`')) else {
            return Err((line, "unterminated raw quoted string".into()));
        };
        let text = self.take(end + 2);
        self.emit(Token::Str(text), line);
        Ok(())
    }

    /// The run of word characters after the first `skip` bytes; what follows must end a name.
    fn name(&mut self, skip: usize) -> Result<&'s str, (usize, String)> {
        let line = self.line;
        let inner = self.rest.get(skip..).unwrap_or("");
        let length = inner.len() - inner.trim_start_matches(is_word).len();
        let after = inner.get(length..).unwrap_or("");
        match after.chars().next() {
            Some(c) if !ends_name(c, after) => Err((line, format!("bad character {}", named(c)))),
            _ => Ok(self.take(skip + length)),
        }
    }

    fn variable(&mut self) -> Lexed {
        let line = self.line;
        let name = self.name(1)?;
        self.emit(Token::Variable(name), line);
        Ok(())
    }

    fn field(&mut self) -> Lexed {
        let line = self.line;
        let name = self.name(1)?.strip_prefix('.').unwrap_or("");
        self.emit(
            if name.is_empty() {
                Token::Dot
            } else {
                Token::Field(name)
            },
            line,
        );
        Ok(())
    }

    fn word(&mut self) -> Lexed {
        let line = self.line;
        let token = match self.name(0)? {
            "block" => Token::Keyword(Keyword::Block),
            "break" => Token::Keyword(Keyword::Break),
            "continue" => Token::Keyword(Keyword::Continue),
            "define" => Token::Keyword(Keyword::Define),
            "else" => Token::Keyword(Keyword::Else),
            "end" => Token::Keyword(Keyword::End),
            "if" => Token::Keyword(Keyword::If),
            "range" => Token::Keyword(Keyword::Range),
            "template" => Token::Keyword(Keyword::Template),
            "with" => Token::Keyword(Keyword::With),
            "nil" => Token::Nil,
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            name => Token::Name(name),
        };
        self.emit(token, line);
        Ok(())
    }

    /// Takes everything that can belong to a number; the parser says whether it is one.
    fn number(&mut self) -> Lexed {
        let line = self.line;
        let mut length = 0;
        let mut before = ' ';
        let digits = self.rest.trim_start_matches(['+', '-']);
        let hex = digits.starts_with("0x") || digits.starts_with("0X");
        for (at, c) in self.rest.char_indices() {
            let sign = matches!(c, '+' | '-') && (at == 0 || (!hex && matches!(before, 'e' | 'E')));
            if !(sign || c == '.' || is_word(c)) {
                break;
            }
            length = at + c.len_utf8();
            before = c;
        }
        let text = self.take(length);
        if self.rest.starts_with(['+', '-']) {
            return Err((line, format!("bad number syntax: {text:?}")));
        }
        self.emit(Token::Number(text), line);
        Ok(())
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// `{{- `: the marker needs a blank, so that `{{-3}}` stays a number.
fn trims_left(after_open: &str) -> bool {
    after_open
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(is_space))
}

fn closes_trimming(rest: &str) -> bool {
    rest.strip_prefix(is_space)
        .is_some_and(|rest| rest.starts_with("-}}"))
}

fn ends_name(c: char, rest: &str) -> bool {
    is_space(c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '(') || rest.starts_with("}}")
}

fn named(c: char) -> String {
    format!("U+{:04X} {c:?}", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(source: &str) -> Vec<Token<'_>> {
        lex(source).into_iter().map(|item| item.token).collect()
    }

    #[test]
    fn trim_markers_and_comments_are_gone() {
        assert_eq!(
            tokens("a {{- .X -}} \n b{{/* c */}}d {{- /* e */ -}} f"),
            [
                Token::Text("a"),
                Token::Open,
                Token::Field("X"),
                Token::Close,
                Token::Text("b"),
                Token::Text("d"),
                Token::Text("f"),
                Token::End
            ]
        );
    }

    #[test]
    fn a_minus_without_a_blank_is_a_number() {
        assert_eq!(
            tokens("{{-3}}"),
            [Token::Open, Token::Number("-3"), Token::Close, Token::End]
        );
    }

    #[test]
    fn lines_are_counted_through_everything() {
        let lines: Vec<_> = lex("a\n{{ `x\ny`\n}}{{/*\n*/}}\n{{ .Z }}")
            .into_iter()
            .filter(|item| matches!(item.token, Token::Str(_) | Token::Field(_)))
            .map(|item| item.line)
            .collect();
        assert_eq!(lines, [2, 6]);
    }

    #[test]
    fn what_cannot_be_cut_is_an_error_with_its_line() {
        let last = |source| lex(source).pop().map(|item| (item.line, item.token));
        assert_eq!(
            last("\n{{ .X "),
            Some((2, Token::Error("unclosed action".into())))
        );
        assert_eq!(
            last("{{ (.X }}"),
            Some((1, Token::Error("unclosed left paren".into())))
        );
        assert_eq!(
            last("{{ .X-1 }}"),
            Some((1, Token::Error("bad character U+002D '-'".into())))
        );
        assert_eq!(
            last("{{ \"a\n\" }}"),
            Some((1, Token::Error("unterminated quoted string".into())))
        );
        assert_eq!(
            last("{{/* a"),
            Some((1, Token::Error("unclosed comment".into())))
        );
    }
}
