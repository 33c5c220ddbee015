//! Making a link for somebody without sending it.

use diesel_async::AsyncConnection;
use serde_json::{Map, Value, json};

use super::bearer::Admin;
use super::mailing::action_link;
use super::signup::{self, Contact};
use super::{Client, address, invalid, policy};
use crate::app::App;
use crate::clock::Timestamp;
use crate::config::MailKind;
use crate::crypto::otp;
use crate::db::Conn;
use crate::error::{Code, Context, Error, Result, not_found};
use crate::models::audit_log_entry::{Action, Actor};
use crate::models::identity::Identity;
use crate::models::one_time_token::{OneTimeToken, TokenType};
use crate::models::user::User;

/// What an administrator asks for.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// `signup`, `invite`, `magiclink`, `recovery`, `email_change_current` or `email_change_new`.
    pub kind: String,
    /// Whose link it is.
    pub email: String,
    /// The address to change to.
    pub new_email: String,
    /// The password of a new account.
    pub password: String,
    /// The metadata of a new account.
    pub data: Map<String, Value>,
}

/// A link, and what it is made of.
#[derive(Debug)]
pub struct Link {
    /// Whose it is.
    pub user: User,
    /// The link.
    pub action_link: String,
    /// The code that may be typed instead.
    pub email_otp: String,
    /// The hash of the code with the account's address. That is the hash in the link, except for
    /// `email_change_new`: there, as in GoTrue, only the link itself works.
    pub hashed_token: String,
    /// What kind it turned out to be.
    pub verification_type: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signup,
    Invite,
    MagicLink,
    Recovery,
    EmailChangeCurrent,
    EmailChangeNew,
}

impl Kind {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "signup" => Self::Signup,
            "invite" => Self::Invite,
            "magiclink" => Self::MagicLink,
            "recovery" => Self::Recovery,
            "email_change_current" => Self::EmailChangeCurrent,
            "email_change_new" => Self::EmailChangeNew,
            _ => return None,
        })
    }
}

/// Makes a link; sends nothing, and no frequency limit applies. A magic link for somebody unknown is a sign-up.
pub async fn generate(
    app: &App,
    client: &Client,
    admin: &Admin,
    mut params: Params,
) -> Result<Link> {
    params.email = address::parse_email(&params.email)?;
    let existing = {
        let conn = app.db.get().await?;
        User::find_by_email(&conn, &params.email, &client.aud)
            .await
            .public("Database error finding user")?
    };
    let unsupported = || {
        invalid(format!(
            "Invalid email action link type requested: {}",
            params.kind
        ))
    };
    let asked_for_magic_link = params.kind == "magiclink";
    let kind = match (
        Kind::parse(&params.kind).ok_or_else(unsupported)?,
        &existing,
    ) {
        (Kind::MagicLink, None) => {
            "signup".clone_into(&mut params.kind);
            Kind::Signup
        }
        (Kind::Recovery | Kind::EmailChangeCurrent | Kind::EmailChangeNew, None) => {
            return Err(not_found(
                Code::UserNotFound,
                "User with this email not found",
            ));
        }
        (kind, _) => kind,
    };
    let password = match (kind, &existing) {
        (Kind::Signup, None) if asked_for_magic_link => app.hasher.unusable_hash(),
        (Kind::Signup, None) => new_password(app, &params).await?,
        _ => String::new(),
    };
    if matches!(kind, Kind::EmailChangeCurrent | Kind::EmailChangeNew) {
        check_email_change(app, kind, existing.as_ref(), &mut params).await?;
    }

    let mut conn = app.db.get().await?;
    let code = otp::generate(app.config.mailer.otp_length);
    let (user, hash) = conn
        .transaction::<_, Error, _>(async |tx| {
            let now = app.clock.now();
            let mut user = match &existing {
                Some(existing) => User::lock(tx, existing.id)
                    .await?
                    .ok_or_else(signup::gone)?,
                None => create(app, tx, client, &params, password, now).await?,
            };
            let before = user.clone();
            let hash = note(
                app,
                tx,
                admin,
                &mut user,
                kind,
                &params,
                existing.is_some(),
                &code,
                now,
            )
            .await?;
            user.save(tx, &before, now).await?;
            Ok((user, hash))
        })
        .await?;
    let (mail_kind, link_type) = match kind {
        Kind::Signup => (MailKind::Confirmation, "signup"),
        Kind::Invite => (MailKind::Invite, "invite"),
        Kind::MagicLink => (MailKind::MagicLink, "magiclink"),
        Kind::Recovery => (MailKind::Recovery, "recovery"),
        Kind::EmailChangeCurrent | Kind::EmailChangeNew => (MailKind::EmailChange, "email_change"),
    };
    Ok(Link {
        action_link: action_link(app, client, mail_kind, link_type, &hash),
        hashed_token: otp::token_hash(&params.email, &code),
        email_otp: code,
        verification_type: params.kind,
        user,
    })
}

