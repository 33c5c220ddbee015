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
        let (known, others): (Vec<User>, Vec<User>) = acquainted.into_iter().partition(|user| {
            let mut identities = user.identities.iter();
            identities.any(|own| own.is(self.provider, self.sub))
        });
        if let Some(user) = known.into_iter().next() {
            return Decision::Known(Box::new(user));
        }
        // An unverified address that somebody has already is not even noted.
        let verified = self.verified();
        let email = self
            .primary_address()
            .filter(|email| verified.contains(email) || !self.is_taken(email, domains, &others));
        let mut candidates = self.candidates(&verified, domains, others);
        match (candidates.pop(), candidates.is_empty()) {
            (None, _) => Decision::New { email },
            (Some(user), true) => Decision::Link(Box::new(user)),
            (Some(_), false) => Decision::Several,
        }
    }

    /// Whether an account has this address that a new account would share it with.
    fn is_taken(&self, email: &String, domains: &LinkingDomains, others: &[User]) -> bool {
        let email = std::slice::from_ref(email);
        let tells = |own: &Identity| {
            domains.of(&own.provider) == DEFAULT_LINKING_DOMAIN && tells_one_of(own, email)
        };
        others.iter().any(|user| {
            user.aud == self.aud && (user.identities.iter().any(tells) || is_named(user, email))
        })
    }

    /// The accounts that are the person's by a verified address: first by those of their identities, then by their own.
    fn candidates(
        &self,
        verified: &[String],
        domains: &LinkingDomains,
        others: Vec<User>,
    ) -> Vec<User> {
        let domain = domains.of(self.provider);
        // An address that a provider tells without vouching for it, and that is not the account's own, is nobody's:
        // whoever has planted it must not be found by it. (GoTrue finds them.)
        let is_owned = |user: &User, own: &Identity| {
            let is_own = |email: &String| user.has_email(email);
            self.trusts_all || own.is_email_verified() || own.email.as_ref().is_some_and(is_own)
        };
        let (linked, others): (Vec<User>, Vec<User>) = others.into_iter().partition(|user| {
            user.identities.iter().any(|own| {
                domains.of(&own.provider) == domain
                    && is_owned(user, own)
                    && tells_one_of(own, verified)
            })
        });
        if !linked.is_empty() || domain != DEFAULT_LINKING_DOMAIN {
            return linked;
        }
        let named = others.into_iter().filter(|user| is_named(user, verified));
        named.collect()
    }
}

/// Whether a provider told one of these addresses.
fn tells_one_of(own: &Identity, emails: &[String]) -> bool {
    own.email
        .as_ref()
        .is_some_and(|email| emails.contains(email))
}

/// Whether one of these is the account's own address.
fn is_named(user: &User, emails: &[String]) -> bool {
    !user.is_sso_user && emails.iter().any(|email| user.has_email(email))
}

#[cfg(test)]
mod tests;
