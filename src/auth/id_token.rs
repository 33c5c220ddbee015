//! Signing in with the ID token that an application has got from an issuer by itself, as apps on phones do.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};

use super::bearer::Bearer;
use super::grant::Grant;
use super::{Client, external, invalid, link};
use crate::app::App;
use crate::config::External;
use crate::crypto::hex;
use crate::error::{Code, Error, Result, UNEXPECTED_FAILURE, bad_request, failed, oauth};
use crate::outside::Http;
use crate::outside::oidc::{Discovery, IdToken, claimed_issuer, issuers};
use crate::outside::providers::Profile;

/// What an application presents.
#[derive(Debug)]
pub struct Presented<'a> {
    /// The token.
    pub id_token: &'a str,
    /// The access token that came with it, or "".
    pub access_token: &'a str,
    /// What the token was asked for with (there as its SHA-256), or "".
    pub nonce: &'a str,
    /// The provider's name, or "".
    pub provider: &'a str,
    /// Where no provider is named: whom the token is for, or "".
    pub client_id: &'a str,
    /// Where no provider is named: who has made it, or "".
    pub issuer: &'a str,
}

impl Presented<'_> {
    /// Whether all is there that is needed.
    pub fn check(&self) -> Result<()> {
        if self.id_token.is_empty() {
            return Err(refused("id_token required"));
        }
        if self.provider.is_empty() && (self.client_id.is_empty() || self.issuer.is_empty()) {
            return Err(refused("provider or client_id and issuer required"));
        }
        Ok(())
    }
}

/// Whose tokens count for a sign-in, as configured.
struct Trust {
    /// The provider of the identity.
    provider: String,
    issuer: String,
    /// Our ids there.
    clients: Vec<String>,
    skip_nonce_check: bool,
    email_optional: bool,
    /// Where the issuer's document is, and by whom it is asked.
    discovery_url: String,
    http: Http,
}

/// Signs in whom the token is about, or adds the identity to the account of who asks: a `bearer`.
pub async fn sign_in(
    app: &App,
    client: &Client,
    presented: &Presented<'_>,
    bearer: Option<&Bearer>,
) -> Result<Grant> {
    if let Some(bearer) = bearer {
        link::check_fresh(app, bearer)?;
    }
    let trust = trust(app, presented).await?;
    let issuer = app
        .oidc
        .issuer_at(
            &trust.http,
            &trust.issuer,
            &trust.discovery_url,
            app.clock.now(),
        )
        .await;
    let issuer = issuer.map_err(|cause| failed(UNEXPECTED_FAILURE, cause))?;
    let read = async {
        let token = issuer.verify(presented.id_token).await?;
        let profile = token.profile()?;
        if !presented.access_token.is_empty() {
            token.check_access_token(presented.access_token)?;
        }
        anyhow::Ok((token, profile))
    };
    let (token, profile): (IdToken, Profile) = read.await.map_err(|error| {
        tracing::info!(
            provider = trust.provider,
            error = format!("{error:#}"),
            "a bad ID token"
        );
        refused("Bad ID token")
    })?;
    if token.subject().is_empty() {
        return Err(refused("Missing sub claim in id_token"));
    }
    if !token.is_for(trust.clients.iter().map(String::as_str)) {
        let audience = token.audience().join(" ");
        return Err(refused(format!(
            "Unacceptable audience in id_token: [{audience}]"
        )));
    }
    if !trust.skip_nonce_check {
        check_nonce(token.nonce(), presented.nonce)?;
    }
    external::sign_in(
        app,
        client,
        &trust.provider,
        profile,
        trust.email_optional,
        bearer.map(|bearer| bearer.user.id),
    )
    .await
}

/// Whom to believe. The issuer is asked only if the operator has named it, be it by switching its provider on.
async fn trust(app: &App, presented: &Presented<'_>) -> Result<Trust> {
    let external = &app.config.external;
    let Some((name, issuer)) = provider(external, presented)? else {
        return if external::custom::is_custom(presented.provider) {
            custom(app, presented.provider).await
        } else {
            generic(app, presented)
        };
    };
    let disabled = || {
        bad_request(
            Code::ProviderDisabled,
            format!("Provider (issuer {issuer:?}) is not enabled"),
        )
    };
    let config = external.provider(name).filter(|provider| provider.enabled);
    let config = config.ok_or_else(disabled)?;
    let mut clients = config.client_id.clone();
    if name == "apple" {
        clients.extend(external.ios_bundle_id.clone());
    }
    if name == "azure" && issuers::is_other_tenant(&config.url, &issuer) {
        return Err(invalid(
            "ID token issuer is not the configured Azure tenant",
        ));
    }
    Ok(Trust {
        provider: name.to_owned(),
        // Facebook's Limited Login gives the nonce back as it was.
        skip_nonce_check: config.skip_nonce_check || name == "facebook",
        email_optional: config.email_optional,
        clients,
        discovery_url: Discovery::url(&issuer),
        http: app.http.clone(),
        issuer,
    })
}

