//! How a newcomer can be reached: all that differs between an e-mail address and a phone number.

use serde_json::{Map, Value, json};

use super::already_registered;
use crate::app::App;
use crate::auth::mailing::{self, Purpose, Stationery};
use crate::auth::messaging::{self, Message, Sent};
use crate::auth::{Client, address, grant, invalid};
use crate::clock::Timestamp;
use crate::error::{Code, Context, Result, bad_request};
use crate::json::object;
use crate::models::identity::{EMAIL, Identity, PHONE};
use crate::models::user::User;

/// The address that an account begins with.
pub(in crate::auth) enum Contact {
    /// An e-mail address.
    Email(String),
    /// A phone number.
    Phone {
        /// Its digits, without `+`.
        number: String,
        /// How messages get there.
        channel: String,
    },
}

/// What asks a newcomer to confirm the address.
pub(super) enum Letter {
    /// A mail, to be written.
    Mail(Stationery),
    /// A text message, sent already.
    Message(Sent),
}

impl Contact {
    /// Reads an address, or else a phone number; either may be switched off.
    pub(super) fn parse(app: &App, email: &str, phone: &str, channel: String) -> Result<Self> {
        let on = &app.config.external;
        match (email, phone) {
            ("", "") => Err(invalid(match (on.email_enabled, on.phone_enabled) {
                (true, true) => "Sign up only available with email or phone provider",
                (true, false) => "Sign up only available with email provider",
                (false, true) => "Sign up only available with phone provider",
                (false, false) => "Sign up with this provider not possible",
            })),
            ("", _) if !on.phone_enabled => Err(bad_request(
                Code::PhoneProviderDisabled,
                "Phone signups are disabled",
            )),
            ("", phone) => {
                let number = address::parse_phone(phone)?;
                Ok(Self::Phone { number, channel })
            }
            _ if !on.email_enabled => Err(bad_request(
                Code::EmailProviderDisabled,
                "Email signups are disabled",
            )),
            (email, _) => address::parse_email(email).map(Self::Email),
        }
    }

    pub(super) const fn provider(&self) -> &'static str {
        match self {
            Self::Email(_) => EMAIL,
            Self::Phone { .. } => PHONE,
        }
    }

    /// What the audit log says of a sign-up besides.
    pub(super) fn signup_trait(&self) -> Option<Value> {
        match self {
            Self::Email(_) => grant::provider_trait(EMAIL),
            Self::Phone { channel, .. } => Some(json!({ "provider": PHONE, "channel": channel })),
        }
    }

    /// Who has it already.
    pub(super) async fn holder(&self, app: &App, client: &Client) -> Result<Option<User>> {
        let mut conn = app.db.get().await?;
        let failure = "Database error finding user";
        match self {
            Self::Email(email) => {
                let own_domains = app.config.experimental.own_linking_domains();
                User::find_holder(&mut conn, email, &client.aud, None, &own_domains)
                    .await
                    .public(failure)
            }
            Self::Phone { number, .. } => {
                let found = User::find_by_phone_anywhere(&mut conn, number).await;
                let is_reachable = |user: &User| user.aud == client.aud && !user.is_sso_user;
                match found.public(failure)? {
                    // Before a message is sent: no two users have the same number, whatever their audience.
                    Some(user) if !is_reachable(&user) => Err(already_registered()),
                    found => Ok(found),
                }
            }
        }
    }

    /// Whether it needs no confirmation.
    pub(super) fn counts_at_once(&self, app: &App) -> bool {
        match self {
            Self::Email(_) => app.config.mailer.autoconfirm,
            Self::Phone { .. } => app.config.sms.autoconfirm,
        }
    }

    /// What asks this user to confirm it; none where it is confirmed at once.
    pub(super) async fn letter(
        &self,
        app: &App,
        client: &Client,
        user: &User,
    ) -> Result<Option<Letter>> {
        match self {
            _ if self.counts_at_once(app) => Ok(None),
            Self::Email(email) => {
                let stationery = mailing::prepare(app, Purpose::Confirmation, email).await?;
                Ok(Some(Letter::Mail(stationery)))
            }
            Self::Phone { number, channel } => {
                let message = Message {
                    purpose: messaging::Purpose::Confirmation,
                    user,
                    phone: number,
                    channel,
                };
                let sent = messaging::send(app, client, message).await?;
                Ok(Some(Letter::Message(sent)))
            }
        }
    }

    /// An account that nobody has confirmed yet, without identities; not yet in the database.
    pub(in crate::auth) fn new_user(
        &self,
        app: &App,
        client: &Client,
        data: Map<String, Value>,
        now: Timestamp,
    ) -> User {
        let (email, phone) = match self {
            Self::Email(email) => (Some(email.clone()), None),
            Self::Phone { number, .. } => (None, Some(number.clone())),
        };
        let provider = self.provider();
        let mut user = User::new(&client.aud, email, phone, now);
        user.role.clone_from(&app.config.jwt.default_group_name);
        user.app_metadata = object(json!({ "provider": provider, "providers": [provider] }));
        user.user_metadata = data;
        user
    }

    /// The identity of a new account: the claims that we make, and what the newcomer said besides.
    pub(super) fn first_identity(
        &self,
        user: &User,
        data: &Map<String, Value>,
        now: Timestamp,
    ) -> Identity {
        let mut identity = match self {
            Self::Email(_) => Identity::of_email(user.id, user.email(), false, now),
            Self::Phone { .. } => {
                let mut identity = Identity::of_phone(user.id, "", false, now);
                // GoTrue's claims of a phone sign-up name the (empty) e-mail address rather than the phone.
                identity.identity_data.remove("phone");
                identity
            }
        };
        for (key, value) in data {
            identity
                .identity_data
                .entry(key)
                .or_insert_with(|| value.clone());
        }
        // Who signs up by phone may name an address; the answer shows it as it was said.
        if let Some(Value::String(email)) = identity.identity_data.get_mut("email") {
            let lower = email.to_lowercase();
            identity.email = Some(std::mem::replace(email, lower));
        }
        identity
    }

    /// Whether this account, which has it, keeps others from signing up with it: somebody has confirmed it there; or it
    /// is the address of an identity, and not the account's own; or it counts at once, and who signs up would be signed
    /// in to an account that somebody owns.
    pub(super) fn is_taken(&self, app: &App, user: &User) -> bool {
        let (is_confirmed, is_own) = match self {
            Self::Email(email) => (user.is_confirmed(), user.has_email(email)),
            Self::Phone { .. } => (user.is_phone_confirmed(), true),
        };
        is_confirmed || !is_own || user.is_owned() && self.counts_at_once(app)
    }

    pub(super) fn confirm(&self, user: &mut User, now: Timestamp) {
        match self {
            Self::Email(_) => user.confirm(now),
            Self::Phone { .. } => user.confirm_phone(now),
        }
    }
}
