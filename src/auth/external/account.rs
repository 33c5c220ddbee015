//! The account of a person whom a provider has identified: found, linked or made, and signed in to, in one transaction.

use diesel::QueryResult;
use futures_util::FutureExt as _;
use futures_util::future::{join, join4, try_join_all};
use serde_json::{Value, json};
use uuid::Uuid;

use super::decision::{Decision, Newcomer};
use super::{Arrived, Person, already_used};
use crate::app::App;
use crate::auth::grant::{SignIn, issue, provider_trait};
use crate::auth::mailing::{self, Notice, Purpose, Stationery};
use crate::auth::{Client, signup};
use crate::clock::Timestamp;
use crate::config::{DEFAULT_LINKING_DOMAIN, MailKind};
use crate::db::{Conn, transaction};
use crate::error::{
    Code, Context, Error, OnConstraint, Result, conflict, failed, forbidden, unprocessable,
};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::flow_state::Detour;
use crate::models::identity::{Identity, object};
use crate::models::one_time_token::OneTimeToken;
use crate::models::session::{Scope, Session};
use crate::models::user::User;
use crate::outside::providers::Tokens;

mod invited;
mod linked;

/// What a person comes for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Errand<'a> {
    /// To sign in.
    SignIn,
    /// To accept the invitation with this token.
    Accept(&'a str),
    /// To add the identity to this user's account.
    LinkTo(Uuid),
}

/// The way that the person has come, and what the provider gave for it.
pub(super) struct Way<'a> {
    pub detour: &'a Detour,
    pub tokens: &'a Tokens,
}

/// Finds or makes the person's account, and signs in to it.
pub(super) async fn settle(
    app: &App,
    client: &Client,
    person: &Person<'_>,
    errand: Errand<'_>,
    way: Option<&Way<'_>>,
) -> Result<Arrived> {
    match attempt(app, client, person, errand, way).boxed().await {
        // Somebody was quicker with the same identity or address, and by now it is known whose that is.
        Err(error) if error.code() == Some(Code::Conflict) => {
            attempt(app, client, person, errand, way).boxed().await
        }
        settled => settled,
    }
}

async fn attempt(
    app: &App,
    client: &Client,
    person: &Person<'_>,
    errand: Errand<'_>,
    way: Option<&Way<'_>>,
) -> Result<Arrived> {
    let letters = Letters::fetch(app, person, errand).await?;
    let conn = app.db.get().await?;
    let tx: &Conn = &conn;
    let act = Act {
        app,
        client,
        tx,
        person,
        letters: &letters,
        now: app.clock.now(),
    };
    let settled = transaction(tx, async {
        let account = async {
            match errand {
                Errand::SignIn => act.find_or_make().await,
                Errand::Accept(token) => invited::accept(&act, token).await,
                Errand::LinkTo(user_id) => linked::link(&act, user_id).await,
            }
        };
        let (claimed, account) = join(claim(tx, way), account).await;
        claimed?;
        Ok(account?.write(&act, way))
    })
    .await?;
    drop(conn);
    if let Some(confirmation) = &letters.confirmation {
        confirmation
            .post(app)
            .await
            .public("Error sending confirmation email")?;
    }
    app.mailer.wake();
    settled
}

/// Makes sure that nobody else has come the same way.
async fn claim(tx: &Conn, way: Option<&Way<'_>>) -> Result<()> {
    let Some(way) = way else { return Ok(()) };
    match way.detour.lock(tx).await? {
        Some(None) => Ok(()),
        _ => Err(already_used()),
    }
}

/// What may have to be written to the person; fetched before the transaction begins.
struct Letters {
    /// Where the provider does not vouch for the address.
    confirmation: Option<Stationery>,
    linked: Notice,
}

impl Letters {
    async fn fetch(app: &App, person: &Person<'_>, errand: Errand<'_>) -> Result<Self> {
        let claims = &person.profile.claims;
        let confirmation = if claims.email_verified || claims.email.is_empty() {
            None
        } else {
            Some(mailing::prepare(app, Purpose::Confirmation, &claims.email).await?)
        };
        let linked = match errand {
            Errand::LinkTo(_) => mailing::notice(app, MailKind::IdentityLinkedNotification).await,
            Errand::SignIn | Errand::Accept(_) => Notice::none(),
        };
        Ok(Self {
            confirmation,
            linked,
        })
    }
}

