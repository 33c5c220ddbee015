//! Signing up with an e-mail address, with a phone number, or as nobody yet.

use serde_json::{Map, Value};

use super::grant::{Grant, SignIn, issue};
use super::{Client, address, invalid, parse_challenge, policy};
use crate::app::App;
use crate::db::{Conn, transaction};
use crate::error::{Code, Context, Error, Result, UNEXPECTED_FAILURE, failed, unprocessable};
use crate::models::amr_claim::Method;
use crate::models::user::User;

mod account;
mod contact;

pub(super) use contact::Contact;

/// What a newcomer sends.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// An e-mail address, or "".
    pub email: String,
    /// A phone number, or "".
    pub phone: String,
    /// The password.
    pub password: Password,
    /// Becomes `user_metadata`.
    pub data: Map<String, Value>,
    /// `sms` or `whatsapp`, for phones.
    pub channel: String,
    /// The PKCE challenge, or "".
    pub code_challenge: String,
    /// Its method, or "".
    pub code_challenge_method: String,
}

/// The password of a newcomer.
#[derive(Debug, Clone, Default)]
pub enum Password {
    /// Who signs in by links has none: no password fits.
    #[default]
    Nobodys,
    /// The newcomer's choice.
    Chosen(String),
}

impl Password {
    async fn hash(&self, app: &App, client: &Client) -> Result<String> {
        match self {
            Self::Nobodys => Ok(app.hasher.unusable_hash()),
            Self::Chosen(password) => app.hasher.hash(password, client.ip).await,
        }
    }
}

/// What comes of a sign-up.
#[derive(Debug)]
pub enum SignedUp {
    /// Confirmed at once, and signed in.
    In(Box<Grant>),
    /// The address has yet to be confirmed; or nobody may learn that it is taken, and this user is made up.
    Pending(Box<User>),
}

/// Signs up with an e-mail address or a phone number.
pub async fn sign_up(app: &App, client: &Client, params: Params) -> Result<SignedUp> {
    if app.config.disable_signup {
        return Err(signup_disabled());
    }
    if let Password::Chosen(password) = &params.password {
        if password.is_empty() {
            return Err(invalid("Signup requires a valid password"));
        }
        policy::check_password(app, password).await?;
    }
    if !params.email.is_empty() && !params.phone.is_empty() {
        return Err(invalid(
            "Only an email address or phone number should be provided on signup.",
        ));
    }
    let channel = if params.phone.is_empty() {
        String::new()
    } else {
        address::parse_channel(app, &params.channel)?
    };
    if !params.phone.is_empty() && !params.code_challenge.is_empty() {
        return Err(invalid("PKCE not supported for phone signups"));
    }
    let challenge = parse_challenge(&params.code_challenge, &params.code_challenge_method)?;
    let contact = Contact::parse(app, &params.email, &params.phone, channel)?;
    let opened = account::open(
        app,
        client,
        &contact,
        params.password,
        params.data,
        challenge.as_ref(),
    );
    Box::pin(opened).await
}

/// Signs in as nobody yet.
pub async fn sign_up_anonymously(
    app: &App,
    client: &Client,
    data: Map<String, Value>,
) -> Result<Grant> {
    if app.config.disable_signup {
        return Err(signup_disabled());
    }
    let now = app.clock.now();
    let mut user = User::new(&client.aud, None, None, now);
    user.is_anonymous = true;
    user.encrypted_password = Some(String::new());
    user.role.clone_from(&app.config.jwt.default_group_name);
    user.user_metadata = data;
    let sign_in = SignIn {
        method: Method::Anonymous,
        audit: Vec::new(),
        password: None,
    };
    let conn = app.db.get().await?;
    let tx: &Conn = &conn;
    transaction(tx, async {
        user.insert(tx).await?;
        if user.is_banned(now) {
            // No session could be opened.
            return Err(gone());
        }
        Ok(async move {
            let grant = issue(app, tx, client, user, sign_in, now).await?;
            grant.ok_or_else(gone)
        })
    })
    .await
    .public("Database error creating anonymous user")
}

pub(super) fn signup_disabled() -> Error {
    unprocessable(
        Code::SignupDisabled,
        "Signups not allowed for this instance",
    )
}

fn already_registered() -> Error {
    unprocessable(Code::UserAlreadyExists, "User already registered")
}

/// The account has gone between two looks at it.
pub(super) fn gone() -> Error {
    failed(UNEXPECTED_FAILURE, anyhow::anyhow!("the user has gone"))
}
