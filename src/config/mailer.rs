//! What mails say, and when they are sent.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::report::Report;
use super::settings::{Definition, Setting, settings};
use super::value::{Json, Named, Seconds, Value};

settings! {
    /// What mails say, and when they are sent.
    pub struct Mailer("GOTRUE_MAILER_") {
        /// Addresses count as confirmed without a mail.
        autoconfirm: bool = "false",
        /// Users may sign in before they have confirmed their address. Not together with AUTOCONFIRM.
        allow_unverified_email_sign_ins: bool = "false",
        /// A change of address is confirmed from the old address, too.
        secure_email_change_enabled: bool = "true",
        /// How long links and codes are valid, in seconds.
        otp_exp: Seconds = "86400",
        /// Digits of a code: 6 to 10.
        otp_length: u32 = "6",
        /// Further public host names of this server, which X-Forwarded-Host may choose for links.
        external_hosts: Vec<String> = "",
        /// Failures to send are logged and never answered.
        email_background_sending: bool = "false",
        /// Addresses that cannot exist are refused: placeholder domains, domains without mail server, ..
        email_validation_extended: bool = "false",
        /// With `EMAIL_VALIDATION_EXTENDED`: a service that is asked about each address.
        email_validation_service_url: Option<Url> = "",
        /// Headers for that service: a JSON object of arrays.
        email_validation_service_headers: Json<BTreeMap<String, Vec<String>>> = "",
        /// Mail servers whose addresses would be refused: a JSON array. Not looked up in this version.
        email_validation_blocked_mx: Json<Vec<String>> = "",
        /// Longest template, in bytes; longer ones are cut.
        template_max_size: usize = "1000000",
        /// How old a template may be before it is loaded again.
        template_max_age: Duration = "10m",
        /// How long until a template that failed to load is tried again.
        template_retry_interval: Duration = "10s",
        /// Templates are loaded in the background, not by the request that needs them.
        template_reloading_enabled: bool = "false",
        /// Background loading pauses after so long without requests.
        template_reloading_max_idle: Duration = "20m",
    } and {
        /// Subjects by kind of mail: see `subject`.
        subjects: Named<String>,
        /// Templates by kind of mail: see `template`.
        templates: Named<String>,
        /// Paths of links by kind of mail: see `urlpath`.
        urlpaths: Named<String>,
        /// Which notifications are on: see `notification_enabled`.
        notifications: Named<bool>,
    }
}

/// A kind of mail. `as_str` is its name in variables, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum MailKind {
    Invite,
    Confirmation,
    Recovery,
    MagicLink,
    EmailChange,
    Reauthentication,
    PasswordChangedNotification,
    EmailChangedNotification,
    PhoneChangedNotification,
    IdentityLinkedNotification,
    IdentityUnlinkedNotification,
    MfaFactorEnrolledNotification,
    MfaFactorUnenrolledNotification,
}

impl MailKind {
    /// All kinds.
    pub const ALL: [Self; 13] = [
        Self::Invite,
        Self::Confirmation,
        Self::Recovery,
        Self::MagicLink,
        Self::EmailChange,
        Self::Reauthentication,
        Self::PasswordChangedNotification,
        Self::EmailChangedNotification,
        Self::PhoneChangedNotification,
        Self::IdentityLinkedNotification,
        Self::IdentityUnlinkedNotification,
        Self::MfaFactorEnrolledNotification,
        Self::MfaFactorUnenrolledNotification,
    ];

    /// The name in variables, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invite => "invite",
            Self::Confirmation => "confirmation",
            Self::Recovery => "recovery",
            Self::MagicLink => "magic_link",
            Self::EmailChange => "email_change",
            Self::Reauthentication => "reauthentication",
            Self::PasswordChangedNotification => "password_changed_notification",
            Self::EmailChangedNotification => "email_changed_notification",
            Self::PhoneChangedNotification => "phone_changed_notification",
            Self::IdentityLinkedNotification => "identity_linked_notification",
            Self::IdentityUnlinkedNotification => "identity_unlinked_notification",
            Self::MfaFactorEnrolledNotification => "mfa_factor_enrolled_notification",
            Self::MfaFactorUnenrolledNotification => "mfa_factor_unenrolled_notification",
        }
    }

    /// The switch of a notification.
    fn switch(self) -> Option<String> {
        Some(format!(
            "{}_enabled",
            self.as_str().strip_suffix("_notification")?
        ))
    }
}

