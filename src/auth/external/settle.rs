//! What becomes of a person whom a provider has identified: the account is found, linked or made, and signed in to, in
//! one transaction.

use futures_util::FutureExt as _;
use futures_util::future::join;
use serde_json::json;
use uuid::Uuid;

use super::account::{Account, raced};
use super::decision::{Decision, Newcomer};
use super::{Arrived, Person, already_used};
use crate::app::App;
use crate::auth::grant::provider_trait;
use crate::auth::mailing::{self, Notice, Purpose, Stationery};
use crate::auth::{Client, address, check_ban, email_exists, signup};
use crate::clock::Timestamp;
use crate::config::{DEFAULT_LINKING_DOMAIN, LinkingDomains, MailKind};
use crate::db::{Conn, transaction};
use crate::error::{Code, Context, Error, Result, failed, unprocessable};
use crate::json::object;
use crate::models::audit_log_entry::Action;
use crate::models::flow_state::Detour;
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
        // Somebody was quicker with the same identity or address, and by now it is known whose that is; or the address
        // is another's whom this person cannot be.
        Err(error) if is_conflict(&error) => {
            let settled = attempt(app, client, person, errand, way).boxed().await;
            settled.map_err(|error| {
                if is_conflict(&error) {
                    email_exists()
                } else {
                    error
                }
            })
        }
        settled => settled,
    }
}

fn is_conflict(error: &Error) -> bool {
    error.code() == Some(Code::Conflict)
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
    let settling = transaction(tx, async {
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
    });
    let settled = Box::pin(settling).await?;
    drop(conn);
    letters
        .confirmation
        .post(app)
        .await
        .public("Error sending confirmation email")?;
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
    /// Asks to confirm an address that the provider does not vouch for..
    confirmation: Stationery,
    /// ..unless mail would not get there.
    is_deliverable: bool,
    /// Tells that an identity was added.
    linked: Notice,
}

impl Letters {
    async fn fetch(app: &App, person: &Person<'_>, errand: Errand<'_>) -> Result<Self> {
        let claims = &person.profile.claims;
        let may_be_asked = !(claims.email_verified || app.config.mailer.autoconfirm);
        let is_deliverable = claims.email.is_empty()
            || !may_be_asked
            || address::check_deliverable(app, &claims.email).await.is_ok();
        let linked = match errand {
            Errand::LinkTo(_) => mailing::notice(app, MailKind::IdentityLinkedNotification).await,
            Errand::SignIn | Errand::Accept(_) => Notice::none(),
        };
        Ok(Self {
            confirmation: mailing::prepare_unaddressed(app, Purpose::Confirmation).await,
            is_deliverable,
            linked,
        })
    }
}

/// What every step of the transaction needs.
pub(super) struct Act<'a> {
    pub app: &'a App,
    pub client: &'a Client,
    pub tx: &'a Conn,
    pub person: &'a Person<'a>,
    letters: &'a Letters,
    pub now: Timestamp,
}

impl Act<'_> {
    /// The person's account, found by identity or verified address, or else made.
    async fn find_or_make(&self) -> Result<Account> {
        let Self {
            app, person, now, ..
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
        let decision = self.decide(&newcomer, domains).await?;
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
        check_ban(&account.user, *now)?;
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

    /// Whose account it is; that account is locked.
    async fn decide(&self, newcomer: &Newcomer<'_>, domains: &LinkingDomains) -> Result<Decision> {
        let (tx, contacts) = (self.tx, newcomer.contacts());
        let acquainted = User::find_acquainted(tx, newcomer.provider, newcomer.sub, &contacts)
            .await
            .public("Database error finding user")?;
        let decision = newcomer.decide(domains, acquainted);
        let (Decision::Known(user) | Decision::Link(user)) = &decision else {
            return Ok(decision);
        };
        // Once more under its lock: what it was found by may have gone meanwhile.
        let locked = User::lock(tx, user.id)
            .await
            .public("Database error finding user")?;
        match newcomer.decide(domains, locked.into_iter().collect()) {
            Decision::New { .. } => Err(raced()),
            decision => Ok(decision),
        }
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
        user.encrypted_password = Some(String::new());
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
        let mut account = Account::with_new_identity(user, person, *now);
        account.shown.clone_from(&account.user.identities);
        Ok(account)
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
        if !self.letters.is_deliverable {
            return Err(address::undeliverable(&self.person.profile.claims.email));
        }
        let purpose = Purpose::Confirmation;
        mailing::send_code(
            app,
            tx,
            client,
            &self.letters.confirmation,
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
