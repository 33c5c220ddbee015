//! Decisions: one file per thing a person wants, one `pub fn` per act. Only this layer opens transactions and
//! asks the clock; `Err` rolls back, `Ok(Err(refusal))` commits and then refuses.

pub mod address;
pub mod admin;
pub mod audit;
pub mod batches;
pub mod bearer;
pub mod captcha;
pub mod external;
pub mod generate_link;
pub mod grant;
pub mod id_token;
pub mod invite;
pub mod link;
pub mod logout;
pub mod magiclink;
pub mod mailing;
pub mod messaging;
pub mod password;
pub mod pkce;
pub mod policy;
pub mod reauthenticate;
pub mod recover;
pub mod redirect;
pub mod refresh;
pub mod resend;
pub mod signup;
pub mod user;
pub mod verify;

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use crate::clock::Timestamp;
use crate::crypto::pkce::Challenge;
use crate::error::{Code, Error, bad_request, forbidden, too_many_requests, unprocessable};
use crate::models::user::User;

/// What acts need to know of the one who asks.
#[derive(Debug, Clone)]
pub struct Client {
    /// The audience that look-ups are limited to.
    pub aud: String,
    /// Where links of mails lead in the end: allowed by the redirect rules.
    pub redirect_to: String,
    /// The public address of this server, as the links of mails name it.
    pub external_url: Url,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

/// What is said of an address that somebody else has.
const EMAIL_TAKEN: &str = "A user with this email address has already been registered";

fn email_exists() -> Error {
    unprocessable(Code::EmailExists, EMAIL_TAKEN)
}

fn phone_exists() -> Error {
    unprocessable(
        Code::PhoneExists,
        "A user with this phone number has already been registered",
    )
}

pub(crate) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    bad_request(Code::ValidationFailed, message)
}

/// Refuses a mail or message while the last one of its kind is younger than `max_frequency`.
fn check_frequency(
    code: Code,
    max_frequency: Duration,
    sent_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Error> {
    let next = sent_at.map(|sent_at| sent_at + max_frequency);
    match next.filter(|next| *next > now) {
        Some(next) => Err(too_soon(code, (next - now).to_std().unwrap_or_default())),
        None => Ok(()),
    }
}

/// Refuses who is banned.
fn check_ban(user: &User, now: Timestamp) -> Result<(), Error> {
    if user.is_banned(now) {
        return Err(forbidden(Code::UserBanned, "User is banned"));
    }
    Ok(())
}

/// The refusal of a second mail or message, `wait` before it may be asked for.
fn too_soon(code: Code, wait: Duration) -> Error {
    let seconds = wait.as_secs();
    too_many_requests(
        code,
        format!("For security purposes, you can only request this after {seconds} seconds."),
        Some(Duration::from_secs(seconds + 1)),
    )
}

/// Reads the two PKCE parameters of a request; both empty is no PKCE flow.
fn parse_challenge<'a>(challenge: &'a str, method: &str) -> Result<Option<Challenge<'a>>, Error> {
    Challenge::parse(challenge, method).map_err(|error| invalid(error.to_string()))
}
