//! Mailpit's search language, as far as test suites use it: `to:alice@example.com subject:"sign in" -is:read words`.

use std::sync::atomic::Ordering;

use crate::dev::mail::Address;
use crate::dev::mailbox::Kept;

/// Terms that must all hold. The default has none and finds everything.
#[derive(Debug, Default)]
pub(super) struct Search(Vec<Term>);

#[derive(Debug)]
struct Term {
    negated: bool,
    field: Field,
    /// In lower case.
    text: String,
}

#[derive(Debug, Clone, Copy)]
enum Field {
    To,
    From,
    Cc,
    Bcc,
    Addressed,
    Subject,
    MessageId,
    Is,
    Anywhere,
}

const FIELDS: [(&str, Field); 8] = [
    ("to:", Field::To),
    ("from:", Field::From),
    ("cc:", Field::Cc),
    ("bcc:", Field::Bcc),
    ("addressed:", Field::Addressed),
    ("subject:", Field::Subject),
    ("message-id:", Field::MessageId),
    ("is:", Field::Is),
];

impl Search {
    /// `None` where the query says nothing.
    pub(super) fn parse(query: &str) -> Option<Self> {
        let terms: Vec<Term> = words(&query.to_lowercase())
            .iter()
            .map(|word| Term::parse(word))
            .collect();
        (!terms.is_empty()).then_some(Self(terms))
    }

    pub(super) fn matches(&self, kept: &Kept) -> bool {
        self.0.iter().all(|term| term.matches(kept))
    }
}

impl Term {
    fn parse(word: &str) -> Self {
        let (negated, word) = match word.strip_prefix(['-', '!']) {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let known = FIELDS
            .into_iter()
            .find_map(|(name, field)| Some((field, word.strip_prefix(name)?)));
        let (field, text) = known.unwrap_or((Field::Anywhere, word));
        Self {
            negated,
            field,
            text: text.to_owned(),
        }
    }

    fn matches(&self, kept: &Kept) -> bool {
        let has = |text: &str| text.to_lowercase().contains(&self.text);
        let names = |list: &[Address]| {
            list.iter()
                .any(|address| has(&address.address) || has(&address.name))
        };
        let head = &kept.mail.head;
        let from = || has(&head.from.address) || has(&head.from.name);
        let addressed = || {
            from()
                || names(&head.to)
                || names(&head.cc)
                || names(&head.bcc)
                || names(&head.reply_to)
        };
        let found = match self.field {
            Field::To => names(&head.to),
            Field::From => from(),
            Field::Cc => names(&head.cc),
            Field::Bcc => names(&head.bcc),
            Field::Addressed => addressed(),
            Field::Subject => has(&head.subject),
            Field::MessageId => has(&head.message_id),
            Field::Is => match (self.text.as_str(), kept.read.load(Ordering::Relaxed)) {
                ("read", read) => read,
                ("unread", read) => !read,
                _ => false,
            },
            Field::Anywhere => has(&head.subject) || has(&kept.mail.text) || addressed(),
        };
        found != self.negated
    }
}

/// Splits at blanks, except between quotation marks, which are dropped.
fn words(query: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in query.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(String::new()),
            c => words
                .iter_mut()
                .last()
                .into_iter()
                .for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::dev::mail::{Envelope, Mail};

    #[test]
    fn finds_what_mailpit_finds() {
        let raw = b"From: Truegate <noreply@truegate.test>\r\nTo: Alice <Alice+1@example.com>\r\nSubject: Sign in now\r\n\r\nYour code";
        let mail = Mail::read(
            "1".into(),
            SystemClock.now(),
            &Envelope::default(),
            raw.to_vec(),
        );
        let kept = Kept {
            mail,
            read: AtomicBool::new(false),
        };
        let finds = |query| Search::parse(query).is_some_and(|search| search.matches(&kept));
        for query in [
            "to:alice+1@example.com",
            "to:\"alice+1@example.com\"",
            "TO:ALICE from:noreply",
            "subject:\"sign in\" code",
            "is:unread -to:bob",
            "addressed:truegate.test",
            // A plus that nobody encoded arrives as a blank.
            "to:alice 1@example.com",
        ] {
            assert!(finds(query), "{query}");
        }
        for query in [
            "",
            "  ",
            "to:bob",
            "from:alice",
            "is:read",
            "-code",
            "subject:\"in sign\"",
            "is:tagged",
        ] {
            assert!(!finds(query), "{query}");
        }
    }
}
