//! GoTrue's API: the route list is the table of contents. A sub-router root of GoTrue answers with and without a
//! trailing slash; below `/user`, `/factors` and `/admin` authentication comes before routing.

mod admin;
mod authorize;
mod callback;
mod caller;
pub mod door;
mod infrastructure;
mod invite;
mod logout;
mod magiclink;
mod otp;
mod reauthenticate;
mod recover;
mod resend;
mod settings;
mod signup;
mod token;
mod user;
mod verify;
pub mod views;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, delete, get, post, put};
use http::HeaderMap;

use crate::app::App;

/// All routes of this face.
pub fn router(app: App) -> Router {
    let jwks = infrastructure::jwks(&app);
    let discovery = infrastructure::discovery(&app);
    Router::new()
        .route("/health", get(infrastructure::health))
        .route(
            "/.well-known/jwks.json",
            get(async move |headers: HeaderMap| jwks.answer(&headers)),
        )
        .route(
            "/.well-known/openid-configuration",
            get(async move |headers: HeaderMap| discovery.answer(&headers)),
        )
        .route(
            "/.well-known/oauth-authorization-server",
            get(infrastructure::oauth_metadata),
        )
        .route("/settings", get(settings::settings))
        .root("/signup", post(signup::sign_up))
        .route("/token", post(token::grant))
        .route("/otp", post(otp::send))
        .route("/magiclink", post(magiclink::send))
        .route("/recover", post(recover::recover))
        .route("/resend", post(resend::resend))
        .root("/verify", get(verify::by_link).post(verify::by_code))
        .route("/invite", post(invite::invite))
        .route("/authorize", get(authorize::authorize))
        .root(
            "/callback",
            get(callback::callback).post(callback::callback),
        )
        .route("/logout", post(logout::logout))
        .merge(user_routes(&app))
        .merge(factor_routes(&app))
        .merge(admin_routes(&app))
        .fallback(door::not_found)
        .with_state(app)
}

/// What only a user may call, and all other paths below it.
fn user_routes(app: &App) -> Router<App> {
    Router::new()
        .root("/user", get(user::show).put(user::update))
        .route("/user/{*rest}", any(door::not_found))
        .merge(identity_routes(app))
        .root("/reauthenticate", get(reauthenticate::send))
        .route("/reauthenticate/{*rest}", any(door::not_found))
        .layer(from_fn_with_state(app.clone(), caller::require_user))
}

/// Linking by hand; nothing of it where that is switched off.
fn identity_routes(app: &App) -> Router<App> {
    Router::new()
        .root("/user/identities", any(door::not_found))
        .route(
            "/user/identities/authorize",
            get(user::link_identity).delete(user::unlink_identity_authorize),
        )
        .root(
            "/user/identities/{identity_id}",
            delete(user::unlink_identity),
        )
        .route(
            "/user/identities/{identity_id}/{*rest}",
            any(door::not_found),
        )
        .layer(from_fn_with_state(app.clone(), user::require_linking))
}

/// What no anonymous user may call. Second factors are not served yet: nothing is there.
fn factor_routes(app: &App) -> Router<App> {
    Router::new()
        .root("/factors", any(door::not_found))
        .route("/factors/{*rest}", any(door::not_found))
        .layer(from_fn_with_state(app.clone(), caller::require_somebody))
}

/// What only an administrator may call, and all other paths below it.
fn admin_routes(app: &App) -> Router<App> {
    Router::new()
        .root("/admin", any(door::not_found))
        .route("/admin/{*rest}", any(door::not_found))
        .root("/admin/audit", get(admin::audit::list))
        .root(
            "/admin/users",
            get(admin::users::list).post(admin::users::create),
        )
        .merge(subject_routes(app))
        .merge(custom_provider_routes(app))
        .route("/admin/generate_link", post(admin::generate_link::generate))
        .layer(from_fn_with_state(app.clone(), caller::require_admin))
}

/// The identity providers that administrators add; nothing of it where they are switched off.
fn custom_provider_routes(app: &App) -> Router<App> {
    Router::new()
        .root(
            "/admin/custom-providers",
            get(admin::custom_providers::list).post(admin::custom_providers::create),
        )
        .root(
            "/admin/custom-providers/{identifier}",
            get(admin::custom_providers::show)
                .put(admin::custom_providers::update)
                .delete(admin::custom_providers::delete),
        )
        .route(
            "/admin/custom-providers/{identifier}/{*rest}",
            any(door::not_found),
        )
        .layer(from_fn_with_state(
            app.clone(),
            admin::custom_providers::require_enabled,
        ))
}

/// What is about one user; whether there is such a user is said first.
fn subject_routes(app: &App) -> Router<App> {
    Router::new()
        .root(
            "/admin/users/{user_id}",
            get(admin::users::show)
                .put(admin::users::update)
                .delete(admin::users::delete),
        )
        .root("/admin/users/{user_id}/factors", get(admin::factors::list))
        .root(
            "/admin/users/{user_id}/factors/{factor_id}",
            put(admin::factors::update).delete(admin::factors::delete),
        )
        .root(
            "/admin/users/{user_id}/passkeys",
            get(admin::factors::list_passkeys),
        )
        .root(
            "/admin/users/{user_id}/passkeys/{passkey_id}",
            delete(admin::factors::delete_passkey),
        )
        .route("/admin/users/{user_id}/{*rest}", any(door::not_found))
        .layer(from_fn_with_state(app.clone(), admin::subject::load))
}

/// The root of one of GoTrue's sub-routers.
trait Root {
    /// Routes a path with and without a trailing slash.
    fn root(self, path: &str, methods: MethodRouter<App>) -> Self;
}

impl Root for Router<App> {
    fn root(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.route(path, methods.clone())
            .route(&format!("{path}/"), methods)
    }
}
