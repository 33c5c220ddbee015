//! Where in HTML (and in a URL, a script, a style inside it) a place of a template stands.
//!
//! The rules are those of Go's `html/template`: what a value may do at a place, and how it is escaped
//! there, has to come out the same for the templates that operators already have.

/// The whole of it. The default is the start of a document's text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Context {
    pub(super) state: State,
    pub(super) delim: Delim,
    pub(super) url: UrlPart,
    pub(super) slash: Slash,
    /// For each `${` of JavaScript template literals around this place, how many braces are open in it.
    pub(super) braces: Vec<usize>,
    pub(super) attribute: Attribute,
    pub(super) element: Element,
}

impl Context {
    pub(super) fn of(state: State) -> Self {
        Self {
            state,
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum State {
    #[default]
    Text,
    /// Before an attribute or the end of a tag.
    Tag,
    AttributeName,
    AfterName,
    /// After the equals sign.
    BeforeValue,
    HtmlComment,
    /// In `textarea` or `title`.
    Rcdata,
    /// In the value of an attribute that is plain text.
    Attribute,
    Url,
    Srcset,
    /// In `content` of a `meta`, which may hold `url=`.
    MetaContent,
    MetaContentUrl,
    Js,
    JsDoubleQuoted,
    JsSingleQuoted,
    JsTemplate,
    JsRegexp,
    JsBlockComment,
    JsLineComment,
    JsHtmlOpenComment,
    JsHtmlCloseComment,
    Css,
    CssDoubleQuoted,
    CssSingleQuoted,
    CssDoubleQuotedUrl,
    CssSingleQuotedUrl,
    CssUrl,
    CssBlockComment,
    CssLineComment,
    /// After a `break` or `continue`: never reached.
    Dead,
}

impl State {
    pub(super) fn is_comment(self) -> bool {
        matches!(
            self,
            Self::HtmlComment
                | Self::JsBlockComment
                | Self::JsLineComment
                | Self::JsHtmlOpenComment
                | Self::JsHtmlCloseComment
                | Self::CssBlockComment
                | Self::CssLineComment
        )
    }

    /// Inside a literal of a script, where `<script`, `</script` and `<!--` have to be broken up.
    pub(super) fn is_script_literal(self) -> bool {
        matches!(
            self,
            Self::JsDoubleQuoted | Self::JsSingleQuoted | Self::JsTemplate | Self::JsRegexp
        )
    }
}

/// What ends an attribute's value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Delim {
    /// Not in a value.
    #[default]
    None,
    DoubleQuote,
    SingleQuote,
    SpaceOrTagEnd,
}

/// Which part of a URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum UrlPart {
    /// The very start, or no URL.
    #[default]
    Start,
    BeforeQuery,
    QueryOrFragment,
    /// Branches disagree.
    Unknown,
}

/// What a `/` in JavaScript would start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Slash {
    #[default]
    Regexp,
    Division,
    Unknown,
}

/// The elements whose content is not plain HTML.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Element {
    #[default]
    Other,
    Script,
    Style,
    Textarea,
    Title,
    Meta,
}

impl Element {
    pub(super) fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "script" => Self::Script,
            "style" => Self::Style,
            "textarea" => Self::Textarea,
            "title" => Self::Title,
            "meta" => Self::Meta,
            _ => Self::Other,
        }
    }

    /// The state right after its start tag.
    pub(super) fn content(self) -> State {
        match self {
            Self::Other | Self::Meta => State::Text,
            Self::Script => State::Js,
            Self::Style => State::Css,
            Self::Textarea | Self::Title => State::Rcdata,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Style => "style",
            Self::Textarea => "textarea",
            Self::Title => "title",
            Self::Other | Self::Meta => "",
        }
    }
}

/// What the value of the attribute at hand is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) enum Attribute {
    #[default]
    Plain,
    Script,
    /// `type` of a `script`.
    ScriptType,
    Style,
    Url,
    Srcset,
    MetaContent,
}

impl Attribute {
    /// The state at the start of its value.
    pub(super) fn value(self) -> State {
        match self {
            Self::Plain | Self::ScriptType => State::Attribute,
            Self::Script => State::Js,
            Self::Style => State::Css,
            Self::Url => State::Url,
            Self::Srcset => State::Srcset,
            Self::MetaContent => State::MetaContent,
        }
    }

    pub(super) fn named(element: Element, name: &str) -> Self {
        match (element, name) {
            (Element::Script, "type") => Self::ScriptType,
            (Element::Meta, "content") => Self::MetaContent,
            _ => match attribute_kind(name) {
                AttributeKind::Url => Self::Url,
                AttributeKind::Css => Self::Style,
                AttributeKind::Js => Self::Script,
                AttributeKind::Srcset => Self::Srcset,
                AttributeKind::Plain | AttributeKind::Other => Self::Plain,
            },
        }
    }
}

/// How far an attribute of this (lower-case) name can be trusted with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttributeKind {
    Plain,
    Url,
    Css,
    Js,
    Srcset,
    /// Changes how other content is read (`charset`, `rel`), or is HTML itself: no value may name it.
    Other,
}

pub(super) fn attribute_kind(name: &str) -> AttributeKind {
    let name = match (name.strip_prefix("data-"), name.split_once(':')) {
        (None, Some(("xmlns", _))) => return AttributeKind::Url,
        (Some(rest), _) | (None, Some((_, rest))) => rest,
        (None, None) => name,
    };
    match name {
        "action" | "archive" | "background" | "cite" | "classid" | "codebase" | "data"
        | "formaction" | "href" | "icon" | "longdesc" | "manifest" | "poster" | "profile"
        | "src" | "usemap" | "xmlns" => AttributeKind::Url,
        "style" => AttributeKind::Css,
        "srcset" => AttributeKind::Srcset,
        "accept-charset" | "async" | "challenge" | "charset" | "content" | "crossorigin"
        | "defer" | "enctype" | "form" | "formenctype" | "formmethod" | "formnovalidate"
        | "http-equiv" | "keytype" | "language" | "method" | "novalidate" | "pattern" | "rel"
        | "sandbox" | "srcdoc" | "type" | "value" => AttributeKind::Other,
        // Known and harmless, although their names look otherwise below.
        "srclang" => AttributeKind::Plain,
        _ if name.starts_with("on") => AttributeKind::Js,
        _ if name.contains("src") || name.contains("uri") || name.contains("url") => {
            AttributeKind::Url
        }
        _ => AttributeKind::Plain,
    }
}
