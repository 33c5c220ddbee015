//! Character references in attribute values, as far as they can hide a character that HTML, URLs, scripts
//! or styles give a meaning to (all of those are ASCII).

use std::borrow::Cow;

/// References that give an ASCII character.
const NAMED: [(&str, char); 45] = [
    ("AMP", '&'),
    ("GT", '>'),
    ("Hat", '^'),
    ("LT", '<'),
    ("NewLine", '\n'),
    ("QUOT", '"'),
    ("Tab", '\t'),
    ("UnderBar", '_'),
    ("VerticalLine", '|'),
    ("amp", '&'),
    ("apos", '\''),
    ("ast", '*'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("comma", ','),
    ("commat", '@'),
    ("dollar", '$'),
    ("equals", '='),
    ("excl", '!'),
    ("grave", '`'),
    ("gt", '>'),
    ("DiacriticalGrave", '`'),
    ("lbrace", '{'),
    ("lbrack", '['),
    ("lcub", '{'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("lsqb", '['),
    ("lt", '<'),
    ("midast", '*'),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("quest", '?'),
    ("quot", '"'),
    ("rbrace", '}'),
    ("rbrack", ']'),
    ("rcub", '}'),
    ("rpar", ')'),
    ("rsqb", ']'),
    ("semi", ';'),
    ("sol", '/'),
    ("verbar", '|'),
    ("vert", '|'),
];

/// These also count without their semicolon.
const BARE: [(&str, char); 8] = [
    ("AMP", '&'),
    ("GT", '>'),
    ("LT", '<'),
    ("QUOT", '"'),
    ("amp", '&'),
    ("gt", '>'),
    ("lt", '<'),
    ("quot", '"'),
];

/// The value as a browser would read it.
pub(super) fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, reference)) = rest.split_once('&') {
        out.push_str(plain);
        let (c, used) = resolve(reference).unwrap_or(('&', 0));
        out.push(c);
        rest = reference.get(used..).unwrap_or("");
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of the reference that `text` (after the ampersand) starts with, and its length.
fn resolve(text: &str) -> Option<(char, usize)> {
    if let Some(number) = text.strip_prefix('#') {
        return numeric(number).map(|(c, used)| (c, used + 1));
    }
    let length = text.len()
        - text
            .trim_start_matches(|c: char| c.is_ascii_alphanumeric())
            .len();
    let name = text.get(..length)?;
    if text.get(length..)?.starts_with(';')
        && let Some((_, c)) = NAMED.iter().find(|(known, _)| *known == name)
    {
        return Some((*c, length + 1));
    }
    BARE.iter()
        .find(|(known, _)| name.starts_with(known))
        .map(|(known, c)| (*c, known.len()))
}

fn numeric(text: &str) -> Option<(char, usize)> {
    let (radix, prefix) = if text.starts_with(['x', 'X']) {
        (16, 1)
    } else {
        (10, 0)
    };
    let digits = text.get(prefix..)?;
    let length = digits.len() - digits.trim_start_matches(|c: char| c.is_digit(radix)).len();
    if length == 0 {
        return None;
    }
    let code = u32::from_str_radix(digits.get(..length)?, radix).unwrap_or(u32::MAX);
    let c = match code {
        0 => char::REPLACEMENT_CHARACTER,
        code => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    let semicolon = usize::from(digits.get(length..)?.starts_with(';'));
    Some((c, prefix + length + semicolon))
}
