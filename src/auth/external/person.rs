//! A person whom a provider has identified.

use serde_json::{Map, Value};

use crate::app::App;
use crate::auth::address;
use crate::error::{Result, oauth};
use crate::outside::providers::Profile;

/// Letters whose lower case is one of ASCII's, in Rust or in Postgres: the Kelvin sign and the dotted I. With them an
/// address would become somebody else's.
const LOOK_ALIKES: [char; 2] = ['\u{212a}', '\u{130}'];

/// Who it is, as the provider says.
pub(super) struct Person<'a> {
    pub(super) provider: &'a str,
    pub(super) profile: Profile,
    pub(super) email_optional: bool,
}

impl<'a> Person<'a> {
    /// Refuses whom the provider does not name.
    pub(super) fn new(
        app: &App,
        provider: &'a str,
        mut profile: Profile,
        email_optional: bool,
    ) -> Result<Self> {
        if profile.claims.sub.is_empty() {
            return Err(oauth("server_error", "error missing provider id"));
        }
        let mut told = profile.emails.iter().map(|email| &email.email);
        if let Some(email) = told.find(|email| email.contains(LOOK_ALIKES)) {
            return Err(address::undeliverable(email));
        }
        if provider == "azure" && app.config.truegate.azure_requires_edov {
            doubt_azure(&mut profile);
        }
        let emails = &profile.emails;
        let best = emails.iter().find(|email| email.primary).or(emails.last());
        profile.claims.email_verified = best.is_some_and(|email| email.verified);
        if let Some(best) = best {
            profile.claims.email = best.email.to_lowercase();
        }
        Ok(Self {
            provider,
            profile,
            email_optional,
        })
    }

    /// What is stored of the person.
    pub(super) fn identity_data(&self) -> Map<String, Value> {
        self.profile.claims.clone().into_identity_data()
    }
}

/// Whoever administers any tenant may write any address into its directory; only `xms_edov` says that somebody owns it.
fn doubt_azure(profile: &mut Profile) {
    let said = profile.claims.custom_claims.as_ref();
    if said.is_some_and(|claims| claims.contains_key("xms_edov")) {
        return;
    }
    for email in &mut profile.emails {
        email.verified = false;
    }
}