/// `GOTRUE_MAILER_SUBJECTS_<KIND>`.
pub(super) fn subjects() -> Definition {
    per_kind(
        "GOTRUE_MAILER_SUBJECTS_",
        &[" Subjects of mails: Go templates, as {{ .Token }} is your code. Empty: our own."],
    )
}

/// `GOTRUE_MAILER_TEMPLATES_<KIND>`.
pub(super) fn templates() -> Definition {
    per_kind(
        "GOTRUE_MAILER_TEMPLATES_",
        &[
            " Bodies of mails: URL of a Go html/template, or its path below SITE_URL. Empty: our own.",
        ],
    )
}

/// `GOTRUE_MAILER_URLPATHS_<KIND>`.
pub(super) fn urlpaths() -> Definition {
    per_kind(
        "GOTRUE_MAILER_URLPATHS_",
        &[
            " Paths of the links in mails. Empty: /verify. Of the others only INVITE, CONFIRMATION, RECOVERY (for",
            " magic links, too) and EMAIL_CHANGE have a link.",
        ],
    )
}

/// `GOTRUE_MAILER_NOTIFICATIONS_<WHAT>_ENABLED`.
pub(super) fn notifications() -> Definition {
    Definition {
        prefix: "GOTRUE_MAILER_NOTIFICATIONS_",
        about: &[" Mails that tell users what happened to their account."],
        settings: MailKind::ALL
            .iter()
            .filter_map(|kind| kind.switch())
            .map(|switch| Setting::new::<bool>(&switch, &[]).default("false"))
            .collect(),
    }
}

fn per_kind(prefix: &'static str, about: &'static [&'static str]) -> Definition {
    let settings = MailKind::ALL
        .iter()
        .map(|kind| Setting::new::<String>(kind.as_str(), &[]))
        .collect();
    Definition {
        prefix,
        about,
        settings,
    }
}

impl Mailer {
    pub(super) fn settle(&mut self, report: &mut Report) {
        if self.autoconfirm && self.allow_unverified_email_sign_ins {
            report.mistake(
                "GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS",
                "it cannot be on together with GOTRUE_MAILER_AUTOCONFIRM",
            );
        }
        if self.otp_exp.is_zero() {
            self.otp_exp = Seconds::new(86400);
        }
        self.otp_length = otp_length(self.otp_length);
        warn_of_broken(
            &self.email_validation_service_headers,
            "GOTRUE_MAILER_EMAIL_VALIDATION_SERVICE_HEADERS",
            report,
        );
        warn_of_broken(
            &self.email_validation_blocked_mx,
            "GOTRUE_MAILER_EMAIL_VALIDATION_BLOCKED_MX",
            report,
        );
        if !self.email_validation_blocked_mx.is_empty() {
            let what = "mail servers are not looked up in this version: nobody is refused by it";
            report.warn("GOTRUE_MAILER_EMAIL_VALIDATION_BLOCKED_MX", what);
        }
    }

    /// The subject that the operator wants for this kind of mail.
    #[must_use]
    pub fn subject(&self, kind: MailKind) -> Option<&str> {
        text(&self.subjects, kind)
    }

    /// Where the operator's template for this kind of mail is.
    #[must_use]
    pub fn template(&self, kind: MailKind) -> Option<&str> {
        text(&self.templates, kind)
    }

    /// The path of the link in this kind of mail, or what else the operator wrote there.
    #[must_use]
    pub fn urlpath(&self, kind: MailKind) -> &str {
        // GoTrue's templatemailer.go has it so: MAGIC_LINK is never looked at.
        let kind = if kind == MailKind::MagicLink {
            MailKind::Recovery
        } else {
            kind
        };
        text(&self.urlpaths, kind).unwrap_or("/verify")
    }

    /// Whether a mail of this kind is wanted; those that are no notification always are.
    #[must_use]
    pub fn notification_enabled(&self, kind: MailKind) -> bool {
        kind.switch()
            .is_none_or(|switch| self.notifications.get(&switch).copied().unwrap_or_default())
    }
}

fn text(texts: &Named<String>, kind: MailKind) -> Option<&str> {
    texts
        .get(kind.as_str())
        .map(String::as_str)
        .filter(|text| !text.is_empty())
}

/// GoTrue replaces a length that it does not like by 6.
pub(super) fn otp_length(length: u32) -> u32 {
    if (6..=10).contains(&length) {
        length
    } else {
        6
    }
}

/// GoTrue starts with broken JSON and ignores it.
pub(super) fn warn_of_broken<T>(json: &Json<T>, name: &str, report: &mut Report)
where
    Json<T>: Value,
{
    if json.is_broken() {
        report.warn(name, "it is not JSON of the expected form, and is ignored");
    }
}
