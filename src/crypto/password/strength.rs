//! Whether a new password is strong enough (internal/api/password.go). The look-up of known passwords is elsewhere.

/// The most bytes a password may have: bcrypt looks at no more.
pub const MAX_LENGTH: usize = 72;

/// What callers are told (`validation_failed`) about more than [`MAX_LENGTH`] bytes.
pub const TOO_LONG: &str = "Password cannot be longer than 72 characters";

/// What a password must have.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Bytes.
    pub min_length: usize,
    /// Sets of characters; one of each is needed.
    pub required_characters: &'a [String],
}

/// Why a password is weak.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weak {
    /// GoTrue's sentences, one after the other.
    pub message: String,
    /// `length`, `characters`, `pwned`
    pub reasons: Vec<&'static str>,
}

impl Weak {
    /// Adds that the password is known from a breach.
    pub fn add_pwned(&mut self) {
        self.add(
            "pwned",
            "Password is known to be weak and easy to guess, please choose a different one.",
        );
    }

    fn add(&mut self, reason: &'static str, sentence: &str) {
        self.reasons.push(reason);
        if !self.message.is_empty() {
            self.message.push(' ');
        }
        self.message.push_str(sentence);
    }
}

/// Checks length and characters.
pub fn check_strength(password: &str, rules: Rules<'_>) -> Result<(), Weak> {
    let mut weak = Weak::default();
    if password.len() < rules.min_length {
        weak.add(
            "length",
            &format!(
                "Password should be at least {} characters.",
                rules.min_length
            ),
        );
    }
    let lacks =
        |set: &String| !set.is_empty() && !password.contains(|character| set.contains(character));
    if rules.required_characters.iter().any(lacks) {
        let sets = rules.required_characters.join(", ");
        weak.add(
            "characters",
            &format!("Password should contain at least one character of each: {sets}."),
        );
    }
    if weak.reasons.is_empty() {
        Ok(())
    } else {
        Err(weak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_words_are_gotrues() {
        let sets = [
            "abc".to_owned(),
            "0123".to_owned(),
            String::new(),
            "é".to_owned(),
        ];
        let rules = Rules {
            min_length: 8,
            required_characters: &sets,
        };
        assert_eq!(
            check_strength("a1éééé", rules),
            Ok(()),
            "length is counted in bytes"
        );
        let mut weak = check_strength("a1", rules).unwrap_err();
        assert_eq!(weak.reasons, ["length", "characters"]);
        weak.add_pwned();
        assert_eq!(
            weak.message,
            "Password should be at least 8 characters. Password should contain at least one character of each: abc, 0123, , é. \
             Password is known to be weak and easy to guess, please choose a different one."
        );
        assert_eq!(weak.reasons, ["length", "characters", "pwned"]);
        let none = Rules {
            min_length: 6,
            required_characters: &[],
        };
        assert_eq!(check_strength("123456", none), Ok(()));
        assert_eq!(
            check_strength("12345", none).unwrap_err().message,
            "Password should be at least 6 characters."
        );
    }
}
