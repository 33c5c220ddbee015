//! Whose users these are, and where they may be sent: `Config` has these fields at its top.

use url::Url;

use super::report::Report;
use super::settings::settings;

settings! {
    /// Whose users these are, and where they may be sent.
    pub struct TopLevel("GOTRUE_") {
        /// The site that users come from, and go back to where no other target is allowed.
        site_url: String => "https://app.example.com",
        /// Further redirect targets, as globs: * stays within a part of host or path, ** does not.
        uri_allow_list: Vec<String> = "",
        /// Nobody new is let in, except by invitation or an admin.
        disable_signup: bool = "false",
    }
}

impl TopLevel {
    pub(super) fn settle(&self, report: &mut Report) {
        if Url::parse(&self.site_url).is_err() {
            let what = format!(
                "{:?} is not an absolute URL, so redirects to it will not work",
                self.site_url
            );
            report.warn("GOTRUE_SITE_URL", what);
        }
    }
}
