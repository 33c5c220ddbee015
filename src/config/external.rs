//! Ways to sign in besides a password, in general.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::settings::{Definition, Section, settings};

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
        /// Issuers whose ID tokens sign in, whatever client they are for; safer: a provider of its own.
        allowed_id_token_issuers: Vec<String> = "",
        /// Our app's bundle id, an audience of Apple's ID tokens.
        ios_bundle_id: Option<String> = "",
        /// How long what OpenID Connect issuers publish is good.
        oidc_provider_cache_ttl: Duration = "1h",
    } and {
        /// The OAuth providers, by name.
        providers: BTreeMap<&'static str, Provider>,
    }
}

/// GoTrue's OAuth providers, and how their variables begin.
pub const PROVIDERS: [(&str, &str); 25] = [
    ("apple", "GOTRUE_EXTERNAL_APPLE_"),
    ("azure", "GOTRUE_EXTERNAL_AZURE_"),
    ("bitbucket", "GOTRUE_EXTERNAL_BITBUCKET_"),
    ("discord", "GOTRUE_EXTERNAL_DISCORD_"),
    ("facebook", "GOTRUE_EXTERNAL_FACEBOOK_"),
    ("figma", "GOTRUE_EXTERNAL_FIGMA_"),
    ("fly", "GOTRUE_EXTERNAL_FLY_"),
    ("github", "GOTRUE_EXTERNAL_GITHUB_"),
    ("gitlab", "GOTRUE_EXTERNAL_GITLAB_"),
    ("google", "GOTRUE_EXTERNAL_GOOGLE_"),
    ("kakao", "GOTRUE_EXTERNAL_KAKAO_"),
    ("keycloak", "GOTRUE_EXTERNAL_KEYCLOAK_"),
    ("linkedin", "GOTRUE_EXTERNAL_LINKEDIN_"),
    ("linkedin_oidc", "GOTRUE_EXTERNAL_LINKEDIN_OIDC_"),
    ("notion", "GOTRUE_EXTERNAL_NOTION_"),
    ("slack", "GOTRUE_EXTERNAL_SLACK_"),
    ("slack_oidc", "GOTRUE_EXTERNAL_SLACK_OIDC_"),
    ("snapchat", "GOTRUE_EXTERNAL_SNAPCHAT_"),
    ("spotify", "GOTRUE_EXTERNAL_SPOTIFY_"),
    ("twitch", "GOTRUE_EXTERNAL_TWITCH_"),
    ("twitter", "GOTRUE_EXTERNAL_TWITTER_"),
    ("vercel_marketplace", "GOTRUE_EXTERNAL_VERCEL_MARKETPLACE_"),
    ("workos", "GOTRUE_EXTERNAL_WORKOS_"),
    ("x", "GOTRUE_EXTERNAL_X_"),
    ("zoom", "GOTRUE_EXTERNAL_ZOOM_"),
];

settings! {
    /// Sign-in by other people's identity providers; all of them have the settings of the first.
    pub struct Provider("GOTRUE_EXTERNAL_APPLE_") {
        /// Signing in there.
        enabled: bool = "false",
        /// Our id there; further ones are also accepted as audiences of ID tokens.
        client_id: Vec<String> = "",
        /// Our secret there; for Apple the signed client secret.
        secret: Option<SecretString> = "",
        /// Our callback as registered there: `API_EXTERNAL_URL` with /callback.
        redirect_uri: String = "",
        /// Its base URL, where it is not the public one; Keycloak needs it.
        url: String = "",
        /// Users whose e-mail address it does not tell may sign in.
        email_optional: bool = "false",
        /// ID tokens may come without the nonce that was asked for.
        skip_nonce_check: bool = "false",
    }
}

/// `GOTRUE_EXTERNAL_<PROVIDER>_..`: each provider's section. Only the first explains itself.
pub(super) fn providers() -> impl Iterator<Item = (&'static str, Definition)> {
    PROVIDERS
        .into_iter()
        .enumerate()
        .map(|(at, (name, prefix))| {
            let mut section = Provider::definition();
            if at > 0 {
                section = section.without_words();
            }
            section.prefix = prefix;
            (name, section)
        })
}

impl External {
    pub(super) fn settle(&mut self) {
        self.flow_state_expiry_duration =
            self.flow_state_expiry_duration.max(Duration::from_mins(5));
    }

    /// An OAuth provider's settings, by its name in lower case.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<&Provider> {
        self.providers.get(name)
    }

    /// Whether a provider (one of `PROVIDERS`) is on.
    #[must_use]
    pub fn provider_enabled(&self, name: &str) -> bool {
        self.provider(name).is_some_and(|provider| provider.enabled)
    }
}
