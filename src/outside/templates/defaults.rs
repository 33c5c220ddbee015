//! Our own mails: Go templates like everybody's, over one layout, with a plain part each. They have the links and
//! codes of GoTrue's (`templatemailer.go`), and its subjects; the words are ours.

use super::Template;
use super::go::GoTemplate;
use crate::config::MailKind;

/// The subject, as GoTrue's.
pub(super) fn subject(kind: MailKind) -> &'static str {
    match kind {
        MailKind::Invite => "You've been invited",
        MailKind::Confirmation => "Confirm your email address",
        MailKind::Recovery => "Reset your password",
        MailKind::MagicLink => "Your sign-in link",
        MailKind::EmailChange => "Confirm your new email address",
        MailKind::Reauthentication => "{{ .Token }} is your verification code",
        MailKind::PasswordChangedNotification => "Your password was changed",
        MailKind::EmailChangedNotification => "Your email address was changed",
        MailKind::PhoneChangedNotification => "Your phone number was changed",
        MailKind::IdentityLinkedNotification => "A new sign-in method was linked to your account",
        MailKind::IdentityUnlinkedNotification => "A sign-in method was removed from your account",
        MailKind::MfaFactorEnrolledNotification => {
            "A new verification method was added to your account"
        }
        MailKind::MfaFactorUnenrolledNotification => {
            "A verification method was removed from your account"
        }
    }
}

/// The mail of this kind.
pub(super) fn template(kind: MailKind) -> Template {
    let (html, text) = parts(kind);
    let html = [include_str!("defaults/layout.html"), html].concat();
    let text = [include_str!("defaults/layout.txt"), text].concat();
    // A test parses them all: what is in the binary is good.
    Template {
        kind,
        subject: GoTemplate::html(subject(kind)).unwrap_or_default(),
        html: GoTemplate::html(&html).unwrap_or_default(),
        text: GoTemplate::text(&text).ok(),
    }
}

macro_rules! part {
    ($name:literal) => {
        (
            include_str!(concat!("defaults/", $name, ".html")),
            include_str!(concat!("defaults/", $name, ".txt")),
        )
    };
}

fn parts(kind: MailKind) -> (&'static str, &'static str) {
    match kind {
        MailKind::Invite => part!("invite"),
        MailKind::Confirmation => part!("confirmation"),
        MailKind::Recovery => part!("recovery"),
        MailKind::MagicLink => part!("magic_link"),
        MailKind::EmailChange => part!("email_change"),
        MailKind::Reauthentication => part!("reauthentication"),
        MailKind::PasswordChangedNotification => part!("password_changed_notification"),
        MailKind::EmailChangedNotification => part!("email_changed_notification"),
        MailKind::PhoneChangedNotification => part!("phone_changed_notification"),
        MailKind::IdentityLinkedNotification => part!("identity_linked_notification"),
        MailKind::IdentityUnlinkedNotification => part!("identity_unlinked_notification"),
        MailKind::MfaFactorEnrolledNotification => part!("mfa_factor_enrolled_notification"),
        MailKind::MfaFactorUnenrolledNotification => part!("mfa_factor_unenrolled_notification"),
    }
}
