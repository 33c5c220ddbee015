//! `/callback`: back from an external provider. Whatever comes of it, the browser is sent on.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::Method;

use super::caller::Visitor;
use super::door;
use super::views::session_pairs;
use crate::app::App;
use crate::auth::external::{self, Arrived, Return};
use crate::error::{Error, Result};
use crate::urls::query::Pairs;
use crate::web::body::Body;
use crate::web::redirect;

/// The provider has sent the browser back, or let it post a form (Apple).
pub async fn callback(
    State(app): State<App>,
    method: Method,
    RawQuery(query): RawQuery,
    visitor: Visitor,
    body: Body,
) -> Response {
    let query = Pairs::parse_lenient(query.as_deref().unwrap_or_default());
    let posted = if method == Method::POST {
        body.form().ok().flatten()
    } else {
        None
    };
    let said = |name| {
        let posted = posted
            .as_ref()
            .map(|form| form.get(name))
            .filter(|value| !value.is_empty());
        posted.unwrap_or_else(|| query.get(name))
    };
    let state = said("state");
    let brought = Return {
        code: said("code"),
        oauth_token: query.get("oauth_token"),
        oauth_verifier: query.get("oauth_verifier"),
        error: said("error"),
        error_description: said("error_description"),
        user: said("user"),
    };
    let detour = match external::resume(&app, state, &brought).await {
        Ok(detour) => detour,
        Err(error) => {
            let target = redirect::with_error_in_query(&app.config.site_url, &error);
            return door::elsewhere(error, target, &method);
        }
    };
    let target = external::target(&app, &detour);
    let arrived = external::arrive(&app, &visitor.client, &detour, &brought).await;
    let response = send_on(&app, target, arrived)
        .await
        .unwrap_or_else(|error| {
            if let Error::Failed(failure) = &error {
                let (provider, cause) = (&detour.provider_type, &failure.cause);
                tracing::error!(
                    "a sign-in by {provider} failed: {}: {cause:#}",
                    failure.message
                );
            }
            redirect::found(&redirect::with_provider_error(target, &error), &[])
        });
    if method == Method::POST {
        redirect::without_page(response)
    } else {
        response
    }
}

async fn send_on(app: &App, target: &str, arrived: Result<Arrived>) -> Result<Response> {
    Ok(match arrived? {
        Arrived::Code(code) => {
            redirect::found(&redirect::with_query(target, &[("code", &code)]), &[])
        }
        Arrived::In(grant) => {
            let mut pairs = session_pairs(app, &grant).await?;
            if let Some((token, refresh_token)) = &grant.provider_tokens {
                pairs.push(("provider_token", token.clone()));
                let refresh_token = refresh_token.clone();
                pairs.extend(refresh_token.map(|token| ("provider_refresh_token", token)));
            }
            redirect::found(&redirect::with_fragment(target, &pairs), &grant.headers)
        }
    })
}
