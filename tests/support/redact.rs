//! What differs from run to run, made equal for snapshots.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Each form that is made equal, and its name. Tokens first: they hold what looks like other things.
static FORMS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (
            r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
            "[token]",
        ),
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[uuid]",
        ),
        (
            r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+00)?",
            "[time]",
        ),
        (r"\b[0-9a-f]{56}\b", "[hash]"),
    ]
    .map(|(form, name)| (Regex::new(form).unwrap(), name))
    .into()
});

/// Members whose value is another one each time, whatever it looks like.
const MEMBERS: [(&str, &str); 5] = [
    ("refresh_token", "[refresh token]"),
    ("expires_at", "[time]"),
    ("iat", "[time]"),
    ("exp", "[time]"),
    ("email_otp", "[code]"),
];

/// The document for a snapshot: ids, times, tokens and codes by their names.
pub fn redact(mut document: Value) -> String {
    redact_value(&mut document);
    serde_json::to_string_pretty(&document).unwrap()
}

fn redact_value(value: &mut Value) {
    match value {
        Value::String(text) => *text = redact_text(text),
        Value::Array(items) => items.iter_mut().for_each(redact_value),
        Value::Object(members) => {
            for (name, member) in members {
                match MEMBERS.iter().find(|(known, _)| known == name) {
                    Some((_, redacted)) => *member = (*redacted).into(),
                    None => redact_value(member),
                }
            }
        }
        _ => {}
    }
}

/// The same for text, such as a link.
pub fn redact_text(text: &str) -> String {
    FORMS.iter().fold(text.to_owned(), |text, (form, name)| {
        form.replace_all(&text, *name).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_gets_a_name() {
        let document = json!({
            "id": "0b9c3d52-7f0e-4d1c-9c63-0f7a2f3c4d5e", "at": "2026-01-02T03:04:05.678Z", "exp": 1_800_000_000,
            "link": "https://x.example/verify?token=aaaaaaaabbbbbbbbccccccccddddddddeeeeeeeeffffffff00000000",
            "refresh_token": "abc", "name": "Ann",
        });
        insta::assert_snapshot!(redact(document), @r#"
        {
          "at": "[time]",
          "exp": "[time]",
          "id": "[uuid]",
          "link": "https://x.example/verify?token=[hash]",
          "name": "Ann",
          "refresh_token": "[refresh token]"
        }
        "#);
    }
}
