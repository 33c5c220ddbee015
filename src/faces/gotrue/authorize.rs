//! `GET /authorize`: off to an external provider.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use uuid::Uuid;

use super::caller::Visitor;
use crate::app::App;
use crate::auth::external::{Departure, RESERVED, depart};
use crate::error::Result;
use crate::urls::query::Pairs;
use crate::web::redirect;

/// Sends the browser to a provider.
pub async fn authorize(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    visitor: Visitor,
) -> Result<Response> {
    let query = Pairs::parse_lenient(query.as_deref().unwrap_or_default());
    let address = address(&app, &visitor, &query, None).await?;
    Ok(redirect::found(&address, &[]))
}

/// Where a provider is; `link_to` is the user whose account its identity is added to.
pub async fn address(
    app: &App,
    visitor: &Visitor,
    query: &Pairs,
    link_to: Option<Uuid>,
) -> Result<String> {
    let departure = Departure {
        provider: query.get("provider"),
        scopes: query.get("scopes"),
        code_challenge: query.get("code_challenge"),
        code_challenge_method: query.get("code_challenge_method"),
        invite_token: query.get("invite_token"),
        more: passed_on(query),
        link_to,
    };
    depart(app, &visitor.client, departure).await
}

/// The parameters that the provider gets as they are, the first of each name.
fn passed_on(query: &Pairs) -> Vec<(String, String)> {
    let mut passed: Vec<(String, String)> = Vec::new();
    for (name, value) in query.iter() {
        let is_ours = name == "scopes"
            || name == "provider"
            || RESERVED
                .iter()
                .any(|reserved| name.eq_ignore_ascii_case(reserved));
        // `provider` is the word of WorkOS for what it calls so.
        let name = if name == "workos_provider" {
            "provider"
        } else {
            name
        };
        if !is_ours && !passed.iter().any(|(known, _)| known == name) {
            passed.push((name.to_owned(), value.to_owned()));
        }
    }
    passed
}
