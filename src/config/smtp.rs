//! The relay that mail goes out through.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::mailer::warn_of_broken;
use super::report::Report;
use super::settings::settings;
use super::value::Json;

settings! {
    /// The relay that mail goes out through.
    pub struct Smtp("GOTRUE_SMTP_") {
        /// Host of the relay; empty: no mail is sent, and nobody is told.
        host: Option<String> = "",
        /// Port of the relay; 465 speaks TLS from the start, others are asked for STARTTLS.
        port: u16 = "587",
        /// User name at the relay; empty: nobody signs in there.
        user: Option<String> = "",
        /// Password at the relay.
        pass: Option<SecretString> = "",
        /// Address that mails come from.
        admin_email: Option<String> = "",
        /// Name that mails come from.
        sender_name: Option<String> = "",
        /// Further headers of mails: a JSON object of arrays; $messageType stands for the kind of mail.
        headers: Json<BTreeMap<String, Vec<String>>> = "",
        /// How long until the same user may ask for the next mail; 0 means 1m, so 1ns is for never.
        max_frequency: Duration = "1m",
        /// Each mail is logged.
        logging_enabled: bool = "false",
    }
}

impl Smtp {
    pub(super) fn settle(&mut self, report: &mut Report) {
        if self.max_frequency.is_zero() {
            self.max_frequency = Duration::from_mins(1);
        }
        if self.host.is_some() && self.admin_email.is_none() {
            report.warn(
                "GOTRUE_SMTP_ADMIN_EMAIL",
                "it is not set, so that no mail can be sent through GOTRUE_SMTP_HOST",
            );
        }
        warn_of_broken(&self.headers, "GOTRUE_SMTP_HEADERS", report);
    }
}
