//! Signing in by an external provider: the way there, and the way back.

use uuid::Uuid;

use super::Client;
use super::grant::Grant;
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{Code, Context, Error, Result, bad_request, failed, oauth, unprocessable};
use crate::models::flow_state::Detour;
use crate::outside::providers::{Answer, Profile, Provider, Tokens, Unsupported};

mod account;
pub(super) mod custom;
mod decision;
mod depart;
mod person;
mod settle;

pub use depart::{Departure, RESERVED, depart};

use person::Person;
use settle::{Errand, Way, settle};

/// What the browser brings back from a provider.
#[derive(Debug, Default)]
pub struct Return<'a> {
    /// The code to be traded for tokens, or "".
    pub code: &'a str,
    /// The request token that was approved (OAuth 1.0a), or "".
    pub oauth_token: &'a str,
    /// The proof that it was, or "".
    pub oauth_verifier: &'a str,
    /// Why the provider refused (RFC 6749, section 4.1.2.1), or "".
    pub error: &'a str,
    /// The same for people.
    pub error_description: &'a str,
    /// What Apple tells of the user at the first sign-in, as JSON, or "".
    pub user: &'a str,
}

/// What comes of it.
#[derive(Debug)]
pub enum Arrived {
    /// Signed in.
    In(Box<Grant>),
    /// A code to be exchanged for a session (PKCE).
    Code(String),
}

/// Finds the way that somebody has come, by the `state` that the provider handed back. Who brings a code as well may
/// try it once.
pub async fn resume(app: &App, state: &str, brought: &Return<'_>) -> Result<Detour> {
    if state.is_empty() {
        return Err(bad_request(
            Code::BadOauthCallback,
            "OAuth state parameter missing",
        ));
    }
    let refused = |why| bad_request(Code::BadOauthState, why);
    let state = Uuid::try_parse(state).map_err(|_| refused("OAuth state parameter is invalid"))?;
    let brings_code = brought.error.is_empty() && !brought.code.is_empty();
    let detour = Detour::find(&mut *app.db.get().await?, state, brings_code)
        .await
        .public("Error loading flow state")?
        .ok_or_else(|| refused("OAuth state not found or expired"))?;
    if detour.is_expired(
        app.config.external.flow_state_expiry_duration,
        app.clock.now(),
    ) {
        return Err(refused("OAuth state has expired"));
    }
    if detour.is_pkce() && detour.user_id.is_some() {
        return Err(already_used());
    }
    if detour.linking_target_id.is_some() && !detour.has_linking_target {
        return Err(unprocessable(
            Code::UserNotFound,
            "Linking target user not found",
        ));
    }
    Ok(detour)
}

/// Where the browser goes in the end, whatever comes of it.
#[must_use]
pub fn target<'a>(app: &'a App, detour: &'a Detour) -> &'a str {
    let fixed = app.config.external.redirect_url.as_deref();
    let asked = detour.referrer.as_deref();
    let known = [fixed, asked]
        .into_iter()
        .flatten()
        .find(|target| !target.is_empty());
    known.unwrap_or(&app.config.site_url)
}

/// Completes a sign-in: asks the provider who it was, and finds or makes the account.
pub async fn arrive(
    app: &App,
    client: &Client,
    detour: &Detour,
    brought: &Return<'_>,
) -> Result<Arrived> {
    if !brought.error.is_empty() {
        let (error, description) = (brought.error, brought.error_description);
        return Err(oauth(error.to_owned(), description.to_owned()));
    }
    let name = &detour.provider_type;
    let provider = find(app, name, "").await?.map_err(|Unsupported(why)| {
        bad_request(
            Code::OauthProviderNotSupported,
            format!("Unsupported provider: {why}"),
        )
    })?;
    let (tokens, profile) = if provider.speaks_oauth1() {
        identify_by_oauth1(&provider, brought).await?
    } else {
        identify(app, &provider, detour, brought).await?
    };
    if profile.emails.is_empty() && !detour.email_optional {
        let cause = anyhow::anyhow!("{name} told no e-mail address");
        return Err(failed(
            "Error getting user email from external provider",
            cause,
        ));
    }
    let person = Person::new(app, name, profile, detour.email_optional)?;
    let invitation = detour
        .invite_token
        .as_deref()
        .filter(|token| !token.is_empty());
    let errand = match (detour.linking_target_id, invitation) {
        (Some(user_id), _) => Errand::LinkTo(user_id),
        (None, Some(token)) => Errand::Accept(token),
        (None, None) => Errand::SignIn,
    };
    let way = Way {
        detour,
        tokens: &tokens,
    };
    settle(app, client, &person, errand, Some(&way)).await
}

