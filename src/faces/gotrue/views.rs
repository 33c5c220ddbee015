//! How users, identities, factors and sessions look in JSON (GoTrue's struct tags; members in its order).

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::app::App;
use crate::auth::grant::Grant;
use crate::crypto::password::Weak;
use crate::error::Result;
use crate::models::factor::Factor;
use crate::models::identity::Identity;
use crate::models::passkey::Passkey;
use crate::models::user::User;
use crate::web::json::{Json, Time};

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

/// A passkey.
#[derive(Serialize)]
pub struct PasskeyView<'a> {
    id: Uuid,
    #[serde(skip_serializing_if = "str::is_empty")]
    friendly_name: &'a str,
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Time>,
}

impl<'a> From<&'a Passkey> for PasskeyView<'a> {
    fn from(passkey: &'a Passkey) -> Self {
        Self {
            id: passkey.id,
            friendly_name: &passkey.friendly_name,
            created_at: Time(passkey.created_at),
            last_used_at: passkey.last_used_at.map(Time),
        }
    }
}

/// What signs in (GoTrue's `AccessTokenResponse`).
#[derive(Serialize)]
struct GrantView<'a> {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    expires_at: i64,
    refresh_token: &'a str,
    user: UserView<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weak_password: Option<Option<WeakView<'a>>>,
}

#[derive(Serialize)]
struct WeakView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reasons: &'a [&'static str],
}

impl<'a> From<&'a Weak> for WeakView<'a> {
    fn from(weak: &'a Weak) -> Self {
        Self {
            message: &weak.message,
            reasons: &weak.reasons,
        }
    }
}

/// The answer that signs in, with the headers that speak of the session.
pub async fn signed_in(app: &App, grant: &Grant) -> Result<Response> {
    let (provider_token, provider_refresh_token) = match &grant.provider_tokens {
        Some((token, refresh_token)) => (Some(token.as_str()), refresh_token.as_deref()),
        None => (None, None),
    };
    let view = GrantView {
        access_token: grant.access_token(app).await?,
        token_type: "bearer",
        expires_in: grant.expires_in(),
        expires_at: grant.expires_at.timestamp(),
        refresh_token: &grant.refresh_token,
        user: UserView::from(&grant.user),
        provider_token,
        provider_refresh_token,
        weak_password: grant
            .weak_password
            .as_ref()
            .map(|weak| weak.as_ref().map(WeakView::from)),
    };
    let mut response = Json(&view).into_response();
    add_headers(&mut response, &grant.headers);
    Ok(response)
}

/// What the fragment of a redirect says of an implicit sign-in; printed in alphabetical order.
pub async fn session_pairs(app: &App, grant: &Grant) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("access_token", grant.access_token(app).await?),
        ("expires_at", grant.expires_at.timestamp().to_string()),
        ("expires_in", grant.expires_in().to_string()),
        ("refresh_token", grant.refresh_token.clone()),
        // Tells clients that it was us who sent the browser on.
        ("sb", String::new()),
        ("token_type", "bearer".to_owned()),
    ])
}

/// Adds the headers that speak of a session.
pub fn add_headers(response: &mut Response, headers: &[(&'static str, String)]) {
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
    }
}

/// `{}`: done, and there is nothing to tell.
#[must_use]
pub fn done() -> Response {
    Json(Map::new()).into_response()
}
