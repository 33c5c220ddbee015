//! What a template's source is cut into.

use std::fmt;

/// One token and the line it starts on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item<'s> {
    pub(super) token: Token<'s>,
    pub(super) line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'s> {
    Text(&'s str),
    /// `{{`
    Open,
    /// `}}`
    Close,
    Space,
    Pipe,
    Comma,
    /// `=`
    Assign,
    /// `:=`
    Declare,
    OpenParen,
    CloseParen,
    Dot,
    /// `.name`, without the dot.
    Field(&'s str),
    /// `$name`, with the dollar sign.
    Variable(&'s str),
    /// A function's name.
    Name(&'s str),
    Keyword(Keyword),
    Nil,
    Bool(bool),
    /// As written.
    Number(&'s str),
    /// `'x'`, as written.
    Char(&'s str),
    /// `"..."` or `` `...` ``, as written.
    Str(&'s str),
    /// Any other printable character.
    Other(char),
    Error(String),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Range,
    Template,
    With,
}

/// As Go names it in "unexpected ..".
impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(reason) => f.write_str(reason),
            Self::End => f.write_str("EOF"),
            Self::Keyword(keyword) => write!(f, "<{}>", format!("{keyword:?}").to_lowercase()),
            Self::Text(text) => write!(f, "{:?}", text.chars().take(10).collect::<String>()),
            Self::Str(text)
            | Self::Char(text)
            | Self::Number(text)
            | Self::Name(text)
            | Self::Variable(text) => {
                write!(f, "{text:?}")
            }
            Self::Field(name) => write!(f, "\".{name}\""),
            Self::Other(c) => write!(f, "\"{c}\""),
            Self::Bool(value) => write!(f, "\"{value}\""),
            Self::Open => f.write_str("\"{{\""),
            Self::Close => f.write_str("\"}}\""),
            Self::Space => f.write_str("\" \""),
            Self::Pipe => f.write_str("\"|\""),
            Self::Comma => f.write_str("\",\""),
            Self::Assign => f.write_str("\"=\""),
            Self::Declare => f.write_str("\":=\""),
            Self::OpenParen => f.write_str("\"(\""),
            Self::CloseParen => f.write_str("\")\""),
            Self::Dot => f.write_str("\".\""),
            Self::Nil => f.write_str("<nil>"),
        }
    }
}
