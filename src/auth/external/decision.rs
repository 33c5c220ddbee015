//! Whose account it is: GoTrue's `DetermineAccountLinking`.

use crate::config::{DEFAULT_LINKING_DOMAIN, LinkingDomains};
use crate::models::identity::Identity;
use crate::models::user::User;
use crate::outside::providers::Email;

/// Who signs in, as far as the decision goes.
pub(super) struct Newcomer<'a> {
    /// The provider's name.
    pub provider: &'a str,
    /// Who it is at the provider.
    pub sub: &'a str,
    /// The person's addresses.
    pub emails: &'a [Email],
    /// The audience of an account that would be made.
    pub aud: &'a str,
    /// Whether addresses count as verified that the provider does not vouch for.
    pub trusts_all: bool,
}

/// Whose account it is.
#[derive(Debug)]
pub(super) enum Decision {
    /// Somebody who has been here before.
    Known(Box<User>),
    /// Somebody whose verified address an account has: the identity is added to it.
    Link(Box<User>),
    /// Nobody yet: an account is made, with this address if there is one.
    New {
        /// In lower case.
        email: Option<String>,
    },
    /// Accounts that should be one; nobody can decide between them.
    Several,
}

impl Newcomer<'_> {
    /// The addresses that speak for the person, in lower case. An empty one, as Apple has it, speaks for nobody: other
    /// accounts have none either.
    fn verified(&self) -> Vec<String> {
        let emails = self.emails.iter();
        emails
            .filter(|email| !email.email.is_empty() && (email.verified || self.trusts_all))
            .map(|email| email.email.to_lowercase())
            .collect()
    }

    fn primary(&self) -> Option<&Email> {
        self.emails.iter().rfind(|email| email.primary)
    }

    /// The primary address in lower case.
    fn primary_address(&self) -> Option<String> {
        self.primary()
            .map(|email| email.email.to_lowercase())
            .filter(|email| !email.is_empty())
    }

    /// The addresses by which accounts are looked up, in lower case.
    pub fn contacts(&self) -> Vec<String> {
        let mut contacts = self.verified();
        contacts.extend(self.primary_address());
        contacts.dedup();
        contacts
    }

    /// Do our own settings, or the provider by its primary address, vouch for the person, and for the account's address
    /// where it has one?
    pub fn owns(&self, email: &str) -> bool {
        let is_vouched_for = self.primary().is_some_and(|primary| primary.verified);
        let is_own = email.is_empty()
            || self
                .verified()
                .iter()
                .any(|own| own.eq_ignore_ascii_case(email));
        self.trusts_all || is_vouched_for && is_own
    }

    /// Decides among everybody who has the identity, or one of the `contacts`.
    pub fn decide(&self, domains: &LinkingDomains, acquainted: Vec<User>) -> Decision {
        let is_own = |user: &User| {
            user.identities
                .iter()
                .any(|own| own.provider == self.provider && own.provider_id == self.sub)
        };
        let domain = domains.of(self.provider);
        let tells = |own: &Identity, emails: &[String], domain: &str| {
            let email = own.email.as_ref();
            email.is_some_and(|email| emails.contains(email)) && domains.of(&own.provider) == domain
        };
        // An account that was made long ago may have its address in capitals.
        let is_named = |user: &User, emails: &[String]| {
            let is_own = |email: &String| email.eq_ignore_ascii_case(user.email());
            !user.is_sso_user && emails.iter().any(is_own)
        };

        let (known, others): (Vec<User>, Vec<User>) = acquainted.into_iter().partition(is_own);
        if let Some(user) = known.into_iter().next() {
            return Decision::Known(Box::new(user));
        }
        // An unverified address leads to no account. One that somebody has already is not even noted.
        let taken = |email: &String| {
            let email = std::slice::from_ref(email);
            others.iter().any(|user| {
                user.aud == self.aud
                    && (user
                        .identities
                        .iter()
                        .any(|own| tells(own, email, DEFAULT_LINKING_DOMAIN))
                        || is_named(user, email))
            })
        };
        let verified = self.verified();
        let primary = self.primary_address();
        let primary = primary.filter(|email| verified.contains(email) || !taken(email));
        if verified.is_empty() {
            return Decision::New { email: primary };
        }
        // An address that a provider tells without vouching for it, and that is not the account's own, is nobody's:
        // whoever has planted it must not be found by it. (GoTrue finds them.)
        let is_owned = |user: &User, own: &Identity| {
            let is_own =
                |email: &String| user.email.is_some() && email.eq_ignore_ascii_case(user.email());
            self.trusts_all || own.is_email_verified() || own.email.as_ref().is_some_and(is_own)
        };
        let (linked, others): (Vec<User>, Vec<User>) = others.into_iter().partition(|user| {
            user.identities
                .iter()
                .any(|own| is_owned(user, own) && tells(own, &verified, domain))
        });
        let mut candidates = if linked.is_empty() && domain == DEFAULT_LINKING_DOMAIN {
            others
                .into_iter()
                .filter(|user| is_named(user, &verified))
                .collect()
        } else {
            linked
        };
        match (candidates.pop(), candidates.is_empty()) {
            (None, _) => Decision::New { email: primary },
            (Some(user), true) => Decision::Link(Box::new(user)),
            (Some(_), false) => Decision::Several,
        }
    }
}

#[cfg(test)]
mod tests;
