//! A user as answers show it and hooks read it (GoTrue's struct tags; members in its order).

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::User;
use crate::json::Time;
use crate::models::factor::Factor;
use crate::models::identity::Identity;

/// A user.
#[derive(Serialize)]
pub struct UserView<'a> {
    id: Uuid,
    aud: &'a str,
    role: &'a str,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_confirmed_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invited_at: Option<Time>,
    phone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_confirmed_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmation_sent_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_sent_at: Option<Time>,
    #[serde(skip_serializing_if = "str::is_empty")]
    new_email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_change_sent_at: Option<Time>,
    #[serde(skip_serializing_if = "str::is_empty")]
    new_phone: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_change_sent_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reauthentication_sent_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sign_in_at: Option<Time>,
    app_metadata: &'a Map<String, Value>,
    user_metadata: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    factors: Vec<FactorView<'a>>,
    identities: Option<Vec<IdentityView<'a>>>,
    created_at: Time,
    updated_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    banned_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Time>,
    is_anonymous: bool,
}

impl<'a> From<&'a User> for UserView<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            aud: &user.aud,
            role: &user.role,
            email: user.email(),
            email_confirmed_at: user.email_confirmed_at.map(Time),
            invited_at: user.invited_at.map(Time),
            phone: user.phone(),
            phone_confirmed_at: user.phone_confirmed_at.map(Time),
            confirmation_sent_at: user.confirmation_sent_at.map(Time),
            confirmed_at: user.confirmed_at.map(Time),
            recovery_sent_at: user.recovery_sent_at.map(Time),
            new_email: &user.email_change,
            email_change_sent_at: user.email_change_sent_at.map(Time),
            new_phone: &user.phone_change,
            phone_change_sent_at: user.phone_change_sent_at.map(Time),
            reauthentication_sent_at: user.reauthentication_sent_at.map(Time),
            last_sign_in_at: user.last_sign_in_at.map(Time),
            app_metadata: &user.app_metadata,
            user_metadata: &user.user_metadata,
            factors: user.factors.iter().map(FactorView::from).collect(),
            identities: Some(user.identities.iter().map(IdentityView::from).collect()),
            created_at: Time(user.created_at),
            updated_at: Time(user.updated_at),
            banned_until: user.banned_until.map(Time),
            deleted_at: user.deleted_at.map(Time),
            is_anonymous: user.is_anonymous,
        }
    }
}

impl<'a> UserView<'a> {
    /// A user of the administrators' list, which does not load identities: null there.
    #[must_use]
    pub fn listed(user: &'a User) -> Self {
        Self {
            identities: None,
            ..Self::from(user)
        }
    }
}

/// An identity.
#[derive(Serialize)]
pub struct IdentityView<'a> {
    identity_id: Uuid,
    id: &'a str,
    user_id: Uuid,
    #[serde(skip_serializing_if = "Map::is_empty")]
    identity_data: &'a Map<String, Value>,
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sign_in_at: Option<Time>,
    created_at: Option<Time>,
    updated_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

impl<'a> From<&'a Identity> for IdentityView<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            identity_id: identity.id,
            id: &identity.provider_id,
            user_id: identity.user_id,
            identity_data: &identity.identity_data,
            provider: &identity.provider,
            last_sign_in_at: identity.last_sign_in_at.map(Time),
            created_at: identity.created_at.map(Time),
            updated_at: identity.updated_at.map(Time),
            email: identity.email.as_deref().filter(|email| !email.is_empty()),
        }
    }
}

/// A second factor.
#[derive(Serialize)]
pub struct FactorView<'a> {
    id: Uuid,
    created_at: Time,
    updated_at: Time,
    status: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    friendly_name: &'a str,
    factor_type: &'a str,
    phone: &'a str,
    last_challenged_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_authn_aaguid: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_webauthn_challenge_data: Option<&'a Value>,
}

impl<'a> From<&'a Factor> for FactorView<'a> {
    fn from(factor: &'a Factor) -> Self {
        Self {
            id: factor.id,
            created_at: Time(factor.created_at),
            updated_at: Time(factor.updated_at),
            status: &factor.status,
            friendly_name: factor.friendly_name.as_deref().unwrap_or_default(),
            factor_type: &factor.factor_type,
            phone: factor.phone.as_deref().unwrap_or_default(),
            last_challenged_at: factor.last_challenged_at.map(Time),
            web_authn_aaguid: factor.web_authn_aaguid,
            last_webauthn_challenge_data: factor.last_webauthn_challenge_data.as_ref(),
        }
    }
}
