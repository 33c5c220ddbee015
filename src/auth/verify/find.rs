//! Whose a proof is.

use super::{Kind, Proof};
use crate::app::App;
use crate::auth::{Client, address, check_ban, invalid, messaging};
use crate::clock::Timestamp;
use crate::crypto::otp;
use crate::db::Conn;
use crate::error::{Code, Context, Error, Result, forbidden, unprocessable};
use crate::models::one_time_token::{OneTimeToken, TokenType};
use crate::models::user::User;

fn link_expired() -> Error {
    forbidden(Code::OtpExpired, "Email link is invalid or has expired")
}

pub(super) fn code_expired() -> Error {
    forbidden(Code::OtpExpired, "Token has expired or is invalid")
}

/// The user that a proof is about, locked, with the hash and the kind that it turned out to be.
pub(super) async fn find(
    app: &App,
    tx: &mut Conn,
    client: &Client,
    kind: Kind,
    proof: &Proof,
    vouched: bool,
    now: Timestamp,
) -> Result<(User, String, Kind)> {
    match proof {
        Proof::Hash(hash) => find_by_hash(app, tx, kind, hash, now).await,
        Proof::EmailCode { email, code } => {
            let email = address::parse_email(email)
                .map_err(|_| unprocessable(Code::ValidationFailed, "Invalid email format"))?;
            find_by_code(app, tx, client, kind, &email, code, now).await
        }
        Proof::PhoneCode { phone, code } => {
            let phone = address::parse_phone(phone)?;
            let hash = otp::token_hash(&phone, code);
            find_by_phone_code(app, tx, client, kind, &phone, hash, vouched, now).await
        }
    }
}

/// Whether somebody vouches for a code by text message, so that it need not be the one that we noted: numbers of tests
/// have a fixed one, and some providers make and check codes themselves. To ask those may take seconds.
pub(super) async fn vouched_for(
    app: &App,
    client: &Client,
    kind: Kind,
    proof: &Proof,
) -> Result<bool> {
    let Proof::PhoneCode { phone, code } = proof else {
        return Ok(false);
    };
    let phone = address::parse_phone(phone)?;
    let now = app.clock.now();
    if app.config.sms.test_otp(&phone, now) == Some(code) {
        return Ok(true);
    }
    if app.hooks.send_sms.is_some() || !app.sms.checks_codes() {
        return Ok(false);
    }
    let hash = otp::token_hash(&phone, code);
    let user = {
        let mut conn = app.db.get().await?;
        holder(&mut conn, client, kind, &phone, &hash).await?
    };
    check_ban(&user, now)?;
    messaging::check_code(app, &phone, code).await?;
    Ok(true)
}

/// Who has this number, or waits for it.
async fn holder(
    conn: &mut Conn,
    client: &Client,
    kind: Kind,
    phone: &str,
    hash: &str,
) -> Result<User> {
    let found = match kind {
        Kind::Sms => User::find_by_phone(conn, phone, &client.aud).await,
        Kind::PhoneChange => User::find_by_phone_change(conn, phone, hash, &client.aud).await,
        _ => Ok(None),
    };
    found
        .public("Database error finding user")?
        .ok_or_else(code_expired)
}

#[expect(
    clippy::too_many_arguments,
    reason = "whose number, which code, and who vouches for it"
)]
async fn find_by_phone_code(
    app: &App,
    tx: &mut Conn,
    client: &Client,
    kind: Kind,
    phone: &str,
    hash: String,
    vouched: bool,
    now: Timestamp,
) -> Result<(User, String, Kind)> {
    let found = match holder(tx, client, kind, phone, &hash).await {
        Err(Error::Refused(_)) if vouched && kind == Kind::PhoneChange => {
            User::find_by_phone_change_alone(tx, phone, &client.aud)
                .await
                .public("Database error finding user")?
                .ok_or_else(code_expired)?
        }
        found => found?,
    };
    let user = User::lock(tx, found.id).await?.ok_or_else(code_expired)?;
    check_ban(&user, now)?;
    let (number, stored, sent_at) = match kind {
        Kind::PhoneChange => (
            user.phone_change.as_str(),
            &user.phone_change_token,
            user.phone_change_sent_at,
        ),
        _ => (
            user.phone(),
            &user.confirmation_token,
            user.confirmation_sent_at,
        ),
    };
    let lifetime = *app.config.sms.otp_exp;
    let fits = otp::matches(&hash, stored)
        && sent_at.is_some_and(|sent_at| !otp::is_expired(sent_at, lifetime, now));
    // While this request waited for the lock, the number may have become another's.
    if number != phone || !(vouched || fits) {
        return Err(code_expired());
    }
    Ok((user, hash, kind))
}