/// What every step of the transaction needs.
struct Act<'a> {
    app: &'a App,
    client: &'a Client,
    tx: &'a Conn,
    person: &'a Person<'a>,
    letters: &'a Letters,
    now: Timestamp,
}

/// An account whose row is there, and locked.
struct Account {
    /// As it was read.
    before: User,
    /// As it will be.
    user: User,
    /// The identity that the person has come with.
    identity: Identity,
    /// Whether that identity is yet to be inserted.
    is_new: bool,
    cleaning: Cleaning,
    audit: Vec<AuditLogEntry>,
    /// Why the person is not signed in although all this is written.
    refusal: Option<Error>,
}

/// What goes, because the person must not share it with whoever has it.
#[derive(Debug, Clone, Copy, Default)]
struct Cleaning {
    /// Codes and links that are under way.
    tokens: bool,
    /// All other identities.
    identities: bool,
    /// Sessions and second factors.
    access: bool,
}

impl Act<'_> {
    /// The person's account, found by identity or verified address, or else made.
    async fn find_or_make(&self) -> Result<Account> {
        let Self {
            app,
            tx,
            person,
            now,
            ..
        } = self;
        let claims = &person.profile.claims;
        let domains = &app.config.experimental.provider_linking_domains;
        let newcomer = Newcomer {
            provider: person.provider,
            sub: &claims.sub,
            emails: &person.profile.emails,
            aud: &self.client.aud,
            trusts_all: app.config.mailer.autoconfirm,
        };
        let contacts = newcomer.contacts();
        let acquainted = User::find_acquainted(tx, person.provider, &claims.sub, &contacts)
            .await
            .public("Database error finding user")?;
        let mut decision = newcomer.decide(domains, acquainted);
        if let Decision::Known(user) | Decision::Link(user) = &decision {
            // Once more under its lock: what it was found by may have gone meanwhile.
            let locked = User::lock(tx, user.id)
                .await
                .public("Database error finding user")?;
            decision = newcomer.decide(domains, locked.into_iter().collect());
            if matches!(decision, Decision::New { .. }) {
                return Err(raced());
            }
        }
        let was_linked = matches!(decision, Decision::Link(_));
        let mut account = match decision {
            Decision::Known(user) => Account::renewed(*user, person, *now)?,
            Decision::Link(user) => self.linked(*user),
            Decision::New { email } => self.made(email, domains.of(person.provider)).await?,
            Decision::Several => {
                let domain = domains.of(person.provider);
                let message = format!(
                    "Multiple accounts with the same email address in the same linking domain detected: {domain}"
                );
                let cause = anyhow::anyhow!("{} of {}", claims.sub, person.provider);
                return Err(failed(message, cause));
            }
        };
        if account.user.is_banned(*now) {
            return Err(forbidden(Code::UserBanned, "User is banned"));
        }
        let email = account.user.email().to_owned();
        let comes_without = person.email_optional && email.is_empty();
        if account.user.is_confirmed() || comes_without {
            account.note(self, Action::Login, provider_trait(person.provider));
        } else {
            account.forget_the_unconfirmed(was_linked);
            if newcomer.owns(&email) {
                account.note(self, Action::UserSignedUp, provider_trait(person.provider));
                account.confirm(*now);
            } else {
                self.ask_to_confirm(&mut account, &email).await?;
            }
        }
        Ok(account)
    }

    /// The account of somebody with the same verified address.
    fn linked(&self, user: User) -> Account {
        let mut account = Account::with_new_identity(user, self.person, self.now);
        account
            .user
            .merge_user_metadata(self.person.identity_data());
        account.note_link(self);
        account
    }

    /// A new account. One whose provider is not of the default domain may have an address that another one has.
    async fn made(&self, email: Option<String>, domain: &str) -> Result<Account> {
        let Self {
            app,
            tx,
            person,
            now,
            ..
        } = self;
        if app.config.disable_signup {
            return Err(signup::signup_disabled());
        }
        let mut user = User::new(&self.client.aud, email, None, *now);
        user.is_sso_user = domain != DEFAULT_LINKING_DOMAIN;
        user.role.clone_from(&app.config.jwt.default_group_name);
        let provider = person.provider;
        user.app_metadata = object(json!({ "provider": provider, "providers": [provider] }));
        user.user_metadata = person.identity_data();
        if !user
            .insert(tx)
            .await
            .public("Database error saving new user")?
        {
            return Err(raced());
        }
        Ok(Account::with_new_identity(user, person, *now))
    }

    /// The provider does not vouch for the address: a mail asks, and the person is let in only where settings say so.
    async fn ask_to_confirm(&self, account: &mut Account, email: &str) -> Result<()> {
        let provider = self.person.provider;
        let mut message = format!(
            "Unverified email with {provider}. Verify the email with {provider} in order to sign in"
        );
        if !email.is_empty() {
            self.mail_confirmation(account).await?;
            message = unverified(provider);
        }
        if !self.app.config.mailer.allow_unverified_email_sign_ins {
            let refusal = unprocessable(Code::ProviderEmailNeedsVerification, message);
            account.refusal = Some(refusal);
        }
        Ok(())
    }

    async fn mail_confirmation(&self, account: &mut Account) -> Result<()> {
        let Self {
            app, client, tx, ..
        } = self;
        let email = account.user.email().to_owned();
        let fetched;
        let stationery = match &self.letters.confirmation {
            Some(stationery) => stationery,
            None => {
                // The account's own address: the provider names another one by now.
                fetched = mailing::prepare(app, Purpose::Confirmation, &email).await?;
                &fetched
            }
        };
        let purpose = Purpose::Confirmation;
        mailing::send_code(
            app,
            tx,
            client,
            stationery,
            purpose,
            &mut account.user,
            false,
        )
        .await
    }
}

