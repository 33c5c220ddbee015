//! Switches of features that this version does not serve, but GET /settings shows.

use super::settings::settings;

settings! {
    /// SAML. This version does not serve it yet; GET /settings shows the switch.
    pub struct Saml("GOTRUE_SAML_") {
        /// Signing in by SAML.
        enabled: bool = "false",
    }
}

settings! {
    /// Passkeys. This version does not serve them yet; GET /settings shows the switch.
    pub struct Passkey("GOTRUE_PASSKEY_") {
        /// Signing in by passkey.
        enabled: bool = "false",
    }
}