async fn new_password(app: &App, params: &Params) -> Result<String> {
    if params.password.is_empty() {
        return Err(invalid("Signup requires a valid password"));
    }
    policy::check_password(app, &params.password).await?;
    app.hasher.hash(&params.password, None).await
}

async fn check_email_change(
    app: &App,
    kind: Kind,
    user: Option<&User>,
    params: &mut Params,
) -> Result<()> {
    if kind == Kind::EmailChangeCurrent && !app.config.mailer.secure_email_change_enabled {
        return Err(invalid(
            "Enable secure email change to generate link for current email",
        ));
    }
    params.new_email = address::parse_email(&params.new_email)?;
    let Some(user) = user else { return Ok(()) };
    let own_domains = app.config.experimental.own_linking_domains();
    let mut conn = app.db.get().await?;
    let holder = User::find_holder(
        &mut conn,
        &params.new_email,
        &user.aud,
        Some(user.id),
        &own_domains,
    )
    .await;
    match holder.public("Database error checking email")? {
        None => Ok(()),
        Some(_) => Err(super::email_exists()),
    }
}

async fn create(
    app: &App,
    tx: &mut Conn,
    client: &Client,
    params: &Params,
    password: String,
    now: Timestamp,
) -> Result<User> {
    let mut user =
        Contact::Email(params.email.clone()).new_user(app, client, params.data.clone(), now);
    user.encrypted_password = Some(password);
    if !user
        .insert(tx)
        .await
        .public("Database error saving new user")?
    {
        return Err(super::email_exists());
    }
    let identity = Identity::of_email(user.id, user.email(), false, now);
    identity
        .insert(tx)
        .await
        .public("Error creating identity")?;
    user.identities = vec![identity];
    Ok(user)
}

/// Notes the code on the user, as the mail would have; gives the hash for the link.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of the act above, which holds all of these"
)]
async fn note(
    app: &App,
    tx: &mut Conn,
    admin: &Admin,
    user: &mut User,
    kind: Kind,
    params: &Params,
    existed: bool,
    code: &str,
    now: Timestamp,
) -> Result<String> {
    let recipient = if kind == Kind::EmailChangeNew {
        &params.new_email
    } else {
        &params.email
    };
    let hash = otp::token_hash(recipient, code);
    let token_type = match kind {
        Kind::MagicLink | Kind::Recovery => {
            app.audit(
                tx,
                Actor::User(user),
                Action::UserRecoveryRequested,
                None,
                now,
            )
            .await?;
            user.recovery_token.clone_from(&hash);
            user.recovery_sent_at = Some(now);
            TokenType::Recovery
        }
        Kind::Invite | Kind::Signup => {
            if existed && user.is_confirmed() {
                return Err(super::email_exists());
            }
            if kind == Kind::Invite {
                let traits = json!({ "user_id": user.id, "user_email": user.email() });
                app.audit(
                    tx,
                    Actor::Admin(&admin.role),
                    Action::UserInvited,
                    Some(traits),
                    now,
                )
                .await?;
                user.invited_at = Some(now);
            } else if existed {
                user.merge_user_metadata(params.data.clone());
            }
            user.confirmation_token.clone_from(&hash);
            user.confirmation_sent_at = Some(now);
            TokenType::Confirmation
        }
        Kind::EmailChangeCurrent | Kind::EmailChangeNew => {
            user.email_change_sent_at = Some(now);
            user.email_change.clone_from(&params.new_email);
            user.email_change_confirm_status = 0;
            // The other half of a change that is under way stays alive, whatever has voided its row meanwhile.
            if kind == Kind::EmailChangeNew {
                user.email_change_token_new.clone_from(&hash);
                let (other, current) = (
                    &user.email_change_token_current,
                    TokenType::EmailChangeCurrent,
                );
                if !other.is_empty() {
                    OneTimeToken::replace(tx, user.id, current, user.email(), other, now).await?;
                }
                TokenType::EmailChangeNew
            } else {
                user.email_change_token_current.clone_from(&hash);
                let (other, new) = (&user.email_change_token_new, TokenType::EmailChangeNew);
                if !other.is_empty() {
                    OneTimeToken::replace(tx, user.id, new, &params.new_email, other, now).await?;
                }
                TokenType::EmailChangeCurrent
            }
        }
    };
    OneTimeToken::replace(tx, user.id, token_type, recipient, &hash, now).await?;
    Ok(hash)
}
