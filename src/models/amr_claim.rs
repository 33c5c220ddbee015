//! `mfa_amr_claims`: how a session was authenticated, one row per method.

use std::fmt;

use serde::Deserialize;

use crate::clock::{self, Timestamp};

/// A way of authenticating (GoTrue's `AuthenticationMethod`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Any code or link of a mail, in the implicit flow.
    Otp,
    /// E-mail or phone with a password.
    Password,
    /// A recovery link, in the PKCE flow.
    Recovery,
    /// An invitation, in the PKCE flow.
    Invite,
    /// A magic link, in the PKCE flow.
    MagicLink,
    /// A sign-up confirmation, in the PKCE flow.
    EmailSignup,
    /// An e-mail change, in the PKCE flow.
    EmailChange,
    /// An external provider.
    OAuth,
    /// SAML.
    SsoSaml,
    /// Nobody yet.
    Anonymous,
}

impl Method {
    const ALL: [Self; 10] = [
        Self::Otp,
        Self::Password,
        Self::Recovery,
        Self::Invite,
        Self::MagicLink,
        Self::EmailSignup,
        Self::EmailChange,
        Self::OAuth,
        Self::SsoSaml,
        Self::Anonymous,
    ];

    /// The method's name in tokens and rows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Otp => "otp",
            Self::Password => "password",
            Self::Recovery => "recovery",
            Self::Invite => "invite",
            Self::MagicLink => "magiclink",
            Self::EmailSignup => "email/signup",
            Self::EmailChange => "email_change",
            Self::OAuth => "oauth",
            Self::SsoSaml => "sso/saml",
            Self::Anonymous => "anonymous",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One method of a session, as loaded with it.
#[derive(Debug, Clone, Deserialize)]
pub struct AmrClaim {
    /// The method's name.
    pub authentication_method: String,
    /// When it was last used.
    #[serde(deserialize_with = "clock::deserialize")]
    pub updated_at: Timestamp,
}

impl AmrClaim {
    /// Does this method lift a session to aal2?
    #[must_use]
    pub fn is_second_factor(&self) -> bool {
        matches!(
            self.authentication_method.as_str(),
            "totp" | "mfa/phone" | "mfa/webauthn"
        )
    }

    /// Did the session begin with a mail rather than a password (GoTrue's `IsRecovery`)?
    #[must_use]
    pub fn is_recovery(&self) -> bool {
        matches!(
            self.authentication_method.as_str(),
            "otp" | "magiclink" | "recovery"
        )
    }
}
