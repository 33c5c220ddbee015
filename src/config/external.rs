//! Ways to sign in besides a password, in general.

use std::time::Duration;

use super::settings::{Definition, Setting, settings};
use super::value::Named;

settings! {
    /// Ways to sign in.
    pub struct External("GOTRUE_EXTERNAL_") {
        /// Signing in by e-mail.
        email_enabled: bool = "true",
        /// Signing in by a link or code in a mail.
        email_magic_link_enabled: bool = "true",
        /// Addresses that mail may go to (what follows a + does not count); empty: all.
        email_authorized_addresses: Vec<String> = "",
        /// Signing in by phone.
        phone_enabled: bool = "false",
        /// Users without e-mail or phone.
        anonymous_users_enabled: bool = "false",
        /// How long a PKCE flow or a detour to a provider may take; never less than 300s.
        flow_state_expiry_duration: Duration = "300s",
        /// Where browsers go after a provider, instead of the target they asked for.
        redirect_url("GOTRUE_EXTERNAL_REDIRECTURL"): Option<String> = "",
    } and {
        /// Which providers are on: `apple_enabled` and so on.
        providers: Named<bool>,
    }
}

/// GoTrue's OAuth providers, as its variables call them, in lower case.
pub const PROVIDERS: [&str; 25] = [
    "apple",
    "azure",
    "bitbucket",
    "discord",
    "facebook",
    "figma",
    "fly",
    "github",
    "gitlab",
    "google",
    "kakao",
    "keycloak",
    "linkedin",
    "linkedin_oidc",
    "notion",
    "slack",
    "slack_oidc",
    "snapchat",
    "spotify",
    "twitch",
    "twitter",
    "vercel_marketplace",
    "workos",
    "x",
    "zoom",
];

/// `GOTRUE_EXTERNAL_<PROVIDER>_ENABLED`.
pub(super) fn providers() -> Definition {
    Definition {
        prefix: "GOTRUE_EXTERNAL_",
        about: &[
            " OAuth providers that GET /settings shows. This version does not serve them yet.",
        ],
        settings: PROVIDERS
            .iter()
            .map(|provider| {
                Setting::new::<bool>(&format!("{provider}_enabled"), &[]).default("false")
            })
            .collect(),
    }
}

impl External {
    pub(super) fn settle(&mut self) {
        self.flow_state_expiry_duration =
            self.flow_state_expiry_duration.max(Duration::from_mins(5));
    }

    /// Whether a provider (one of `PROVIDERS`) is on.
    #[must_use]
    pub fn provider_enabled(&self, provider: &str) -> bool {
        self.providers
            .get(&format!("{provider}_enabled"))
            .copied()
            .unwrap_or_default()
    }
}
