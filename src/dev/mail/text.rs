//! The text of an HTML mail, each link's address in brackets behind its words, as Mailpit does.

use mail_parser::decoders::html::html_to_text;

/// Elements whose words stand on lines of their own.
const BLOCKS: [&str; 17] = [
    "blockquote",
    "body",
    "br",
    "div",
    "h1",
    "h2",
    "h3",
    "h4",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "table",
    "td",
    "tr",
    "ul",
];
/// Elements whose words nobody reads.
const UNREAD: [&str; 4] = ["head", "script", "style", "template"];

/// Reads HTML, however broken.
pub(super) fn of_html(html: &str) -> String {
    let mut text = Text::default();
    let mut rest = html;
    let mut href = None;
    while let Some((words, tag)) = rest.split_once('<') {
        text.add(words);
        if let Some(comment) = tag.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
            continue;
        }
        let (tag, after) = tag.split_once('>').unwrap_or((tag, ""));
        rest = after;
        let name = tag
            .split(|c: char| c.is_whitespace())
            .next()
            .unwrap_or_default()
            .trim_end_matches('/')
            .to_ascii_lowercase();
        if UNREAD.contains(&name.as_str()) {
            rest = after_end_of(&name, after);
        } else if BLOCKS.contains(&name.trim_start_matches('/')) {
            text.end_line();
        } else if name == "a" {
            href = attribute(tag, "href");
        } else if name == "/a"
            && let Some(href) = href.take()
        {
            text.add(&format!(" ( {href} )"));
        }
    }
    text.add(rest);
    text.0.trim().to_owned()
}

/// Text with single blanks.
#[derive(Default)]
struct Text(String);

impl Text {
    /// Adds what stands between two tags.
    fn add(&mut self, html: &str) {
        if html.starts_with(|c: char| c.is_whitespace()) {
            self.separate();
        }
        // Nothing but entities is left to decode in it.
        for word in html_to_text(html).split_whitespace() {
            self.0 += word;
            self.0.push(' ');
        }
        if !html.ends_with(|c: char| c.is_whitespace()) && !html.is_empty() {
            self.0.truncate(self.0.trim_end_matches(' ').len());
        }
    }

    fn separate(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with([' ', '\n']) {
            self.0.push(' ');
        }
    }

    fn end_line(&mut self) {
        self.0.truncate(self.0.trim_end_matches(' ').len());
        if !self.0.is_empty() && !self.0.ends_with('\n') {
            self.0.push('\n');
        }
    }
}

fn after_end_of<'a>(name: &str, html: &'a str) -> &'a str {
    let end = html.match_indices("</").find_map(|(at, _)| {
        let tag = html.get(at + 2..)?;
        let (found, after) = tag.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name).then_some(after)
    });
    end.and_then(|end| end.split_once('>'))
        .map_or("", |(_, after)| after)
}

/// The value of an attribute, still escaped.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let lower = tag.to_ascii_lowercase();
    let value = lower.match_indices(name).find_map(|(at, _)| {
        let before = lower.get(..at)?.chars().next_back()?;
        let value = tag.get(at + name.len()..)?.trim_start().strip_prefix('=')?;
        before.is_whitespace().then(|| value.trim_start())
    })?;
    match value.chars().next()? {
        quote @ ('"' | '\'') => value.get(1..)?.split(quote).next(),
        _ => value.split(|c: char| c.is_whitespace()).next(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_lines_and_links_stay() {
        let html = "<!doctype html><HEAD><title>no</title></head><body><!-- <p>no --><h2 class=x>Hi&nbsp;&amp; hello</h2>\n\
                    <p>Go <A class='b' HREF=\"http://h/verify?token=1&amp;type=signup\"><b>right</b> here</A>, <i>Zo</i>&euml;.<br/>Bye</p>\
                    <style>p{}</style><td>a</td><td>b</td>";
        assert_eq!(
            of_html(html),
            "Hi & hello\nGo right here ( http://h/verify?token=1&type=signup ), Zoë.\nBye\na\nb"
        );
        assert_eq!(of_html("a < b <a href"), "a");
        assert_eq!(of_html("<a href=x>y</a><a>z</a>"), "y ( x )z");
    }

    proptest! {
        #[test]
        fn any_html_has_a_text(html in "(<|>|a|/a| |href|=|\"|'|é|&amp;|<a href=|<!--|-->|style|/style){0,40}") {
            of_html(&html);
        }
    }
}
