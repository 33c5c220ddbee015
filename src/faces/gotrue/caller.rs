//! Who is calling, and from where.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};

use crate::app::App;
use crate::auth::bearer::{self, Admin, Bearer};
use crate::auth::{Client, captcha};
use crate::crypto::jwt::BearerClaims;
use crate::error::{Code, Error, Result, unauthorized};
use crate::params;
use crate::urls::query::Pairs;
use crate::web::body::Body;
use crate::web::client_ip;
use crate::web::external_url::external_url;
use crate::web::limits::Bucket;

const JWT_AUD: HeaderName = HeaderName::from_static("x-jwt-aud");

/// A caller of an open route.
pub struct Visitor {
    /// What acts need to know.
    pub client: Client,
    /// The bearer token, where captchas ask for it.
    bearer: Option<String>,
    limit_key: Option<String>,
}

params! {
    /// What every body may hold besides.
    struct GotrueRequest {
        gotrue_meta_security: GotrueSecurity,
    }
}

params! {
    /// The proof of a solved captcha.
    struct GotrueSecurity {
        captcha_token: String,
    }
}

/// A user with a bearer token.
#[derive(Clone)]
pub struct Caller(pub Arc<Bearer>);

/// An administrator.
#[derive(Clone)]
pub struct Operator(pub Arc<Admin>);

impl FromRequestParts<App> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let claims = parts
            .extensions
            .get::<Caller>()
            .map(|Caller(bearer)| &*bearer.claims);
        Ok(Self {
            client: client(app, parts, claims),
            bearer: Some(&parts.headers)
                .filter(|_| app.config.security.captcha_enabled)
                .and_then(bearer_token)
                .map(str::to_owned),
            limit_key: client_ip::limit_key(
                &parts.headers,
                &app.config.rate_limit,
                &app.config.security,
            ),
        })
    }
}

impl Visitor {
    /// Takes a token from a bucket of the per-client limiters; refuses when it is empty.
    pub fn limit(&self, app: &App, bucket: Bucket) -> Result<()> {
        let Some(key) = &self.limit_key else {
            return Ok(());
        };
        app.limits.take(bucket, key, app.clock.now())
    }

    /// Refuses without a solved captcha, where that is asked for.
    pub async fn check_captcha(&self, app: &App, body: &Body) -> Result<()> {
        if !app.config.security.captcha_enabled {
            return Ok(());
        }
        let said: GotrueRequest = body.json()?;
        let token = &said.gotrue_meta_security.captcha_token;
        captcha::check(app, &self.client, self.bearer.as_deref(), token).await
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match parts.extensions.get::<Self>() {
            Some(caller) => Ok(caller.clone()),
            None => authenticate(app, &parts.headers).await,
        }
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        match parts.extensions.get::<Self>() {
            Some(operator) => Ok(operator.clone()),
            None => administer(app, &parts.headers).await,
        }
    }
}

/// The user whose bearer token this is.
pub async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Caller> {
    Ok(Caller(Arc::new(
        bearer::authenticate(app, required_token(headers)?).await?,
    )))
}

async fn administer(app: &App, headers: &HeaderMap) -> Result<Operator> {
    Ok(Operator(Arc::new(
        bearer::administer(app, required_token(headers)?).await?,
    )))
}

/// Lets only users pass, whatever the path.
pub async fn require_user(State(app): State<App>, request: Request, next: Next) -> Response {
    let caller = authenticate(&app, request.headers()).await;
    admit(caller, request, next).await
}

/// Lets only users pass who are not anonymous, whatever the path.
pub async fn require_somebody(State(app): State<App>, request: Request, next: Next) -> Response {
    let caller = authenticate(&app, request.headers()).await;
    let caller = caller.and_then(|caller| caller.0.require_somebody().map(|()| caller));
    admit(caller, request, next).await
}

/// Lets only administrators pass, whatever the path.
pub async fn require_admin(State(app): State<App>, request: Request, next: Next) -> Response {
    let operator = administer(&app, request.headers()).await;
    admit(operator, request, next).await
}

/// Handlers find in the extensions who was admitted.
async fn admit<C>(caller: Result<C>, mut request: Request, next: Next) -> Response
where
    C: Clone + Send + Sync + 'static,
{
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// The token of `Authorization: Bearer ..`, the scheme in any case.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let line = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = line.split_at_checked("bearer ".len())?;
    // To look at every byte lets the compiler look at many at once.
    let is_token = !token.is_empty()
        && token
            .iter()
            .fold(true, |all, byte| all & byte.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case(b"bearer ") && is_token)
        .then(|| std::str::from_utf8(token).ok())
        .flatten()
}

fn required_token(headers: &HeaderMap) -> Result<&str> {
    bearer_token(headers).ok_or_else(|| {
        unauthorized(
            Code::NoAuthorization,
            "This endpoint requires a valid Bearer token",
        )
    })
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn client(app: &App, parts: &Parts, claims: Option<&BearerClaims>) -> Client {
    let headers = &parts.headers;
    let query = Pairs::parse_lenient(parts.uri.query().unwrap_or_default());
    let redirect_to = app.redirects.choose(
        text(headers, "redirect_to"),
        query.get("redirect_to"),
        text(headers, header::REFERER),
    );
    let user_agent = text(headers, header::USER_AGENT);
    Client {
        aud: audience(app, headers, claims),
        redirect_to: redirect_to.to_owned(),
        external_url: external_url(
            parts,
            &app.config.mailer.external_hosts,
            &app.config.api.external_url,
        ),
        ip: client_ip::of(headers, &parts.extensions, &app.config.security),
        user_agent: Some(user_agent)
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
    }
}

/// The audience that look-ups are limited to (GoTrue's `requestAud`).
fn audience(app: &App, headers: &HeaderMap, claims: Option<&BearerClaims>) -> String {
    let jwt = &app.config.jwt;
    let own = claims
        .filter(|claims| !jwt.admin_roles.contains(&claims.role))
        .and_then(|claims| claims.aud.first())
        .map(String::as_str);
    [text(headers, JWT_AUD), own.unwrap_or_default()]
        .into_iter()
        .find(|aud| !aud.is_empty())
        .unwrap_or(&jwt.aud)
        .to_owned()
}
