//! The syntax of `.env` files, as GoTrue's fork of godotenv reads them: `KEY=value` or `KEY: value`,
//! `export` allowed, three kinds of quoting, and no expansion of variables.

/// The variables of a file, in its order. On a mistake: the line, and what is wrong there. A line is
/// never repeated in an error: it may hold a secret.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let text = text.replace("\r\n", "\n");
    let mut variables = Vec::new();
    let mut rest = text.as_str();
    while let Some(statement) = next_statement(rest) {
        let line = text[..text.len() - statement.len()].matches('\n').count() + 1;
        let at = |fault: String| format!("line {line}: {fault}");
        let (name, after) = name(statement).map_err(at)?;
        let (value, after) = value(after).map_err(at)?;
        variables.push((name.to_owned(), value));
        rest = after;
    }
    Ok(variables)
}

/// Skips white space and whole-line comments.
fn next_statement(text: &str) -> Option<&str> {
    let mut rest = text.trim_start();
    while let Some(comment) = rest.strip_prefix('#') {
        rest = comment.split_once('\n')?.1.trim_start();
    }
    (!rest.is_empty()).then_some(rest)
}

/// The name, and what follows `=` or `:` and blanks.
fn name(statement: &str) -> Result<(&str, &str), String> {
    let statement = statement
        .strip_prefix("export")
        .filter(|rest| rest.starts_with(is_blank))
        .map_or(statement, |rest| rest.trim_start_matches(is_blank));
    let end = statement
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.' || is_blank(c)))
        .unwrap_or(statement.len());
    let (name, after) = statement.split_at(end);
    let mut after = after.chars();
    match after.next() {
        Some('=' | ':') if !name.trim().is_empty() => {
            Ok((name.trim_end(), after.as_str().trim_start_matches(is_blank)))
        }
        Some('=' | ':') => Err("the name is missing before the equals sign".into()),
        Some('\n') | None => Err("not of the form NAME=value".into()),
        Some(other) => Err(format!("the character {other:?} cannot stand in a name")),
    }
}

/// The value, and what follows it.
fn value(text: &str) -> Result<(String, &str), String> {
    match text.chars().next() {
        Some(quote @ ('\'' | '"')) => quoted(text, quote),
        _ => Ok(unquoted(text)),
    }
}

/// To the end of the line, without a comment at its end and white space around.
fn unquoted(text: &str) -> (String, &str) {
    let (line, rest) = text.split_at(text.find(['\n', '\r']).unwrap_or(text.len()));
    // A comment is the last `#` after a blank, and only that one: `a # b # c` gives `a # b`.
    let comment = line
        .char_indices()
        .zip(line.chars().skip(1))
        .filter(|((_, before), c)| is_blank(*before) && *c == '#')
        .last();
    let line = match comment {
        Some(((blank, _), _)) => line.split_at(blank).0,
        None => line,
    };
    (line.trim_matches(is_blank).replace(r"\$", "$"), rest)
}

/// To the next such quote without a backslash; over several lines if need be. Double quotes know `\n`,
/// `\r` and `\` before any other character; single quotes know nothing.
fn quoted(text: &str, quote: char) -> Result<(String, &str), String> {
    let mut before = quote;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && before != '\\' {
            let (value, rest) = text.split_at(at);
            // godotenv trims quotes from both ends, so an escaped one at the end is lost.
            let value = value.trim_matches(quote);
            let value = if quote == '"' {
                unescape(value)
            } else {
                value.to_owned()
            };
            return Ok((value, rest.strip_prefix(quote).unwrap_or(rest)));
        }
        before = c;
    }
    Err(format!("the closing {quote} is missing"))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    // What `\\$` has left.
    out.replace(r"\$", "$")
}

/// White space within a line, as godotenv counts it.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str) -> String {
        let variables = parse(text).expect(text);
        assert_eq!(variables.len(), 1, "{text}");
        assert_eq!(variables[0].0, "A", "{text}");
        variables[0].1.clone()
    }

    /// Each of these was given to GoTrue 2.196 as `-c` file; the answers are its own.
    #[test]
    fn values_read_as_godotenv_reads_them() {
        let cases = [
            ("A=b", "b"),
            ("A: b", "b"),
            ("A = b ", "b"),
            ("export A=b", "b"),
            ("\n\n# note\n  A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A=b # c # d", "b # c"),
            ("A=#b", "#b"),
            ("A= # b", "# b"),
            ("A=", ""),
            ("A=\n", ""),
            ("A=b\r\n", "b"),
            ("A=$X ${X} \\$X", "$X ${X} $X"),
            ("A='b # c'", "b # c"),
            (r"A='a\n\$b'", r"a\n\$b"),
            ("A='two\nlines'", "two\nlines"),
            (r#"A="two\nlines\r""#, "two\nlines\r"),
            ("A=\"two\nlines\" # comment", "two\nlines"),
            (r#"A="{\"a\":[\"b\"]}""#, r#"{"a":["b"]}"#),
            (r#"A="\$X $X \\n \x""#, r"$X $X \n x"),
            (r#"A="b\"""#, r"b\"),
            (r#"A="""#, ""),
            ("A=''", ""),
            ("A=it's", "it's"),
        ];
        for (text, expected) in cases {
            assert_eq!(one(text), expected, "{text:?}");
        }
    }

    #[test]
    fn the_order_of_the_file_is_kept() {
        let text = "A=1\nB='2' C=3\nA=4";
        let pairs = [("A", "1"), ("B", "2"), ("C", "3"), ("A", "4")];
        assert_eq!(
            parse(text).unwrap(),
            pairs.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn mistakes_name_their_line_and_hide_its_content() {
        let cases = [
            ("A=1\nB\nC=2", "line 2: not of the form NAME=value"),
            ("A=1\n\nB", "line 3: not of the form NAME=value"),
            (
                "A=1\n=secret",
                "line 2: the name is missing before the equals sign",
            ),
            (
                "A-B=secret",
                "line 1: the character '-' cannot stand in a name",
            ),
            ("A=\"secret\nB=2", "line 1: the closing \" is missing"),
            ("A='secret", "line 1: the closing ' is missing"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap_err(), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn no_heap_of_special_characters_panics(text in "(A|=|:|#|'|\"|\\\\|\\$|n| |\n|\r|\u{a0}|é|export){0,30}") {
            let _ = parse(&text);
        }

        #[test]
        fn single_quotes_keep_everything(value in "[^'\\\\\r]*") {
            prop_assert_eq!(one(&format!("A='{value}'")), value);
        }
    }
}
