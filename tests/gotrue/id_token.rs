//! `grant_type=id_token`: every issuer that GoTrue knows, and what must not sign in (its `token_oidc.go`).

use serde_json::{Value, json};
use truegate::clock::{Clock as _, Timestamp};
use truegate::config::Config;
use truegate::error::Code;

use crate::support::app::{Caller, TestApp};
use crate::support::issuers::{Issuers, Key};
use crate::support::reply::Reply;

mod claims;
mod issuers;
mod linking;

pub const GOOGLE: &str = "https://accounts.google.com";
const AZURE: &str = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
const KEYCLOAK: &str = "https://issuer.example.com/realm";
const GENERIC: &str = "https://issuer.example.com/generic";

/// Each built-in provider with its issuers.
const BUILT_IN: [(&str, &str); 10] = [
    ("google", GOOGLE),
    ("apple", "https://appleid.apple.com"),
    ("apple", "https://account.apple.com"),
    ("azure", AZURE),
    (
        "azure",
        "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/",
    ),
    ("facebook", "https://www.facebook.com"),
    ("keycloak", KEYCLOAK),
    ("kakao", "https://kauth.kakao.com"),
    ("vercel_marketplace", "https://marketplace.vercel.com"),
    (
        "snapchat",
        "https://accounts.snapchat.com/accounts/oauth2/token",
    ),
];

/// An app, and the world that it lives in.
pub struct Setting {
    pub app: TestApp,
    pub issuers: Issuers,
    pub key: Key,
}

impl Setting {
    /// All built-in providers are on; our id is `<name>-client` at each.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let (issuers, key) = (Issuers::start().await, Key::es256("key"));
        let app = TestApp::reaching(issuers.http(), |config| {
            config.mailer.autoconfirm = false;
            for (name, provider) in &mut config.external.providers {
                provider.enabled = true;
                provider.client_id = vec![format!("{name}-client"), format!("{name}-second")];
                provider.secret = Some("the-secret".into());
                provider.redirect_uri = "https://auth.example.com/callback".into();
            }
            config.external.providers.get_mut("keycloak").unwrap().url = KEYCLOAK.into();
            config.external.allowed_id_token_issuers = vec![GENERIC.to_owned()];
            change(config);
        })
        .await;
        for (_, issuer) in BUILT_IN {
            issuers.add(issuer, &key);
        }
        issuers.add(GENERIC, &key);
        Self { app, issuers, key }
    }

    fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// What a token of this issuer says, to which `more` is added.
    #[expect(clippy::needless_pass_by_value, reason = "written where it is called")]
    pub fn claims(&self, provider: &str, issuer: &str, more: Value) -> Value {
        let mut claims = json!({
            "iss": issuer, "sub": "s-1", "aud": format!("{provider}-client"),
            "iat": self.now().timestamp(), "exp": self.now().timestamp() + 600,
            // Each issuer has its own idea of an address.
            "email": "ann@example.com", "user_email": "ann@example.com",
            "email_verified": true,
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    pub fn token(&self, provider: &str, issuer: &str, more: Value) -> String {
        self.key
            .sign(&self.claims(provider, issuer, more), self.now())
    }

    /// A Google account's token.
    fn googles(&self, more: Value) -> String {
        self.token("google", GOOGLE, more)
    }

    async fn present(&self, said: Value) -> Reply {
        self.present_as(&self.app.visitor(), said).await
    }

    async fn present_as(&self, caller: &Caller, said: Value) -> Reply {
        caller.post("/token?grant_type=id_token", said).await
    }

    async fn user_count(&self) -> usize {
        let users = self.app.admin().get("/admin/users").await.ok();
        users["users"].as_array().unwrap().len()
    }
}

/// Says that this was a refusal in OAuth's words; returns its description.
#[track_caller]
fn refused(reply: &Reply, error: &str) -> String {
    assert_eq!(reply.status, 400, "{reply:?}");
    let body = reply.json();
    assert_eq!(body["error"], error, "{reply:?}");
    body["error_description"].as_str().unwrap().to_owned()
}
