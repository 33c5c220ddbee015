//! People at a browser, with an identity provider's own pages: `browser.test.mjs`, where there is a Chromium.

use std::env::split_paths;
use std::io::Write as _;
use std::path::PathBuf;

use super::dev::Dev;
use super::{drive, node};
use crate::support::port::Port;
use crate::support::variable;

/// What a Chromium is called.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

fn chromium() -> Option<PathBuf> {
    let path = variable("PATH")?;
    let programs = NAMES
        .iter()
        .flat_map(|name| split_paths(&path).map(move |folder| folder.join(name)));
    programs.into_iter().find(|program| program.is_file())
}

#[test]
fn people_at_a_browser_sign_in_with_providers() {
    let Some(chromium) = chromium() else {
        // Not by `eprintln`, which is shown for tests that fail.
        let mut screen = std::io::stderr();
        writeln!(screen, "\n*** SKIPPED: there is no Chromium, so no browser signs in with providers; `tools/setup test` installs it ***\n").unwrap();
        return;
    };
    let ports = [(); 4].map(|()| Port::free());
    let [api, page, keycloak, acme] = ports.each_ref().map(|free| free.port.to_string());
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/standin/ca.pem");
    let dev = Dev::start(
        &["--port", &api],
        &[
            ("GOTRUE_MAILER_AUTOCONFIRM", "true"),
            ("GOTRUE_SECURITY_MANUAL_LINKING_ENABLED", "true"),
            ("GOTRUE_EXTERNAL_KEYCLOAK_ENABLED", "true"),
            ("GOTRUE_EXTERNAL_KEYCLOAK_CLIENT_ID", "truegate"),
            (
                "GOTRUE_EXTERNAL_KEYCLOAK_SECRET",
                "a-secret-between-the-two",
            ),
            (
                "GOTRUE_EXTERNAL_KEYCLOAK_REDIRECT_URI",
                &format!("http://localhost:{api}/callback"),
            ),
            (
                "GOTRUE_EXTERNAL_KEYCLOAK_URL",
                &format!("http://127.0.0.1:{keycloak}"),
            ),
            ("GOTRUE_CUSTOM_OAUTH_ENABLED", "true"),
            ("TRUEGATE_PRIVATE_NETWORKS", "127.0.0.0/8"),
            ("SSL_CERT_FILE", authority),
        ],
    );
    let mut node = node(&dev.screen);
    node.env("CHROMIUM", chromium)
        .env("PAGE_PORT", page)
        .env("KEYCLOAK_PORT", keycloak)
        .env("ACME_PORT", acme);
    let run = drive(node, &["browser.test.mjs"]);
    assert_eq!((run.passed, run.failed), (7, 0), "{}", run.output);
}
