//! Finding a custom provider by its identifier, and making it ready for a sign-in (GoTrue's `loadCustomProvider`).

use secrecy::SecretString;

use crate::app::App;
use crate::error::{Context as _, Result};
use crate::json::object;
use crate::models::custom_provider::CustomProvider;
use crate::outside::Http;
use crate::outside::oidc::Issuer;
use crate::outside::oidc::document::Failure;
use crate::outside::providers::{Description, Endpoints, Provider, Unsupported};

/// Whether this is the name of a custom provider.
pub(in crate::auth) fn is_custom(name: &str) -> bool {
    name.starts_with(CustomProvider::PREFIX)
}

/// Whether there may be a row of this name that counts.
pub(super) fn may_be_there(app: &App, name: &str) -> bool {
    app.config.custom_oauth.enabled && CustomProvider::may_be_called(name)
}

/// The provider of this identifier.
pub(super) async fn find(
    app: &App,
    identifier: &str,
    scopes: &str,
) -> Result<Result<Provider, Unsupported>> {
    if !app.config.custom_oauth.enabled {
        let why = "custom OAuth providers are disabled";
        return Ok(Err(Unsupported(why.into())));
    }
    let row = find_row(app, identifier).await?;
    make_ready(app, identifier, row, scopes).await
}

/// The provider that is described so, which is ready as soon as its issuer has been asked. `scopes` take the place of
/// those that are described; blanks separate them.
pub(super) async fn make_ready(
    app: &App,
    identifier: &str,
    row: Option<CustomProvider>,
    scopes: &str,
) -> Result<Result<Provider, Unsupported>> {
    let unsupported = |why: String| Ok(Err(Unsupported(why.into())));
    let Some(row) = row else {
        return unsupported(format!("custom provider {identifier} not found"));
    };
    if !row.enabled {
        return unsupported(format!("custom provider {identifier} is disabled"));
    }
    let client_secret = app.vault.open(row.id, &row.client_secret);
    let client_secret = client_secret.map_err(anyhow::Error::from)?.into_owned();

    let http = app.http.guarded(row.urls());
    let endpoints = if row.is_oidc() {
        match issuer(app, &http, &row).await {
            Ok(issuer) => Endpoints::Oidc(Box::new(issuer)),
            Err(why) => {
                let what = "error creating OIDC provider: failed to create OIDC provider";
                return unsupported(format!("{what}: {why}"));
            }
        }
    } else {
        let urls = (&row.authorization_url, &row.token_url, &row.userinfo_url);
        let (Some(authorization_url), Some(token_url), Some(userinfo_url)) = urls else {
            return unsupported(format!(
                "OAuth2 provider {identifier} missing required endpoints"
            ));
        };
        Endpoints::Oauth2 {
            authorization_url: authorization_url.clone(),
            token_url: token_url.clone(),
            userinfo_url: userinfo_url.clone(),
        }
    };
    let described = describe(app, row, scopes, client_secret.into(), endpoints);
    Ok(Ok(Provider::custom(
        http,
        app.oidc.clone(),
        described,
        app.clock.now(),
    )?))
}

/// The provider of this identifier, as it is described; enabled or not.
pub(in crate::auth) async fn find_row(
    app: &App,
    identifier: &str,
) -> Result<Option<CustomProvider>> {
    if !CustomProvider::may_be_called(identifier) {
        return Ok(None);
    }
    let conn = app.db.get().await?;
    let found = CustomProvider::find(&conn, identifier).await;
    found.public("Error finding custom provider")
}

/// Asks the issuer for its endpoints, or knows them still. Unlike the endpoints themselves it is never at a private
/// address, as in GoTrue.
async fn issuer(app: &App, http: &Http, row: &CustomProvider) -> Result<Issuer, String> {
    let (Some(url), Some(issuer)) = (row.discovery_url(), &row.issuer) else {
        return Err(format!("OIDC provider {} missing issuer", row.identifier));
    };
    let place = url.parse().map_err(|_| Failure::no_url(&url).to_string())?;
    let asked = async {
        app.http.guard().check_literal(&place)?;
        let now = app.clock.now();
        app.oidc.issuer_at(http, issuer, &url, now).await
    };
    asked
        .await
        .map_err(|error| Failure::unreachable(&url, &error).to_string())
}

fn describe(
    app: &App,
    row: CustomProvider,
    scopes: &str,
    client_secret: SecretString,
    endpoints: Endpoints,
) -> Description {
    let is_oidc = row.is_oidc();
    let mut scopes: Vec<String> = scopes.split_whitespace().map(str::to_owned).collect();
    if scopes.is_empty() {
        scopes = row.scopes;
    }
    if is_oidc && !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".to_owned());
    }
    let config = &app.config;
    let base = config.custom_oauth.external_url.as_ref();
    let base = base.unwrap_or(&config.api.external_url).as_str();
    let texts = object(row.authorization_params).into_iter();
    let texts = texts.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())));
    Description {
        identifier: row.identifier,
        client_id: row.client_id,
        client_secret,
        redirect_uri: format!("{}/callback", base.trim_end_matches('/')),
        scopes,
        pkce: row.pkce_enabled,
        email_optional: row.email_optional,
        parameters: texts.collect(),
        endpoints,
        acceptable_client_ids: row.acceptable_client_ids,
        attribute_mapping: object(row.attribute_mapping),
        custom_claims_allowlist: row.custom_claims_allowlist,
    }
}