/// What is said to somebody who has to confirm an address first.
fn unverified(provider: &str) -> String {
    format!(
        "Unverified email with {provider}. A confirmation email has been sent to your {provider} email"
    )
}

/// Somebody else has done the same at the same time.
fn raced() -> Error {
    conflict(
        Code::Conflict,
        "Too many concurrent sign-ins with the same identity",
    )
}

impl Account {
    /// The account of somebody who has been here before, with what the provider says now.
    fn renewed(before: User, person: &Person<'_>, now: Timestamp) -> Result<Self> {
        let mut user = before.clone();
        let own = user.identities.iter_mut().find(|own| {
            own.provider == person.provider && own.provider_id == person.profile.claims.sub
        });
        let own = own.ok_or_else(raced)?;
        own.renew(person.identity_data(), now);
        let identity = own.clone();
        user.merge_user_metadata(person.identity_data());
        user.derive_providers();
        Ok(Self::new(before, user, identity, false))
    }

    /// An account to which the identity is added.
    fn with_new_identity(before: User, person: &Person<'_>, now: Timestamp) -> Self {
        let mut user = before.clone();
        let identity = Identity::new(user.id, person.provider, person.identity_data(), now);
        user.identities.push(identity.clone());
        user.derive_providers();
        Self::new(before, user, identity, true)
    }

    const fn new(before: User, user: User, identity: Identity, is_new: bool) -> Self {
        Self {
            before,
            user,
            identity,
            is_new,
            cleaning: Cleaning {
                tokens: false,
                identities: false,
                access: false,
            },
            audit: Vec::new(),
            refusal: None,
        }
    }

    fn note(&mut self, act: &Act<'_>, action: Action, traits: Option<Value>) {
        let entry = AuditLogEntry::new(Actor::User(&self.user), action, traits, "", act.now);
        self.audit.extend(act.app.audited([entry]));
    }

    fn note_link(&mut self, act: &Act<'_>) {
        let Identity {
            id,
            provider,
            provider_id,
            ..
        } = &self.identity;
        let traits = json!({ "identity_id": id, "provider": provider, "provider_id": provider_id });
        let ip = act.client.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let actor = Actor::User(&self.user);
        let entry = AuditLogEntry::new(actor, Action::IdentityLinked, Some(traits), &ip, act.now);
        self.audit.extend(act.app.audited([entry]));
    }

