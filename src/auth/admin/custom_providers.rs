//! What administrators do with custom providers.

mod params;

pub use params::Params;

use diesel_async::AsyncConnection;
use secrecy::ExposeSecret;

use crate::app::App;
use crate::auth::invalid;
use crate::db::Conn;
use crate::error::{Code, Context as _, Error, Result, bad_request, not_found};
use crate::models::custom_provider::{CustomProvider, ProviderType};
use crate::outside::oidc::document::{self, Document};

const UNREADABLE: &str = "Error retrieving custom OAuth provider";

/// All providers, or those of one type (`oauth2`, `oidc`).
pub async fn list(app: &App, kind: &str) -> Result<Vec<CustomProvider>> {
    let kind = match kind {
        "" => None,
        kind => Some(
            ProviderType::parse(kind)
                .ok_or_else(|| invalid("type must be either 'oauth2' or 'oidc'"))?,
        ),
    };
    let mut conn = app.db.get().await?;
    let found = match kind {
        None => CustomProvider::all(&mut conn).await,
        Some(kind) => CustomProvider::of_type(&mut conn, kind).await,
    };
    found.public("Error retrieving custom OAuth providers")
}

/// One provider.
pub async fn find(app: &App, identifier: &str) -> Result<CustomProvider> {
    check_prefix(identifier)?;
    let conn = app.db.get().await?;
    let found = CustomProvider::find(&conn, identifier).await;
    found.public(UNREADABLE)?.ok_or_else(unknown)
}

/// Adds a provider. An OpenID Connect one is asked for its endpoints at once, so that a mistake is met by who makes it.
pub async fn create(app: &App, mut params: Params) -> Result<CustomProvider> {
    let kind = params.check_new()?;
    params.check_values()?;
    check_quota(app, &mut *app.db.get().await?).await?;
    params.check_urls(app.http.guard(), kind).await?;

    let now = app.clock.now();
    let mut provider = CustomProvider::new(kind, &params.identifier, now);
    params.scopes.get_or_insert_default();
    params.apply(&mut provider);
    params::check_limits(&provider)?;
    let known = CustomProvider::find(&*app.db.get().await?, &provider.identifier).await;
    if known
        .public("Error checking for existing provider")?
        .is_some()
    {
        return Err(taken());
    }
    discover(app, &mut provider).await?;
    provider.client_secret = app
        .vault
        .seal(provider.id, params.client_secret.expose_secret());

    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        if app.config.custom_oauth.max_providers > 0 {
            CustomProvider::lock_table(tx).await?;
            check_quota(app, tx).await?;
        }
        let inserted = provider.insert(tx).await;
        if !inserted.public("Error creating custom OAuth provider")? {
            return Err(taken());
        }
        Ok(provider)
    })
    .await
}

/// Changes a provider: what is not said stays as it is.
pub async fn update(app: &App, identifier: &str, params: Params) -> Result<CustomProvider> {
    params.check_values()?;
    let mut provider = find(app, identifier).await?;
    params.check_urls(app.http.guard(), provider.kind()).await?;
    params.apply(&mut provider);
    params::check_limits(&provider)?;
    let moved = provider.is_oidc() && params.moves_issuer();
    if moved {
        if let Some(issuer) = &provider.issuer {
            app.oidc.forget(issuer);
        }
        discover(app, &mut provider).await?;
    }

    let mut conn = app.db.get().await?;
    conn.transaction::<_, Error, _>(async |tx| {
        // Whoever else has changed it meanwhile has changed other things.
        let locked = CustomProvider::lock(tx, identifier).await;
        let mut current = locked.public(UNREADABLE)?.ok_or_else(unknown)?;
        params.apply(&mut current);
        if moved {
            current.cached_discovery = provider.cached_discovery;
            current.discovery_cached_at = provider.discovery_cached_at;
        }
        let secret = params.client_secret.expose_secret();
        if !secret.is_empty() {
            current.client_secret = app.vault.seal(current.id, secret);
        }
        current.updated_at = app.clock.now();
        let updated = current.update(tx).await;
        updated.public("Error updating custom OAuth provider")?;
        Ok(current)
    })
    .await
}

/// Removes a provider. Users who came by it keep their accounts.
pub async fn delete(app: &App, identifier: &str) -> Result<()> {
    check_prefix(identifier)?;
    let deleted = CustomProvider::delete(&mut *app.db.get().await?, identifier).await;
    if deleted.public("Error deleting custom OAuth provider")? {
        return Ok(());
    }
    Err(unknown())
}

/// Refuses what names no custom provider.
pub fn check_prefix(identifier: &str) -> Result<()> {
    if !identifier.starts_with(CustomProvider::PREFIX) {
        return Err(invalid(format!(
            "identifier must start with 'custom:' prefix, e.g. 'custom:{identifier}'"
        )));
    }
    if !CustomProvider::may_be_called(identifier) {
        return Err(unknown());
    }
    Ok(())
}

async fn check_quota(app: &App, conn: &mut Conn) -> Result<()> {
    let most = app.config.custom_oauth.max_providers;
    if most <= 0 {
        return Ok(());
    }
    let count = CustomProvider::count(conn).await;
    if count.public("Error checking provider quota")? >= most {
        return Err(bad_request(
            Code::OverCustomProviderQuota,
            "Maximum number of custom OAuth/OIDC providers reached",
        ));
    }
    Ok(())
}

/// Asks an OpenID Connect provider for its endpoints, and notes them.
async fn discover(app: &App, provider: &mut CustomProvider) -> Result<()> {
    let (Some(url), Some(issuer)) = (provider.discovery_url(), provider.issuer.as_deref()) else {
        return Ok(());
    };
    let document: Document = document::fetch(&app.http, &url, issuer)
        .await
        .map_err(|failure| invalid(format!("OIDC discovery from {url:?} failed: {failure}")))?;
    let missing = document.missing();
    if !missing.is_empty() {
        return Err(invalid(format!(
            "OIDC discovery document is missing required fields: {}",
            missing.join(", ")
        )));
    }
    provider.cached_discovery = Some(serde_json::to_value(document).map_err(anyhow::Error::from)?);
    provider.discovery_cached_at = Some(app.clock.now());
    Ok(())
}

fn unknown() -> Error {
    not_found(
        Code::CustomProviderNotFound,
        "Custom OAuth provider not found",
    )
}

fn taken() -> Error {
    bad_request(
        Code::Conflict,
        "A custom OAuth provider with this identifier already exists",
    )
}
