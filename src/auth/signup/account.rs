//! The account of a newcomer, from the look for its address to its first session.

use chrono::TimeDelta;
use futures_util::FutureExt as _;
use futures_util::future::{join4, ready};
use serde_json::{Map, Value};

use super::contact::Letter;
use super::{Contact, Password, SignedUp, already_registered, gone};
use crate::app::App;
use crate::auth::grant::{SignIn, issue, provider_trait};
use crate::auth::mailing::{self, Purpose};
use crate::auth::{Client, too_soon};
use crate::clock::Timestamp;
use crate::crypto::pkce::Challenge;
use crate::db::{Conn, transaction};
use crate::error::{Code, Context, OnConstraint, Result, UNEXPECTED_FAILURE};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::flow_state::FlowState;
use crate::models::identity::{EMAIL, Identity};
use crate::models::one_time_token::OneTimeToken;
use crate::models::user::User;

/// Makes an account, or finds the one that its owner has never confirmed.
pub(super) async fn open(
    app: &App,
    client: &Client,
    contact: &Contact,
    password: Password,
    data: Map<String, Value>,
    challenge: Option<&Challenge<'_>>,
) -> Result<SignedUp> {
    let existing = contact.holder(app, client).await?;
    // Before anything is decided, so that time does not tell who has an account.
    let hash = password.hash(app, client).await?;
    if let Some(existing) = existing.as_ref().filter(|user| contact.is_taken(app, user)) {
        return repeated(app, client, existing, contact, data).await;
    }
    let now = app.clock.now();
    let newcomer = existing.is_none().then(|| {
        let mut user = contact.new_user(app, client, data.clone(), now);
        user.encrypted_password = Some(hash);
        user
    });
    // The account as it will be if all goes well: who sends a message is told of it.
    let mut drafted = existing
        .clone()
        .or_else(|| newcomer.clone())
        .ok_or_else(gone)?;
    let identity = adopt(contact, &mut drafted, &data, None, now);
    let letter = contact.letter(app, client, &drafted).await?;

    let conn = app.db.get().await?;
    let tx: &Conn = &conn;
    let signed_up = transaction(tx, async {
        let mut user = match newcomer {
            Some(newcomer) => insert_or_find(app, tx, newcomer).await?,
            // An unconfirmed account is kept as it is: nobody has proven to own it.
            None => User::lock(tx, drafted.id).await?.ok_or_else(gone)?,
        };
        if contact.is_taken(app, &user) {
            return Ok(ready(Ok(Err(user))).boxed());
        }
        let before = user.clone();
        let identity = identity.filter(|identity| identity.user_id == user.id);
        let identity = adopt(contact, &mut user, &data, identity, now);
        let account = Account {
            app,
            client,
            tx,
            contact,
            user,
            before,
            identity,
            now,
        };
        Ok(match &letter {
            None => account.confirm()?.map(|done| done.map(Ok)).boxed(),
            Some(letter) => {
                let asked = account.ask(letter, challenge).await?;
                asked.map(|done| done.map(Ok)).boxed()
            }
        })
    })
    .await?;
    drop(conn);
    let signed_up = match signed_up {
        Err(existing) => return repeated(app, client, &existing, contact, data).await,
        Ok(signed_up) => signed_up,
    };
    match &letter {
        Some(Letter::Mail(stationery)) => stationery
            .post(app)
            .await
            .public("Error sending confirmation email")?,
        Some(Letter::Message(sent)) => sent.settle(app),
        None => {}
    }
    Ok(match signed_up {
        // It is confirmed by its other kind of address, and may be anybody's. GoTrue signs in whoever asks.
        SignedUp::Pending(user) if user.is_owned() => invented(app, client, contact, data),
        signed_up => signed_up,
    })
}

/// Inserts a new account; where another request was quicker with the same address, its account it is.
async fn insert_or_find(app: &App, tx: &Conn, mut user: User) -> Result<User> {
    if user
        .insert(tx)
        .await
        .on_constraint("users_phone_key", || match &app.config.sms {
            sms if sms.autoconfirm => already_registered(),
            // Another request for the same number has sent a message.
            sms => too_soon(Code::OverSmsSendRateLimit, sms.max_frequency),
        })
        .public("Database error saving new user")?
    {
        return Ok(user);
    }
    let winner = User::find_by_email(tx, user.email(), &user.aud)
        .await?
        .ok_or_else(crate::auth::email_exists)?;
    User::lock(tx, winner.id).await?.ok_or_else(gone)
}

/// An account whose row is there, and locked.
struct Account<'a> {
    app: &'a App,
    client: &'a Client,
    tx: &'a Conn,
    contact: &'a Contact,
    /// As it will be.
    user: User,
    /// As it was read.
    before: User,
    /// Its first identity, where that has yet to be written.
    identity: Option<Identity>,
    now: Timestamp,
}

