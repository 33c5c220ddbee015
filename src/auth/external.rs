//! Signing in by an external provider: the way there, and the way back.

use futures_util::future::join;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::grant::Grant;
use super::{Client, invalid};
use crate::app::App;
use crate::clock::Timestamp;
use crate::crypto::pkce::{self, Challenge};
use crate::crypto::secrets::generate_text;
use crate::error::{Code, Context, Error, Result, bad_request, failed, not_found, unprocessable};
use crate::models::custom_provider::CustomProvider;
use crate::models::flow_state::{Detour, NewDetour, Wants};
use crate::outside::providers::{Answer, Profile, Provider, Tokens, Unsupported};

mod account;
pub(super) mod custom;
mod decision;
mod settle;

use settle::{Errand, Way, settle};

/// Parameters that are between us and a provider: nobody else sets them.
pub const RESERVED: [&str; 8] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
];

/// Somebody sets out for a provider.
#[derive(Debug, Default)]
pub struct Departure<'a> {
    /// The provider's name, in any case.
    pub provider: &'a str,
    /// Scopes besides those that are always asked for.
    pub scopes: &'a str,
    /// The application's PKCE challenge, or "".
    pub code_challenge: &'a str,
    /// Its method, or "".
    pub code_challenge_method: &'a str,
    /// The hash in the link of an invitation that is to be accepted, or "".
    pub invite_token: &'a str,
    /// Further parameters for the provider.
    pub more: Vec<(String, String)>,
    /// The user whom the identity is to be linked to.
    pub link_to: Option<Uuid>,
}

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

/// A person whom a provider has identified.
pub(super) struct Person<'a> {
    provider: &'a str,
    profile: Profile,
    email_optional: bool,
}

/// Sends somebody to a provider: notes the way back, and gives the address to go to.
pub async fn depart(app: &App, client: &Client, departure: Departure<'_>) -> Result<String> {
    let name = departure.provider.to_lowercase();
    let challenge = Challenge::parse(departure.code_challenge, departure.code_challenge_method);
    let mut detour = NewDetour {
        id: Uuid::new_v4(),
        provider_type: &name,
        challenge: None,
        invite_token: Some(departure.invite_token).filter(|token| !token.is_empty()),
        referrer: &client.redirect_to,
        linking_target_id: departure.link_to,
        // 43 characters, as RFC 7636, section 4.1, recommends.
        code_verifier: &generate_text::<32>(),
    };
    if custom::may_be_there(app, &name)
        && let Ok(challenge) = challenge
    {
        detour.challenge = challenge;
        return depart_to_custom(app, &detour, &departure).await;
    }
    let provider = find(app, &name, departure.scopes)
        .await?
        .map_err(unsupported)?;
    detour.challenge = challenge.map_err(|error| match error {
        pkce::Invalid::Method(_) => invalid("Invalid code_challenge_method"),
        other => invalid(other.to_string()),
    })?;
    // Before the row is written: OAuth 1.0a asks the provider first, and an address may be no URL.
    let address = address(&provider, &detour, &departure).await?;
    let wants = Wants {
        challenge: provider.requires_pkce(),
        email_optional: provider.is_email_optional(),
    };
    let conn = app.db.get().await?;
    let noted = detour
        .insert(&conn, Some(wants), app.clock.now())
        .await
        .public("Error creating flow state")?;
    noted.then_some(address).ok_or_else(not_invited)
}

/// The same to a custom provider. Its row is read and the way back noted in one round trip; what cannot be gone is
/// noted no longer.
async fn depart_to_custom(
    app: &App,
    detour: &NewDetour<'_>,
    departure: &Departure<'_>,
) -> Result<String> {
    let name = detour.provider_type;
    let conn = app.db.get().await?;
    let row = CustomProvider::find(&conn, name);
    let (row, noted) = join(row, detour.insert(&conn, None, app.clock.now())).await;
    drop(conn);
    let row = row.public("Error finding custom provider")?;
    let noted = noted.public("Error creating flow state")?;
    let address = async {
        let provider = custom::make_ready(app, name, row, departure.scopes).await?;
        address(&provider.map_err(unsupported)?, detour, departure).await
    };
    let address = address.await;
    if noted && address.is_err() {
        let undone = detour.undo(&mut *app.db.get().await?).await;
        undone.public("Error creating flow state")?;
    }
    address.and_then(|address| noted.then_some(address).ok_or_else(not_invited))
}

/// Where the browser goes to sign in.
async fn address(
    provider: &Provider,
    detour: &NewDetour<'_>,
    departure: &Departure<'_>,
) -> Result<String> {
    provider
        .authorization_url(
            &detour.id.to_string(),
            detour.code_verifier,
            &departure.more,
        )
        .await
        .public("Unable to reach the external provider")
}

fn unsupported(Unsupported(why): Unsupported) -> Error {
    invalid(format!("Unsupported provider: {why}"))
}

fn not_invited() -> Error {
    let why = "User identified by token not found";
    not_found(Code::UserNotFound, why)
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
        return Err(Error::Oauth {
            error: brought.error.to_owned().into(),
            description: brought.error_description.to_owned().into(),
        });
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

impl<'a> Person<'a> {
    /// Refuses whom the provider does not name.
    fn new(
        app: &App,
        provider: &'a str,
        mut profile: Profile,
        email_optional: bool,
    ) -> Result<Self> {
        if profile.claims.sub.is_empty() {
            return Err(Error::Oauth {
                error: "server_error".into(),
                description: "error missing provider id".into(),
            });
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
    fn identity_data(&self) -> Map<String, Value> {
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
