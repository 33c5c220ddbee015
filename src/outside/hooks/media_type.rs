//! The media type of a `Content-Type` header, with the words of Go's `mime` package for what is none.

/// The type without its parameters, in lower case.
pub(super) fn parse(header: &str) -> Result<String, &'static str> {
    let (media_type, mut parameters) = match header.split_once(';') {
        Some((media_type, parameters)) => (media_type, parameters),
        None => (header, ""),
    };
    let media_type = media_type.trim().to_ascii_lowercase();
    check(&media_type)?;
    while !parameters.trim().is_empty() {
        parameters = after_parameter(parameters).ok_or("mime: invalid media parameter")?;
    }
    Ok(media_type)
}

fn check(media_type: &str) -> Result<(), &'static str> {
    let (main, rest) = token(media_type);
    if main.is_empty() {
        return Err("mime: no media type");
    }
    if rest.is_empty() {
        return Ok(());
    }
    let Some(rest) = rest.strip_prefix('/') else {
        return Err("mime: expected slash after first token");
    };
    match token(rest) {
        ("", _) => Err("mime: expected token after slash"),
        (_, "") => Ok(()),
        _ => Err("mime: unexpected content after media subtype"),
    }
}

/// What follows `name=value` and its semicolon.
fn after_parameter(text: &str) -> Option<&str> {
    let (name, rest) = token(text.trim_start());
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let rest = match rest.strip_prefix('"') {
        Some(quoted) => after_quote(quoted)?,
        None => {
            let (value, rest) = token(rest);
            (!value.is_empty()).then_some(rest)?
        }
    };
    let rest = rest.trim_start();
    let fine = !name.is_empty() && (rest.is_empty() || rest.starts_with(';'));
    fine.then(|| rest.strip_prefix(';').unwrap_or(rest))
}

fn after_quote(text: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' if !escaped => return text.get(at + 1..),
            '\r' | '\n' => return None,
            _ => escaped = character == '\\' && !escaped,
        }
    }
    None
}

/// RFC 2045's token at the start, and what follows it.
fn token(text: &str) -> (&str, &str) {
    let ends = |c: char| !c.is_ascii_graphic() || "()<>@,;:\\\"/[]?=".contains(c);
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn as_go_reads_it() {
        for (header, media_type) in [
            ("application/json", "application/json"),
            (" Application/JSON ; charset=utf-8", "application/json"),
            ("application/json;", "application/json"),
            ("application/json; a=\"b;\\\"c\" ; d=e;", "application/json"),
            ("json", "json"),
        ] {
            assert_eq!(parse(header).as_deref(), Ok(media_type), "{header}");
        }
        for (header, fault) in [
            (";;", "mime: no media type"),
            ("a b", "mime: expected slash after first token"),
            ("a/", "mime: expected token after slash"),
            ("a/b c", "mime: unexpected content after media subtype"),
            ("a/b; c", "mime: invalid media parameter"),
            ("a/b; c=\"d", "mime: invalid media parameter"),
            ("a/b; =d", "mime: invalid media parameter"),
        ] {
            assert_eq!(parse(header), Err(fault), "{header}");
        }
    }
}