    /// Somebody else may have prepared this account for the owner of its address: what they know or hold opens it no
    /// more (GoTrue's `RemoveUnconfirmedIdentities`; where an identity is added, all that such a person could have).
    fn forget_the_unconfirmed(&mut self, identity_is_added: bool) {
        let Self {
            user,
            identity,
            cleaning,
            ..
        } = self;
        user.encrypted_password = None;
        user.user_metadata.clone_from(&identity.identity_data);
        cleaning.identities = user.identities.len() > 1;
        user.identities.retain(|kept| kept.id == identity.id);
        user.derive_providers();
        if identity_is_added {
            user.phone = None;
            user.phone_confirmed_at = None;
            user.factors.clear();
            user.void_tokens();
            cleaning.access = true;
        }
    }

    fn confirm(&mut self, now: Timestamp) {
        self.user.confirm(now);
        self.cleaning.tokens = true;
    }

    /// Writes everything, and signs the person in: the last writes of the transaction. `Err` within is a refusal that
    /// commits.
    async fn write(self, act: &Act<'_>, way: Option<&Way<'_>>) -> Result<Result<Arrived>> {
        let (tx, now) = (act.tx, act.now);
        let mut saved = self.user.clone();
        let identity = &self.identity;
        let (recognised, cleaned, saved, arrived) = join4(
            async {
                if self.is_new {
                    identity.insert(tx).await
                } else {
                    identity.write_data(tx).await
                }
            },
            self.cleaning.write(tx, identity),
            saved.save(tx, &self.before, now),
            act.end(self.user, self.audit, self.refusal, way),
        )
        .await;
        recognised
            .on_constraint("identities_provider_id_provider_unique", raced)
            .public("Error creating identity")?;
        cleaned?;
        saved
            .on_constraint("users_email_partial_key", raced)
            .public("Database error updating user")?;
        arrived
    }
}

impl Cleaning {
    async fn write(self, tx: &Conn, identity: &Identity) -> Result<()> {
        let user_id = identity.user_id;
        let (tokens, identities, sessions, factors) = join4(
            when(self.tokens, OneTimeToken::clear_all(tx, user_id)),
            when(self.identities, identity.delete_others(tx)),
            when(
                self.access,
                Session::sign_out(tx, user_id, Scope::Global, None, &[]),
            ),
            when(self.access, User::delete_factors(tx, user_id)),
        )
        .await;
        tokens.and(identities).and(sessions).and(factors)
    }
}

async fn when(wanted: bool, write: impl Future<Output = QueryResult<()>>) -> Result<()> {
    if wanted {
        write.await.public("Error updating user")?;
    }
    Ok(())
}

impl Act<'_> {
    /// What the person came for: a session, or the code for one.
    async fn end(
        &self,
        user: User,
        audit: Vec<AuditLogEntry>,
        refusal: Option<Error>,
        way: Option<&Way<'_>>,
    ) -> Result<Result<Arrived>> {
        let Self {
            app,
            client,
            tx,
            now,
            ..
        } = *self;
        if let Some(refusal) = refusal {
            note(tx, &audit).await?;
            return Ok(Err(refusal));
        }
        if let Some(Way { detour, tokens }) = way.filter(|way| way.detour.is_pkce()) {
            let refresh_token = tokens.refresh_token.as_deref().unwrap_or_default();
            let completed = detour.complete(tx, user.id, &tokens.access_token, refresh_token, now);
            let (noted, completed) = join(note(tx, &audit), completed).await;
            noted?;
            completed?;
            let code = detour.auth_code.clone().ok_or_else(already_used)?;
            return Ok(Ok(Arrived::Code(code)));
        }
        let sign_in = SignIn {
            method: Method::OAuth,
            audit,
            password: None,
        };
        let over = async {
            match way {
                Some(way) => way.detour.delete(tx).await,
                None => Ok(()),
            }
        };
        let (grant, over) = join(issue(app, tx, client, user, sign_in, now), over).await;
        let mut grant = grant?.ok_or_else(signup::gone)?;
        over?;
        grant.provider_tokens = way.map(|way| {
            (
                way.tokens.access_token.clone(),
                way.tokens.refresh_token.clone(),
            )
        });
        Ok(Ok(Arrived::In(Box::new(grant))))
    }
}

async fn note(tx: &Conn, audit: &[AuditLogEntry]) -> QueryResult<()> {
    let mut entries = Vec::with_capacity(audit.len());
    for entry in audit {
        entries.push(entry.insert(tx));
    }
    try_join_all(entries).await.map(drop)
}
