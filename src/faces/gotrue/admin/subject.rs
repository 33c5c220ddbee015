//! Whom a path below `/admin/users/{user_id}` is about. Found before the rest of the path is looked at, as in GoTrue:
//! an unknown user is a 404 in JSON, whatever the method.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;

use crate::app::App;
use crate::auth::admin;
use crate::error::{Error, Result, UNEXPECTED_FAILURE, failed};
use crate::models::factor::Factor;
use crate::models::user::User;

/// The user of the path.
#[derive(Clone)]
pub struct Subject(pub Arc<User>);

/// The user's second factor of the path.
#[derive(Clone)]
pub struct SubjectFactor(pub Factor);

/// Lets only paths pass that name a user, and a factor of that user if they name one.
pub async fn load(
    State(app): State<App>,
    names: Result<Path<HashMap<String, String>>, PathRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    // What is no UTF-8 is no id.
    let names = names.map(|Path(names)| names).unwrap_or_default();
    let name = |name: &str| names.get(name).map(String::as_str);
    let found = async {
        let user = admin::find(&app, name("user_id").unwrap_or_default()).await?;
        let factor = name("factor_id")
            .map(|id| admin::factors::find(&user, id))
            .transpose()?;
        Ok::<_, Error>((user, factor))
    };
    match found.await {
        Ok((user, factor)) => {
            request.extensions_mut().insert(Subject(Arc::new(user)));
            if let Some(factor) = factor {
                request.extensions_mut().insert(SubjectFactor(factor));
            }
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

fn loaded<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Result<T> {
    let missing = || {
        failed(
            UNEXPECTED_FAILURE,
            anyhow::anyhow!("a route without its subject"),
        )
    };
    parts.extensions.get().cloned().ok_or_else(missing)
}

impl FromRequestParts<App> for Subject {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        loaded(parts)
    }
}

impl FromRequestParts<App> for SubjectFactor {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        loaded(parts)
    }
}