/// Gives the user its identity (`drafted`, where that was shown already), which then says all that is known of a user
/// whom nobody owns. Returns it where it has yet to be written.
fn adopt(
    contact: &Contact,
    user: &mut User,
    data: &Map<String, Value>,
    drafted: Option<Identity>,
    now: Timestamp,
) -> Option<Identity> {
    let provider = contact.provider();
    let mut new = None;
    if user.own_identity(provider).is_none() {
        let identity = drafted.unwrap_or_else(|| contact.first_identity(user, data, now));
        let mut shown = identity.clone();
        // A null in the data stays in the identity's row, and leaves the answer (GoTrue's `UpdateUserMetaData`).
        shown.identity_data.retain(|_, value| !value.is_null());
        if !user.is_owned() {
            user.user_metadata.clone_from(&shown.identity_data);
            user.identities.clear();
        }
        user.identities.push(shown);
        user.derive_providers();
        new = Some(identity);
    }
    // The answer shows no other: whoever asks has proven nothing yet.
    let id = user.id.to_string();
    user.identities
        .retain(|identity| identity.is(provider, &id));
    new
}

impl<'a> Account<'a> {
    /// Confirms the account at once and signs it in: the last writes of its transaction.
    fn confirm(mut self) -> Result<impl Future<Output = Result<SignedUp>> + Send + use<'a>> {
        let Self { app, now, tx, .. } = self;
        let (client, contact) = (self.client, self.contact);
        if self.user.is_banned(now) {
            // No session could be opened.
            return Err(gone());
        }
        contact.confirm(&mut self.user, now);
        let mut confirmed = self.user.clone();
        let mut user = self.user;
        // The answer shows the identity as the user's metadata says it (GoTrue shares the map).
        if let (Contact::Email(_), Some(identity)) = (contact, user.identities.first_mut()) {
            identity
                .identity_data
                .insert("email_verified".into(), true.into());
        }
        let entry =
            |action, traits, at| AuditLogEntry::new(Actor::User(&user), action, traits, "", at);
        let login = provider_trait(contact.provider());
        let sign_in = SignIn {
            method: Method::Password,
            audit: app.audited([
                entry(Action::UserSignedUp, contact.signup_trait(), now),
                entry(Action::Login, login, now + TimeDelta::microseconds(1)),
            ]),
            password: None,
        };
        Ok(async move {
            let (adopted, cleared, saved, grant) = join4(
                write(tx, self.identity.as_ref(), &self.before),
                OneTimeToken::clear_all(tx, user.id),
                confirmed.save(tx, &self.before, now),
                issue(app, tx, client, user, sign_in, now),
            )
            .await;
            adopted?;
            cleared?;
            saved.public("Database error updating user")?;
            let grant = grant?.ok_or_else(gone)?;
            Ok(SignedUp::In(Box::new(grant)))
        })
    }

    /// Asks by mail to confirm the account, or notes by which message that was asked; gives the last write of its
    /// transaction.
    async fn ask(
        mut self,
        letter: &Letter,
        challenge: Option<&Challenge<'_>>,
    ) -> Result<impl Future<Output = Result<SignedUp>> + Send + use<'a>> {
        let Self { app, now, tx, .. } = self;
        let user = &mut self.user;
        write(tx, self.identity.as_ref(), &self.before).await?;
        app.audit(
            tx,
            Actor::User(user),
            Action::UserConfirmationRequested,
            provider_trait(self.contact.provider()),
            now,
        )
        .await?;
        if let Some(challenge) = challenge {
            FlowState::begin(tx, user.id, EMAIL, Method::EmailSignup, challenge, now).await?;
        }
        let failure = match letter {
            Letter::Mail(stationery) => {
                let (purpose, pkce) = (Purpose::Confirmation, challenge.is_some());
                mailing::send_code(app, tx, self.client, stationery, purpose, user, pkce).await?;
                "Error sending confirmation email"
            }
            Letter::Message(sent) => {
                sent.note(app, tx, user).await?;
                UNEXPECTED_FAILURE
            }
        };
        Ok(async move {
            let mut user = self.user;
            user.save(tx, &self.before, now).await.public(failure)?;
            if user.invited_at.is_some() {
                // Who was invited by somebody must not learn what that somebody knows.
                user.user_metadata.clear();
                user.identities.clear();
            }
            Ok(SignedUp::Pending(Box::new(user)))
        })
    }
}

/// Writes the identity, where it has yet to be written; in place of what others have given to an account that nobody
/// owns.
async fn write(tx: &Conn, identity: Option<&Identity>, before: &User) -> Result<()> {
    let Some(identity) = identity else {
        return Ok(());
    };
    let written = if before.is_owned() {
        identity.insert(tx).await
    } else {
        identity.supersede(tx).await
    };
    written.public("Error creating identity")
}

/// Somebody signs up with an address that is taken and confirmed. Where addresses are confirmed at once there is
/// nothing to hide; elsewhere the answer looks like a fresh sign-up.
async fn repeated(
    app: &App,
    client: &Client,
    user: &User,
    contact: &Contact,
    data: Map<String, Value>,
) -> Result<SignedUp> {
    let now = app.clock.now();
    app.audit(
        &*app.db.get().await?,
        Actor::User(user),
        Action::UserRepeatedSignUp,
        provider_trait(contact.provider()),
        now,
    )
    .await?;
    if app.config.mailer.autoconfirm || app.config.sms.autoconfirm {
        return Err(already_registered());
    }
    Ok(invented(app, client, contact, data))
}

/// What looks like a fresh sign-up, and tells nothing of the account that is there.
fn invented(app: &App, client: &Client, contact: &Contact, data: Map<String, Value>) -> SignedUp {
    let now = app.clock.now();
    let mut invented = contact.new_user(app, client, data, now);
    invented.role.clear();
    invented.confirmation_sent_at = Some(now);
    SignedUp::Pending(Box::new(invented))
}
