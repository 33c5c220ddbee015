//! How long sessions live.

use std::time::Duration;

use super::report::Report;
use super::settings::settings;

settings! {
    /// How long sessions live.
    pub struct Sessions("GOTRUE_SESSIONS_") {
        /// A session ends this long after its start; not set: never.
        timebox: Option<Duration> = "",
        /// A session ends when it was not refreshed for so long; not set: never.
        inactivity_timeout: Option<Duration> = "",
        /// How long a session at level aal1 may live when its user has a second factor; not set: for ever.
        allow_low_aal: Option<Duration> = "",
        /// A new session ends the user's others.
        single_per_user: bool = "false",
        /// Tags of which each user may have one session, with `SINGLE_PER_USER`.
        tags: Vec<String> = "",
    }
}

impl Sessions {
    pub(super) fn settle(&mut self, report: &mut Report) {
        let limits = [
            ("GOTRUE_SESSIONS_TIMEBOX", self.timebox),
            (
                "GOTRUE_SESSIONS_INACTIVITY_TIMEOUT",
                self.inactivity_timeout,
            ),
            ("GOTRUE_SESSIONS_ALLOW_LOW_AAL", self.allow_low_aal),
        ];
        for (name, limit) in limits {
            if limit.is_some_and(|limit| limit.is_zero()) {
                report.mistake(name, "it is 0; remove it where no limit is meant");
            }
        }
    }
}
