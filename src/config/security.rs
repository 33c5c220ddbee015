//! Captcha, refresh tokens, and what changing a password takes.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::report::Report;
use super::settings::settings;
use super::value::Seconds;

settings! {
    /// Captcha, refresh tokens, and what changing a password takes.
    pub struct Security("GOTRUE_SECURITY_") {
        /// Sign-up, sign-in and what sends mail need a captcha.
        captcha_enabled: bool = "false",
        /// hcaptcha or turnstile.
        captcha_provider: String = "hcaptcha",
        /// The secret that the captcha provider gave.
        captcha_secret: Option<SecretString> = "",
        /// How long the captcha provider may take.
        captcha_timeout: Duration = "10s",
        /// 0 and 1: random refresh tokens; 2: signed ones.
        refresh_token_algorithm_version: u32 = "0",
        /// How many of a hundred refreshes turn a token of version 1 into one of version 2.
        refresh_token_upgrade_percentage: u32 = "0",
        /// Each refresh revokes the token it was made with, and a revoked one revokes its whole session.
        refresh_token_rotation_enabled: bool = "true",
        /// For so many seconds a used refresh token may be used again.
        refresh_token_reuse_interval: Seconds = "0",
        /// A used refresh token is refused without revoking its session.
        refresh_token_allow_reuse: bool = "false",
        /// A new password needs a nonce from /reauthenticate when the session is older than a day.
        update_password_require_reauthentication: bool = "false",
        /// A new password needs the current one.
        update_password_require_current_password: bool = "false",
        /// Users may link further identities themselves.
        manual_linking_enabled: bool = "false",
        /// The client address is taken from the header Sb-Forwarded-For.
        sb_forwarded_for_enabled: bool = "false",
    }
}

impl Security {
    pub(super) fn settle(&mut self, report: &mut Report) {
        if self.captcha_enabled {
            self.check_captcha(report);
        }
        if self.refresh_token_algorithm_version > 2 {
            report.mistake(
                "GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION",
                "it is not 0, 1 or 2",
            );
        }
        if self.refresh_token_upgrade_percentage > 100 {
            report.mistake(
                "GOTRUE_SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE",
                "it is not between 0 and 100",
            );
        }
    }

    fn check_captcha(&mut self, report: &mut Report) {
        if !matches!(self.captcha_provider.as_str(), "hcaptcha" | "turnstile") {
            let fault = format!("{:?} is not hcaptcha or turnstile", self.captcha_provider);
            report.mistake("GOTRUE_SECURITY_CAPTCHA_PROVIDER", fault);
        }
        let secret = self
            .captcha_secret
            .as_ref()
            .map_or("", |secret| secret.expose_secret().trim());
        if secret.is_empty() {
            report.mistake(
                "GOTRUE_SECURITY_CAPTCHA_SECRET",
                "it is required, as GOTRUE_SECURITY_CAPTCHA_ENABLED is on",
            );
        }
        self.captcha_secret = Some(secret.into());
    }
}
