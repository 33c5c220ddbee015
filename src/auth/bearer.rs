//! Who is calling: a user with a bearer token, or an administrator.

use std::sync::Arc;

use uuid::Uuid;

use super::check_ban;
use crate::app::App;
use crate::crypto::jwt::BearerClaims;
use crate::error::{Code, Error, Result, bad_request, forbidden};
use crate::models::session::{Lifetime, Named, Session};
use crate::models::user::User;

/// A user who calls, proven by a token.
#[derive(Debug)]
pub struct Bearer {
    /// What the token says.
    pub claims: Arc<BearerClaims>,
    /// Whose it is.
    pub user: User,
    /// The session it names; none for tokens without `session_id`.
    pub session: Option<Session>,
}

impl Bearer {
    /// Refuses anonymous users, as their token says: who has given an address meanwhile refreshes first.
    pub fn require_somebody(&self) -> Result<()> {
        if self.claims.is_anonymous {
            return Err(forbidden(
                Code::NoAuthorization,
                "Anonymous user not allowed to perform these actions",
            ));
        }
        Ok(())
    }
}

/// Someone with the rights of an administrator.
#[derive(Debug)]
pub struct Admin {
    /// The role that the token carries; stands for a name in the audit log.
    pub role: String,
}

/// Reads a token and checks its signature and times; says nothing about the user.
pub fn verify(app: &App, token: &str) -> Result<Arc<BearerClaims>> {
    app.keys.verify(token, app.clock.now()).map_err(|error| {
        forbidden(
            Code::BadJwt,
            format!("invalid JWT: unable to parse or verify signature, {error}"),
        )
    })
}

/// Recognises a user: the token must name a user who exists and is not banned, and a session that lives.
pub async fn authenticate(app: &App, token: &str) -> Result<Bearer> {
    let claims = verify(app, token)?;
    let user_id = subject(&claims)?;
    let session_id = session_id(&claims)?;
    let (user, session) = find(app, user_id, session_id).await?;
    if session_id.is_some() && session.is_none() {
        return Err(forbidden(
            Code::SessionNotFound,
            "Session from session_id claim in JWT does not exist",
        ));
    }
    check_ban(&user, app.clock.now())?;
    Ok(Bearer {
        claims,
        user,
        session,
    })
}

/// Recognises an administrator by the token's role. A token with a session counts only while that session lives.
pub async fn administer(app: &App, token: &str) -> Result<Admin> {
    let claims = verify(app, token)?;
    if !app.config.jwt.admin_roles.contains(&claims.role) {
        return Err(forbidden(Code::NotAdmin, "User not allowed"));
    }
    let Some(session_id) = session_id(&claims)? else {
        return Ok(Admin {
            role: claims.role.clone(),
        });
    };
    let user_id = subject(&claims)?;
    let (user, session) = find(app, user_id, Some(session_id)).await?;
    let Some(session) = session else {
        return Err(forbidden(
            Code::SessionNotFound,
            "Session from session_id claim in JWT does not exist",
        ));
    };
    check_ban(&user, app.clock.now())?;
    if session
        .expired(&lifetime(app), user.has_mfa(), None, app.clock.now())
        .is_some()
    {
        return Err(forbidden(
            Code::SessionExpired,
            "Session is no longer valid",
        ));
    }
    Ok(Admin {
        role: claims.role.clone(),
    })
}

async fn find(
    app: &App,
    user_id: Uuid,
    session_id: Option<Uuid>,
) -> Result<(User, Option<Session>)> {
    let named = Named {
        user_id,
        session_id,
    };
    match app.batches.bearers.ask(named).await? {
        Some(bearer) => Ok((bearer.user, bearer.session)),
        None => Err(forbidden(
            Code::UserNotFound,
            "User from sub claim in JWT does not exist",
        )),
    }
}

/// How long sessions may live, by configuration.
#[must_use]
pub fn lifetime(app: &App) -> Lifetime {
    let sessions = &app.config.sessions;
    Lifetime {
        timebox: sessions.timebox,
        inactivity_timeout: sessions.inactivity_timeout,
        allow_low_aal: sessions.allow_low_aal,
    }
}

fn subject(claims: &BearerClaims) -> Result<Uuid, Error> {
    if claims.sub.is_empty() {
        return Err(forbidden(Code::BadJwt, "invalid claim: missing sub claim"));
    }
    Uuid::try_parse(&claims.sub)
        .map_err(|_| bad_request(Code::BadJwt, "invalid claim: sub claim must be a UUID"))
}

fn session_id(claims: &BearerClaims) -> Result<Option<Uuid>, Error> {
    if claims.session_id.is_empty() {
        return Ok(None);
    }
    let id = Uuid::try_parse(&claims.session_id).map_err(|_| {
        forbidden(
            Code::BadJwt,
            "invalid claim: session_id claim must be a UUID",
        )
    })?;
    Ok((!id.is_nil()).then_some(id))
}
