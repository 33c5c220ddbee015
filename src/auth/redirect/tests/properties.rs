//! Whatever is put together from the pieces of attacks: a browser that follows it stays at home.

use std::net::IpAddr;

use proptest::prelude::*;
use url::{Host, Url};

use super::{SITE, rules};

const PIECES: [&str; 34] = [
    "https://",
    "http://",
    "HTTPS://",
    "https:",
    "javascript:",
    "myapp://",
    "app.example.com",
    "APP.example.com",
    "app.example.com.",
    "www.app.example.com",
    "evil.net",
    "127.0.0.1",
    "2130706433",
    "[::1]",
    "[::ffff:1.2.3.4]",
    "@",
    ":",
    ":443",
    ":8443",
    "/",
    "//",
    "\\",
    "#",
    "?",
    ".",
    "..",
    "%40",
    "%2f",
    "%00",
    "\t",
    "\u{3002}",
    "\u{ff0f}",
    "\u{ad}",
    "x",
];

fn wish() -> impl Strategy<Value = String> {
    let any_pieces = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..9);
    let after_scheme = any_pieces.clone().prop_map(|pieces| pieces.concat());
    prop_oneof![
        any_pieces.prop_map(|pieces| pieces.concat()),
        after_scheme
            .clone()
            .prop_map(|rest| format!("https://{rest}")),
        after_scheme.prop_map(|rest| format!("{SITE}{rest}")),
        ".{0,40}",
    ]
}

/// Whether a browser on the site that goes there stays there, or goes to the person's own machine. A pattern that goes
/// on where the port would stand leaves the port open.
fn stays(text: &str, any_port: bool) -> bool {
    let Ok(url) = Url::parse(SITE).unwrap().join(text) else {
        return false;
    };
    match url.host() {
        Some(Host::Domain("app.example.com")) => {
            url.scheme() == "https" && (any_port || url.port().is_none())
        }
        // Only web URLs have addresses for hosts; an app's scheme has text there.
        Some(Host::Domain(text)) => {
            (text.parse::<IpAddr>()).is_ok_and(|address| address.to_canonical().is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_browser_stays_at_home(text in wish()) {
        for (list, any_port) in [
            (&[][..], false),
            (&["https://app.example.com/**"], false),
            (&["https://app.example.com/*", "https://app.example.com**"], true),
        ] {
            prop_assert!(!rules(list).allows(&text) || stays(&text, any_port), "{list:?} lets {text:?} pass");
        }
    }

    #[test]
    fn what_is_chosen_is_allowed_or_the_site(header in wish(), query in wish(), referer in wish()) {
        let rules = rules(&["https://app.example.com/**"]);
        let chosen = rules.choose(&header, &query, &referer);
        prop_assert!(chosen == SITE || rules.allows(chosen));
    }
}
