//! The way to an external provider.

use futures_util::future::join;
use uuid::Uuid;

use super::{custom, find};
use crate::app::App;
use crate::auth::{Client, invalid};
use crate::crypto::pkce::{self, Challenge};
use crate::crypto::secrets::generate_text;
use crate::error::{Code, Context, Error, Result, not_found};
use crate::models::custom_provider::CustomProvider;
use crate::models::flow_state::{NewDetour, Wants};
use crate::outside::providers::{Provider, Unsupported};

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

/// Sends somebody to a provider: notes the way back, and gives the address to go to.
pub async fn depart(app: &App, client: &Client, departure: Departure<'_>) -> Result<String> {
    let name = departure.provider.to_lowercase();
    let challenge = Challenge::parse(departure.code_challenge, departure.code_challenge_method);
    let challenge = match challenge {
        Ok(challenge) => challenge,
        Err(error) => {
            // A provider that cannot be used is told first.
            let found = find(app, &name, departure.scopes).await?;
            found.map_err(unsupported)?;
            return Err(wrong_challenge(&error));
        }
    };
    let detour = NewDetour {
        id: Uuid::new_v4(),
        provider_type: &name,
        challenge,
        invite_token: Some(departure.invite_token).filter(|token| !token.is_empty()),
        referrer: &client.redirect_to,
        linking_target_id: departure.link_to,
        // 43 characters, as RFC 7636, section 4.1, recommends.
        code_verifier: &generate_text::<32>(),
    };
    if custom::may_be_there(app, &name) {
        to_custom(app, &detour, &departure).await
    } else {
        to_built_in(app, &detour, &departure).await
    }
}

async fn to_built_in(
    app: &App,
    detour: &NewDetour<'_>,
    departure: &Departure<'_>,
) -> Result<String> {
    let provider = find(app, detour.provider_type, departure.scopes).await?;
    let provider = provider.map_err(unsupported)?;
    // Before the row is written: OAuth 1.0a asks the provider first, and an address may be no URL.
    let url = authorization_url(&provider, detour, departure).await?;
    let wants = Wants::These {
        challenge: provider.requires_pkce(),
        email_optional: provider.is_email_optional(),
    };
    let conn = app.db.get().await?;
    let noted = detour.insert(&conn, wants, app.clock.now()).await;
    let noted = noted.public("Error creating flow state")?;
    noted.then_some(url).ok_or_else(not_invited)
}

/// A custom provider's row is read and the way back noted in one round trip; where the provider cannot be used after
/// all, the note is removed.
async fn to_custom(app: &App, detour: &NewDetour<'_>, departure: &Departure<'_>) -> Result<String> {
    let name = detour.provider_type;
    let conn = app.db.get().await?;
    let (row, noted) = join(
        CustomProvider::find(&conn, name),
        detour.insert(&conn, Wants::AsItsRowSays, app.clock.now()),
    )
    .await;
    drop(conn);
    let row = row.public("Error finding custom provider")?;
    let noted = noted.public("Error creating flow state")?;
    let url = async {
        let provider = custom::make_ready(app, name, row, departure.scopes).await?;
        authorization_url(&provider.map_err(unsupported)?, detour, departure).await
    };
    match url.await {
        Ok(url) => noted.then_some(url).ok_or_else(not_invited),
        Err(error) => {
            if noted {
                let undone = detour.undo(&mut *app.db.get().await?).await;
                undone.public("Error creating flow state")?;
            }
            Err(error)
        }
    }
}

/// Where the browser goes to sign in.
async fn authorization_url(
    provider: &Provider,
    detour: &NewDetour<'_>,
    departure: &Departure<'_>,
) -> Result<String> {
    let state = detour.id.to_string();
    provider
        .authorization_url(&state, detour.code_verifier, &departure.more)
        .await
        .public("Unable to reach the external provider")
}

fn unsupported(Unsupported(why): Unsupported) -> Error {
    invalid(format!("Unsupported provider: {why}"))
}

fn wrong_challenge(error: &pkce::Invalid) -> Error {
    match error {
        pkce::Invalid::Method(_) => invalid("Invalid code_challenge_method"),
        other => invalid(other.to_string()),
    }
}

fn not_invited() -> Error {
    let why = "User identified by token not found";
    not_found(Code::UserNotFound, why)
}
