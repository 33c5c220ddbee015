//! An account within the transaction of a sign-in: as it was, as it will be, and all that is written in the end.

use chrono::TimeDelta;
use diesel::QueryResult;
use futures_util::future::{join, join4, try_join_all};
use serde_json::Value;

use super::settle::{Act, Way};
use super::{Arrived, Person, already_used};
use crate::auth::grant::{SignIn, issue};
use crate::auth::signup;
use crate::clock::Timestamp;
use crate::db::Conn;
use crate::error::{Code, Context, Error, OnConstraint, Result, conflict};
use crate::models::amr_claim::Method;
use crate::models::audit_log_entry::{Action, Actor, AuditLogEntry};
use crate::models::identity::Identity;
use crate::models::one_time_token::OneTimeToken;
use crate::models::session::{Scope, Session};
use crate::models::user::User;

/// An account whose row is there, and locked.
pub(super) struct Account {
    /// As it was read.
    pub before: User,
    /// As it will be.
    pub user: User,
    /// The identity that the person has come with.
    identity: Identity,
    /// Whether that identity is yet to be inserted.
    is_new: bool,
    cleaning: Cleaning,
    /// What the answer shows: the identities of before, as in GoTrue.
    pub shown: Vec<Identity>,
    audit: Vec<AuditLogEntry>,
    /// Why the person is not signed in although all this is written.
    pub refusal: Option<Error>,
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

/// Somebody else has done the same at the same time.
pub(super) fn raced() -> Error {
    conflict(
        Code::Conflict,
        "Too many concurrent sign-ins with the same identity",
    )
}

impl Account {
    /// The account of somebody who has been here before, with what the provider says now.
    pub fn renewed(before: User, person: &Person<'_>, now: Timestamp) -> Result<Self> {
        let mut user = before.clone();
        let mut identities = user.identities.iter_mut();
        let own = identities.find(|own| own.is(person.provider, &person.profile.claims.sub));
        let own = own.ok_or_else(raced)?;
        own.renew(person.identity_data(), now);
        let identity = own.clone();
        user.merge_user_metadata(person.identity_data());
        user.derive_providers();
        Ok(Self::new(before, user, identity, false))
    }

    /// An account to which the identity is added.
    pub fn with_new_identity(before: User, person: &Person<'_>, now: Timestamp) -> Self {
        let mut user = before.clone();
        let identity = Identity::new(user.id, person.provider, person.identity_data(), now);
        user.identities.push(identity.clone());
        user.derive_providers();
        Self::new(before, user, identity, true)
    }

    fn new(before: User, user: User, identity: Identity, is_new: bool) -> Self {
        Self {
            shown: before.identities.clone(),
            before,
            user,
            identity,
            is_new,
            cleaning: Cleaning::default(),
            audit: Vec::new(),
            refusal: None,
        }
    }

    pub fn note(&mut self, act: &Act<'_>, action: Action, traits: Option<Value>) {
        self.note_from(act, action, traits, "");
    }

    fn note_from(&mut self, act: &Act<'_>, action: Action, traits: Option<Value>, ip: &str) {
        // The audit log is read in the order of time.
        let tick = TimeDelta::microseconds(1);
        let at = self
            .audit
            .last()
            .map_or(act.now, |last| last.created_at + tick);
        let entry = AuditLogEntry::new(Actor::User(&self.user), action, traits, ip, at);
        self.audit.extend(act.app.audited([entry]));
    }

    pub fn note_link(&mut self, act: &Act<'_>) {
        let traits = Some(self.identity.traits());
        let ip = act.client.ip.map(|ip| ip.to_string()).unwrap_or_default();
        self.note_from(act, Action::IdentityLinked, traits, &ip);
    }

    /// Somebody else may have prepared this account for the owner of its address: what they know or hold opens it no
    /// more (GoTrue's `RemoveUnconfirmedIdentities`; where an identity is added, all that such a person could have).
    pub fn forget_the_unconfirmed(&mut self, identity_is_added: bool) {
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

    pub fn confirm(&mut self, now: Timestamp) {
        self.user.confirm(now);
        self.cleaning.tokens = true;
        // The answer shows a new account's identity as the user's metadata says it (GoTrue shares the map).
        let new = self.is_new.then_some(self.identity.id);
        for shown in self.shown.iter_mut().filter(|shown| Some(shown.id) == new) {
            let data = &mut shown.identity_data;
            data.insert("email_verified".into(), true.into());
        }
    }

    /// Writes everything, and signs the person in: the last writes of the transaction. `Err` within is a refusal that
    /// commits.
    pub async fn write(self, act: &Act<'_>, way: Option<&Way<'_>>) -> Result<Result<Arrived>> {
        let (tx, now) = (act.tx, act.now);
        let mut saved = self.user.clone();
        let user = User {
            identities: self.shown,
            ..self.user
        };
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
            act.end(user, self.audit, self.refusal, way),
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
