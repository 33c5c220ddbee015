//! What an update writes to people: prepared, and as far as text messages go sent, before its transaction opens.

use super::Changes;
use crate::app::App;
use crate::auth::Client;
use crate::auth::mailing::{self, Notice, Stationery};
use crate::auth::messaging::{self, Message, Purpose, Sent};
use crate::auth::verify::PhoneNotices;
use crate::clock::Timestamp;
use crate::config::MailKind;
use crate::error::Result;
use crate::models::identity::Identity;
use crate::models::user::User;

pub(super) struct Letters {
    /// None where a new address needs no mail: there is none, or it counts at once.
    pub(super) email_change: Option<Stationery>,
    /// Of an anonymous user where addresses are confirmed at once.
    pub(super) email_counts_at_once: bool,
    pub(super) email_changed: Notice,
    pub(super) password_changed: Notice,
    /// Sent already; none where a new number counts at once.
    pub(super) phone_change: Option<Sent>,
    pub(super) phone_changed: PhoneNotices,
}

impl Letters {
    pub(super) async fn prepare(
        app: &App,
        client: &Client,
        user: &User,
        changes: &Changes,
    ) -> Result<Self> {
        let config = &app.config;
        let email_counts_at_once = user.is_anonymous && config.mailer.autoconfirm;
        let asks_by_mail = changes.changes_email(user) && !email_counts_at_once;
        let asks_by_message = changes.changes_phone(user) && !config.sms.autoconfirm;
        Ok(Self {
            email_change: if asks_by_mail {
                Some(mailing::prepare_email_change(app, &changes.email).await?)
            } else {
                None
            },
            email_counts_at_once,
            email_changed: mailing::notice(app, MailKind::EmailChangedNotification).await,
            password_changed: mailing::notice(app, MailKind::PasswordChangedNotification).await,
            phone_changed: PhoneNotices::prepare(app).await,
            // Last, so that nothing else can keep its code from being noted.
            phone_change: if asks_by_message {
                let message = Message {
                    purpose: Purpose::PhoneChange,
                    user: &draft(user, changes, asks_by_mail, app.clock.now()),
                    phone: &changes.phone,
                    channel: &changes.channel,
                };
                // Apart, because few callers come this way: the future would be large for all.
                Some(Box::pin(messaging::send(app, client, message)).await?)
            } else {
                None
            },
        })
    }
}

/// The user as the rest of the update will leave it: who sends the message is told of that one.
fn draft(user: &User, changes: &Changes, asks_by_mail: bool, now: Timestamp) -> User {
    let mut draft = user.clone();
    if changes.password.is_some() {
        // A message for an earlier number is void then, and this one need not wait for it.
        draft.set_password(None);
    }
    draft.merge_user_metadata(changes.data.clone().unwrap_or_default());
    draft.merge_app_metadata(changes.app_metadata.clone().unwrap_or_default());
    if asks_by_mail {
        draft.email_change.clone_from(&changes.email);
        draft.email_change_sent_at = Some(now);
    } else if changes.changes_email(user) {
        // An anonymous user where addresses are confirmed at once.
        let identity = Identity::of_email(user.id, &changes.email, true, now);
        draft.identities.push(identity);
        draft.email = Some(changes.email.clone());
        draft.confirm(now);
        draft.is_anonymous = false;
    }
    draft
}