/// Signs in a person whom a provider has identified in another way than by a detour; `link_to` is the user whose
/// account the identity is added to.
pub async fn sign_in(
    app: &App,
    client: &Client,
    provider: &str,
    profile: Profile,
    email_optional: bool,
    link_to: Option<Uuid>,
) -> Result<Grant> {
    let person = Person::new(app, provider, profile, email_optional)?;
    let errand = link_to.map_or(Errand::SignIn, Errand::LinkTo);
    match settle(app, client, &person, errand, None).await? {
        Arrived::In(grant) => Ok(*grant),
        Arrived::Code(_) => Err(already_used()),
    }
}

/// The provider of this name, in lower case.
async fn find(app: &App, name: &str, scopes: &str) -> Result<Result<Provider, Unsupported>> {
    if custom::is_custom(name) {
        return custom::find(app, name, scopes).await;
    }
    let (http, oidc, config) = (&app.http, &app.oidc, &app.config.external);
    Ok(Provider::built_in(http, oidc, config, name, scopes, app.clock.now()).await)
}

/// Who it is, by the code that the browser brought.
async fn identify(
    app: &App,
    provider: &Provider,
    detour: &Detour,
    brought: &Return<'_>,
) -> Result<(Tokens, Profile)> {
    let code = brought.code;
    if code.is_empty() {
        return Err(bad_request(
            Code::BadOauthCallback,
            "OAuth callback with missing authorization code missing",
        ));
    }
    let verifier = verifier(provider, detour, app.clock.now())?;
    let tokens = provider
        .exchange(Answer::Code { code, verifier })
        .await
        .map_err(|cause| {
            let start: String = code.chars().take(4).collect();
            failed(format!("Unable to exchange external code: {start}"), cause)
        })?;
    let profile = provider
        .profile(&tokens, brought.user)
        .await
        .map_err(|cause| failed("Error getting user profile from external provider", cause))?;
    Ok((tokens, profile))
}

/// Who it is, by the request token that the browser brought.
async fn identify_by_oauth1(
    provider: &Provider,
    brought: &Return<'_>,
) -> Result<(Tokens, Profile)> {
    let answer = Answer::OAuth1 {
        token: brought.oauth_token,
        verifier: brought.oauth_verifier,
    };
    let tokens = provider
        .exchange(answer)
        .await
        .map_err(|cause| failed("Unable to retrieve access token", cause))?;
    let profile = provider
        .profile(&tokens, "")
        .await
        .map_err(|cause| failed("Error getting user email from external provider", cause))?;
    Ok((tokens, profile))
}

/// What answers our own challenge to the provider, where there was one.
fn verifier<'a>(
    provider: &Provider,
    detour: &'a Detour,
    now: Timestamp,
) -> Result<Option<&'a str>> {
    let refused = |why| bad_request(Code::OauthInvalidState, why);
    if detour.oauth_client_state_id.is_none() {
        return if provider.requires_pkce() {
            Err(refused("OAuth PKCE code verifier missing"))
        } else {
            Ok(None)
        };
    }
    let state = &detour.client_state;
    let Some(whose) = &state.verifier_provider else {
        let gone = "OAuth state not found";
        return Err(unprocessable(Code::OauthClientStateNotFound, gone));
    };
    if *whose != detour.provider_type {
        return Err(refused("OAuth provider mismatch"));
    }
    if state.is_expired(now) {
        return Err(unprocessable(
            Code::OauthClientStateExpired,
            "OAuth state expired",
        ));
    }
    Ok(state.code_verifier.as_deref())
}

fn already_used() -> Error {
    bad_request(Code::FlowStateAlreadyUsed, "State has already been used")
}