/// The built-in provider that is meant, and its issuer; either may be named. The order is GoTrue's.
fn provider(
    external: &External,
    presented: &Presented<'_>,
) -> Result<Option<(&'static str, String)>> {
    let Presented {
        provider, issuer, ..
    } = *presented;
    if provider == "apple" || issuers::is_apple(issuer) {
        return detected(presented, "Apple", issuers::is_apple)
            .map(|issuer| Some(("apple", issuer)));
    }
    if provider == "google" || issuer == issuers::GOOGLE {
        return Ok(Some(("google", issuers::GOOGLE.to_owned())));
    }
    if provider == "azure" || issuers::is_azure(issuer) {
        let is_one = issuers::has_azures_host;
        return detected(presented, "Azure", is_one).map(|issuer| Some(("azure", issuer)));
    }
    let keycloak = external.provider("keycloak");
    let keycloak_url = keycloak.map_or("", |keycloak| &keycloak.url);
    let keycloaks_own = keycloak.filter(|keycloak| keycloak.enabled && !keycloak.url.is_empty());
    let by_issuer = [
        ("facebook", issuers::FACEBOOK, true),
        ("keycloak", keycloak_url, keycloaks_own.is_some()),
        ("kakao", issuers::KAKAO, true),
        ("vercel_marketplace", issuers::VERCEL_MARKETPLACE, true),
        ("snapchat", issuers::SNAPCHAT, true),
    ];
    let meant = by_issuer
        .into_iter()
        .find(|(name, own, is_known)| provider == *name || *is_known && issuer == *own);
    Ok(meant.map(|(name, own, _)| (name, own.to_owned())))
}

/// The issuer that a token claims, where a provider has several.
fn detected(presented: &Presented<'_>, name: &str, is_one: fn(&str) -> bool) -> Result<String> {
    let detected = claimed_issuer(presented.id_token).map_err(|_| {
        invalid(format!(
            "Unable to detect issuer in ID token for {name} provider"
        ))
    })?;
    if !is_one(&detected) {
        return Err(invalid(format!(
            "Detected ID token issuer is not an {name} ID token issuer"
        )));
    }
    if !presented.issuer.is_empty() && presented.issuer != detected {
        return Err(invalid("Provided issuer does not match ID token issuer"));
    }
    Ok(detected)
}

/// An issuer that the operator allows by its URL. Its tokens count for whatever client the caller names.
fn generic(app: &App, presented: &Presented<'_>) -> Result<Trust> {
    let allowed = &app.config.external.allowed_id_token_issuers;
    if !allowed.iter().any(|issuer| issuer == presented.issuer) {
        let provider = presented.provider;
        return Err(invalid(format!(
            "Custom OIDC provider {provider:?} not allowed"
        )));
    }
    Ok(Trust {
        provider: presented.issuer.to_owned(),
        issuer: presented.issuer.to_owned(),
        clients: vec![presented.client_id.to_owned()],
        skip_nonce_check: false,
        email_optional: false,
        discovery_url: Discovery::url(presented.issuer),
        http: app.http.clone(),
    })
}

/// An issuer that an administrator has described.
async fn custom(app: &App, identifier: &str) -> Result<Trust> {
    if !app.config.custom_oauth.enabled {
        return Err(invalid("Custom OAuth providers are disabled"));
    }
    let row = external::custom::find_row(app, identifier).await?;
    let row = row.ok_or_else(|| invalid(format!("Custom provider {identifier:?} not found")))?;
    if !row.enabled {
        return Err(bad_request(
            Code::ProviderDisabled,
            format!("Custom provider {identifier:?} is disabled"),
        ));
    }
    if !row.is_oidc() {
        return Err(invalid(format!(
            "Provider {identifier:?} is not an OIDC provider"
        )));
    }
    let http = app.http.guarded(row.urls());
    let Some((discovery_url, issuer)) = row.discovery_url().zip(row.issuer) else {
        return Err(invalid(format!(
            "OIDC provider {identifier:?} missing issuer"
        )));
    };
    let mut clients = row.acceptable_client_ids;
    clients.push(row.client_id);
    Ok(Trust {
        provider: identifier.to_owned(),
        issuer,
        clients,
        skip_nonce_check: row.skip_nonce_check,
        email_optional: row.email_optional,
        discovery_url,
        http,
    })
}

/// The token holds the hash of what only the application knows: a stolen token is of no use.
fn check_nonce(hashed: &str, nonce: &str) -> Result<()> {
    if hashed.is_empty() != nonce.is_empty() {
        return Err(refused(
            "Passed nonce and nonce in id_token should either both exist or not.",
        ));
    }
    if nonce.is_empty() {
        return Ok(());
    }
    if hex(digest(&SHA256, nonce.as_bytes())) != hashed {
        return Err(oauth("invalid nonce", "Nonces mismatch"));
    }
    Ok(())
}

/// In the words of GoTrue, which puts a blank where RFC 6749 has a line.
pub fn refused(description: impl Into<Cow<'static, str>>) -> Error {
    oauth("invalid request", description)
}
