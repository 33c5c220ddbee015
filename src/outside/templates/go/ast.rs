//! A template as a tree.

use std::sync::Arc;

use super::action::Escaper;

/// Nodes in the order of the source.
pub(super) type List = Vec<Node>;

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String, usize),
    /// `{{ pipe }}`. The escapers are filled in by the analysis, and run over the value in this order.
    Action {
        pipe: Arc<Pipe>,
        escapers: Vec<Escaper>,
    },
    /// `{{ if }}`, `{{ else if }}` .. `{{ else }}`; `rebind` makes it a `with`, which moves the dot.
    If {
        arms: Vec<(Arc<Pipe>, List)>,
        otherwise: List,
        rebind: bool,
        line: usize,
    },
    Range {
        pipe: Arc<Pipe>,
        body: List,
        otherwise: List,
        line: usize,
    },
    /// `{{ template "name" pipe }}`. The analysis replaces the name by that of the copy for this place.
    Template {
        name: String,
        pipe: Option<Arc<Pipe>>,
        line: usize,
    },
    Break,
    Continue,
}

/// `$x := command | command`.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) line: usize,
    /// `=` instead of `:=`.
    pub(super) assigns: bool,
    pub(super) variables: Vec<String>,
    pub(super) commands: Vec<Command>,
}

/// An operand and its arguments; never empty.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) operand: Operand,
    pub(super) arguments: Vec<Operand>,
}

#[derive(Debug, Clone)]
pub(super) enum Operand {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    /// `.a.b`
    Field(Vec<String>),
    /// `$x.a.b`
    Variable(String, Vec<String>),
    Function(Function),
    /// `(pipe)`
    Pipe(Arc<Pipe>),
    /// `(pipe).a.b`, `len.a`
    Chain(Box<Operand>, Vec<String>),
}

/// Go's predefined functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Call,
    Eq,
    Ge,
    Gt,
    Html,
    Index,
    Js,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
    Println,
    Slice,
    Urlquery,
    /// What becomes of `html a b` when its escaping moves to the end of the pipe: its arguments as text.
    Joined,
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "and" => Self::And,
            "call" => Self::Call,
            "eq" => Self::Eq,
            "ge" => Self::Ge,
            "gt" => Self::Gt,
            "html" => Self::Html,
            "index" => Self::Index,
            "js" => Self::Js,
            "le" => Self::Le,
            "len" => Self::Len,
            "lt" => Self::Lt,
            "ne" => Self::Ne,
            "not" => Self::Not,
            "or" => Self::Or,
            "print" => Self::Print,
            "printf" => Self::Printf,
            "println" => Self::Println,
            "slice" => Self::Slice,
            "urlquery" => Self::Urlquery,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::And => "and",
            Self::Call => "call",
            Self::Eq => "eq",
            Self::Ge => "ge",
            Self::Gt => "gt",
            Self::Html => "html",
            Self::Index => "index",
            Self::Js => "js",
            Self::Le => "le",
            Self::Len => "len",
            Self::Lt => "lt",
            Self::Ne => "ne",
            Self::Not => "not",
            Self::Or => "or",
            Self::Print | Self::Joined => "print",
            Self::Printf => "printf",
            Self::Println => "println",
            Self::Slice => "slice",
            Self::Urlquery => "urlquery",
        }
    }

    /// The least and the greatest number of arguments.
    pub(super) fn arity(self) -> (usize, usize) {
        match self {
            Self::And
            | Self::Or
            | Self::Eq
            | Self::Index
            | Self::Slice
            | Self::Call
            | Self::Printf => (1, usize::MAX),
            Self::Ge | Self::Gt | Self::Le | Self::Lt | Self::Ne => (2, 2),
            Self::Len | Self::Not => (1, 1),
            Self::Html | Self::Js | Self::Urlquery | Self::Print | Self::Println | Self::Joined => {
                (0, usize::MAX)
            }
        }
    }
}
