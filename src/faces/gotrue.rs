//! GoTrue's API: the route list is the table of contents. A sub-router root of GoTrue answers with and without a
//! trailing slash; below `/user` and `/admin` authentication comes before routing.

mod admin;
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
mod views;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::app::App;

/// All routes of this face.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/health", get(infrastructure::health))
        .route("/.well-known/jwks.json", get(infrastructure::jwks))
        .route("/.well-known/openid-configuration", get(infrastructure::discovery))
        .route("/.well-known/oauth-authorization-server", get(infrastructure::oauth_metadata))
        .route("/settings", get(settings::settings))
        .root("/signup", post(signup::sign_up))
        .route("/token", post(token::grant))
        .route("/otp", post(otp::send))
        .route("/magiclink", post(magiclink::send))
        .route("/recover", post(recover::recover))
        .route("/resend", post(resend::resend))
        .root("/verify", get(verify::by_link).post(verify::by_code))
        .route("/invite", post(invite::invite))
        .route("/logout", post(logout::logout))
        .nest("/reauthenticate", reauthenticate_routes(&app))
        .nest("/user", user_routes(&app))
        .nest("/admin", admin_routes(&app))
        .fallback(door::not_found)
        .with_state(app)
}

fn reauthenticate_routes(app: &App) -> Router<App> {
    Router::new()
        .route("/", get(reauthenticate::send))
        .fallback(door::not_found)
        .layer(from_fn_with_state(app.clone(), caller::require_user))
}

fn user_routes(app: &App) -> Router<App> {
    Router::new()
        .route("/", get(user::show).put(user::update))
        .route("/identities/authorize", get(user::link_identity))
        .route("/identities/{identity_id}", delete(user::unlink_identity))
        .fallback(door::not_found)
        .layer(from_fn_with_state(app.clone(), caller::require_user))
}

fn admin_routes(app: &App) -> Router<App> {
    Router::new()
        .root("/audit", get(admin::audit::list))
        .root("/users", get(admin::users::list).post(admin::users::create))
        .root("/users/{user_id}", get(admin::users::show).put(admin::users::update).delete(admin::users::delete))
        .root("/users/{user_id}/factors", get(admin::factors::list))
        .root("/users/{user_id}/factors/{factor_id}", put(admin::factors::update).delete(admin::factors::delete))
        .root("/users/{user_id}/passkeys", get(admin::factors::list_passkeys))
        .root("/users/{user_id}/passkeys/{passkey_id}", delete(admin::factors::delete_passkey))
        .route("/users/{user_id}/{*rest}", axum::routing::any(admin::users::nowhere))
        .route("/generate_link", post(admin::generate_link::generate))
        .fallback(door::not_found)
        .layer(from_fn_with_state(app.clone(), caller::require_admin))
}

/// The root of one of GoTrue's sub-routers.
trait Root {
    /// Routes a path with and without a trailing slash.
    fn root(self, path: &str, methods: MethodRouter<App>) -> Self;
}

impl Root for Router<App> {
    fn root(self, path: &str, methods: MethodRouter<App>) -> Self {
        self.route(path, methods.clone()).route(&format!("{path}/"), methods)
    }
}