/// The columns of a user that may hold the hash of this kind, with when it was sent and what kind it then is.
fn outstanding(user: &User, kind: Kind) -> Vec<(&str, Option<Timestamp>, Kind)> {
    let confirmation = |kind| {
        (
            user.confirmation_token.as_str(),
            user.confirmation_sent_at,
            kind,
        )
    };
    let recovery = |kind| (user.recovery_token.as_str(), user.recovery_sent_at, kind);
    match kind {
        Kind::Signup | Kind::Invite => vec![confirmation(kind)],
        Kind::Recovery | Kind::MagicLink => vec![recovery(kind)],
        Kind::Email => vec![confirmation(Kind::Signup), recovery(Kind::MagicLink)],
        Kind::EmailChange => vec![
            (
                user.email_change_token_current.as_str(),
                user.email_change_sent_at,
                kind,
            ),
            (
                user.email_change_token_new.as_str(),
                user.email_change_sent_at,
                kind,
            ),
        ],
        Kind::Sms | Kind::PhoneChange => Vec::new(),
    }
}

async fn find_by_hash(
    app: &App,
    tx: &mut Conn,
    kind: Kind,
    hash: &str,
    now: Timestamp,
) -> Result<(User, String, Kind)> {
    let token_types = match kind {
        Kind::Signup | Kind::Invite => [TokenType::Confirmation; 2],
        Kind::Recovery | Kind::MagicLink => [TokenType::Recovery; 2],
        Kind::Email => [TokenType::Confirmation, TokenType::Recovery],
        Kind::EmailChange => [TokenType::EmailChangeCurrent, TokenType::EmailChangeNew],
        Kind::Sms | Kind::PhoneChange => return Err(invalid("Invalid email verification type")),
    };
    let found = OneTimeToken::lock_user(tx, hash, token_types)
        .await
        .public("Database error finding user from email link")?;
    let user = found.ok_or_else(link_expired)?;
    check_ban(&user, now)?;
    // Another request may have spent the token while this one waited for the lock: the column knows.
    let Some((_, sent_at, kind)) = outstanding(&user, kind)
        .into_iter()
        .find(|(stored, ..)| *stored == hash)
    else {
        return Err(link_expired());
    };
    if sent_at.is_none_or(|sent_at| otp::is_expired(sent_at, *app.config.mailer.otp_exp, now)) {
        return Err(link_expired());
    }
    Ok((user, hash.to_owned(), kind))
}

async fn find_by_code(
    app: &App,
    tx: &mut Conn,
    client: &Client,
    kind: Kind,
    email: &str,
    code: &str,
    now: Timestamp,
) -> Result<(User, String, Kind)> {
    let hash = otp::token_hash(email, code);
    let user = if kind == Kind::EmailChange {
        find_for_email_change(app, tx, client, email, &hash).await
    } else {
        match User::find_by_email(tx, email, &client.aud).await {
            Ok(Some(user)) => User::lock(tx, user.id).await,
            other => other,
        }
    };
    let user = user
        .public("Database error finding user")?
        .ok_or_else(code_expired)?;
    check_ban(&user, now)?;
    let matching = outstanding(&user, kind)
        .into_iter()
        .find(|(stored, sent_at, _)| {
            otp::matches(&hash, stored)
                && sent_at.is_some_and(|sent_at| {
                    !otp::is_expired(sent_at, *app.config.mailer.otp_exp, now)
                })
        });
    let (stored, _, kind) = matching.ok_or_else(code_expired)?;
    let stored = stored.to_owned();
    Ok((user, stored, kind))
}

/// The user who changes an e-mail address and was sent this code, in either flow.
async fn find_for_email_change(
    app: &App,
    tx: &mut Conn,
    client: &Client,
    email: &str,
    hash: &str,
) -> diesel::QueryResult<Option<User>> {
    let token_types = if app.config.mailer.secure_email_change_enabled {
        [TokenType::EmailChangeCurrent, TokenType::EmailChangeNew]
    } else {
        [TokenType::EmailChangeNew; 2]
    };
    for hash in [hash.to_owned(), format!("pkce_{hash}")] {
        if let Some(user) = OneTimeToken::lock_user(tx, &hash, token_types).await? {
            let own =
                user.aud == client.aud && (user.email() == email || user.email_change == email);
            return Ok(own.then_some(user));
        }
    }
    Ok(None)
}
