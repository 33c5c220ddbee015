//! Which passwords are good enough.

use std::ops::Deref;

use super::settings::settings;
use super::value::Value;

settings! {
    /// Which passwords are good enough.
    pub struct Password("GOTRUE_PASSWORD_") {
        /// Shortest password; never less than 6.
        min_length: usize = "6",
        /// Sets of characters, separated by colons (\: is a colon); a password needs one of each.
        required_characters: RequiredCharacters = "",
        /// Passwords from known leaks are refused; asks haveibeenpwned.com about the start of a hash.
        hibp_enabled: bool = "false",
        /// When haveibeenpwned.com cannot be asked, passwords are refused.
        hibp_fail_closed: bool = "false",
        /// How we introduce ourselves to haveibeenpwned.com.
        hibp_user_agent: String = "https://github.com/supabase/gotrue",
    }
}

impl Password {
    pub(super) fn settle(&mut self) {
        self.min_length = self.min_length.max(6);
    }
}

/// Sets of characters of which a password needs one each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequiredCharacters(Vec<String>);

impl Deref for RequiredCharacters {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

impl Value for RequiredCharacters {
    const FORM: &'static str = "sets of characters, separated by colons";
    const MAY_BE_EMPTY: bool = true;

    /// A part that ends in a backslash is joined with the next one, then never looked at again: in GoTrue,
    /// too, a set cannot end in a backslash before another set.
    fn parse(text: &str) -> Option<Self> {
        let mut parts: Vec<String> = Vec::new();
        let mut open = false;
        for part in text.split(':') {
            if let Some(last) = parts.last_mut().filter(|_| open) {
                last.pop();
                last.push(':');
                last.push_str(part);
                open = false;
            } else {
                open = part.ends_with('\\');
                parts.push(part.to_owned());
            }
        }
        parts.retain(|part| !part.is_empty());
        Some(Self(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expectations come from GoTrue's `PasswordRequiredCharacters.Decode`.
    #[test]
    fn sets_are_joined_by_colons() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            ("abc", &["abc"]),
            ("abc:123", &["abc", "123"]),
            (":abc::123:", &["abc", "123"]),
            (r"a\:b:c", &["a:b", "c"]),
            (r"\::c", &[":", "c"]),
            (r"a\:b\:c", &[r"a:b\", "c"]),
            (r"a\", &[r"a\"]),
            (r"a\:", &["a:"]),
            (r"a\::", &["a:"]),
        ];
        for (text, sets) in cases {
            assert_eq!(*RequiredCharacters::parse(text).unwrap(), **sets, "{text}");
        }
    }
}
