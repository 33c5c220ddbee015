//! `grant_type=id_token`: every issuer that GoTrue knows, and what must not sign in (§9.6 of the inventory).

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use truegate::clock::{Clock as _, Timestamp};
use truegate::config::Config;
use truegate::error::Code;

use crate::replay::specs::hex;
use crate::support::app::{Caller, TestApp};
use crate::support::issuers::{Issuers, Key};
use crate::support::reply::Reply;

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

#[tokio::test]
async fn every_issuer_signs_in_by_its_providers_name_and_by_its_own() {
    let setting = Setting::new().await;
    for (number, (provider, issuer)) in BUILT_IN.into_iter().enumerate() {
        let sub = format!("{issuer}-person");
        let email = format!("ann-{number}@example.com");
        let more = json!({"sub": sub, "email": email, "user_email": email});
        let token = setting.token(provider, issuer, more);
        let by_name = setting
            .present(json!({"provider": provider, "id_token": token}))
            .await
            .ok();
        assert_eq!(by_name["user"]["app_metadata"]["provider"], provider);
        assert_eq!(
            by_name["user"]["identities"][0]["identity_data"]["sub"],
            sub
        );
        assert_eq!(by_name["user"]["email"], email);
        // GoTrue knows an issuer of Azure's first generation by the provider's name only.
        if issuer.starts_with("https://sts") {
            continue;
        }
        let said = json!({"issuer": issuer, "client_id": "any", "id_token": token});
        let by_issuer = setting.present(said).await.ok();
        assert_eq!(by_issuer["user"]["id"], by_name["user"]["id"], "{issuer}");
    }
    let token = setting.token(
        "my",
        GENERIC,
        json!({"sub": "s-2", "email": "bob@example.com"}),
    );
    let said = json!({"issuer": GENERIC, "client_id": "my-client", "id_token": token});
    let generic = setting.present(said).await.ok();
    assert_eq!(generic["user"]["app_metadata"]["provider"], GENERIC);
    assert!(generic.get("provider_token").is_none());
}

#[tokio::test]
async fn an_apple_account_without_an_address_signs_in() {
    let setting = Setting::new().await;
    let apple = "https://appleid.apple.com";
    let token = setting.token("apple", apple, json!({"email": null}));
    let grant = setting
        .present(json!({"provider": "apple", "id_token": token}))
        .await
        .ok();
    assert_eq!(grant["user"]["email"], "");
    let again = setting
        .present(json!({"provider": "apple", "id_token": token}))
        .await
        .ok();
    assert_eq!(again["user"]["id"], grant["user"]["id"]);
}

/// Unlike at the callback, an address is only needed to confirm an account.
#[tokio::test]
async fn a_token_without_an_address() {
    let setting = Setting::new().await;
    let token = setting.googles(json!({"email": null}));
    let said = json!({"provider": "google", "id_token": token});
    let why = setting.present(said.clone()).await;
    let why = why.refused(422, Code::ProviderEmailNeedsVerification);
    let expected = "Unverified email with google. Verify the email with google in order to sign in";
    assert_eq!(why, expected);

    let alice = setting.app.user("alice@example.com").await;
    let token = setting.googles(json!({"email": null, "sub": "s-2"}));
    let said = json!({"provider": "google", "id_token": token, "link_identity": true});
    setting.present_as(&alice, said).await.ok();
    let said = json!({"provider": "google", "id_token": token});
    let grant = setting.present(said).await.ok();
    assert_eq!(grant["user"]["id"], alice.id.as_str());
}

#[tokio::test]
async fn what_has_to_be_said() {
    let setting = Setting::new().await;
    for (said, why) in [
        (json!({"provider": "google"}), "id_token required"),
        (
            json!({"id_token": "x"}),
            "provider or client_id and issuer required",
        ),
        (
            json!({"id_token": "x", "issuer": GENERIC}),
            "provider or client_id and issuer required",
        ),
        (
            json!({"id_token": "x", "client_id": "c"}),
            "provider or client_id and issuer required",
        ),
        (
            json!({"id_token": "x", "provider": "google", "link_identity": true}),
            "Linking requires a valid user access token in Authorization",
        ),
        (
            json!({"id_token": "x", "provider": "google"}),
            "Bad ID token",
        ),
        (
            json!({"id_token": setting.googles(json!({"sub": ""})), "provider": "google"}),
            "Missing sub claim in id_token",
        ),
    ] {
        assert_eq!(
            refused(&setting.present(said).await, "invalid request"),
            why
        );
    }
    for (said, why) in [
        (
            json!({"id_token": "x.y", "provider": "apple"}),
            "Unable to detect issuer in ID token for Apple provider",
        ),
        (
            json!({"id_token": "x.y.z", "provider": "azure"}),
            "Unable to detect issuer in ID token for Azure provider",
        ),
        (
            json!({"id_token": setting.googles(json!({})), "provider": "apple"}),
            "Detected ID token issuer is not an Apple ID token issuer",
        ),
        (
            json!({"id_token": setting.googles(json!({})), "provider": "azure"}),
            "Detected ID token issuer is not an Azure ID token issuer",
        ),
        (
            json!({"id_token": setting.token("azure", AZURE, json!({})), "provider": "azure", "issuer": GOOGLE, "client_id": "c"}),
            "",
        ),
        (
            json!({"id_token": setting.token("apple", "https://account.apple.com", json!({})), "issuer": "https://appleid.apple.com", "client_id": "c"}),
            "Provided issuer does not match ID token issuer",
        ),
        (
            json!({"id_token": "x", "provider": "github"}),
            "Custom OIDC provider \"github\" not allowed",
        ),
        (
            json!({"id_token": "x", "provider": "Google"}),
            "Custom OIDC provider \"Google\" not allowed",
        ),
    ] {
        let reply = setting.present(said).await;
        if why.is_empty() {
            // As in GoTrue, Google's issuer wins over Azure's name.
            refused(&reply, "invalid request");
        } else {
            assert_eq!(reply.refused(400, Code::ValidationFailed), why);
        }
    }
}

/// Server-side request forgery: a caller names an issuer, or makes a token name one.
#[tokio::test]
async fn nobody_is_asked_whom_the_operator_has_not_named() {
    let setting = Setting::with(|config| {
        for name in ["azure", "apple", "kakao"] {
            config.external.providers.get_mut(name).unwrap().enabled = false;
        }
    })
    .await;
    let evil = "https://evil.example.com";
    setting.issuers.add(evil, &setting.key);
    let token = setting.token("google", evil, json!({}));
    for said in [
        json!({"issuer": evil, "client_id": "google-client", "id_token": token}),
        json!({"issuer": format!("{GENERIC}/"), "client_id": "google-client", "id_token": token}),
        json!({"issuer": evil, "provider": "custom", "id_token": token}),
        json!({"provider": evil, "id_token": token}),
        json!({"provider": "azure", "issuer": evil, "id_token": token}),
        json!({"provider": "apple", "issuer": evil, "id_token": token}),
    ] {
        setting
            .present(said)
            .await
            .refused(400, Code::ValidationFailed);
    }
    for (provider, issuer) in [
        ("azure", AZURE),
        ("apple", "https://appleid.apple.com"),
        ("kakao", "https://kauth.kakao.com"),
    ] {
        let token = setting.token(provider, issuer, json!({}));
        let reply = setting
            .present(json!({"provider": provider, "id_token": token}))
            .await;
        let why = reply.refused(400, Code::ProviderDisabled);
        assert_eq!(
            why,
            format!("Provider (issuer \"{issuer}\") is not enabled")
        );
    }
    assert_eq!(setting.issuers.asked(""), 0);
}

/// Attack 30: another issuer's token for the victim, with our id as its audience.
#[tokio::test]
async fn attack_30_tokens_of_others() {
    let tenant = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad";
    let setting = Setting::with(|config| {
        config.external.providers.get_mut("azure").unwrap().url = tenant.to_owned();
    })
    .await;
    setting.app.user("victim@example.com").await;
    let (evil, forger) = ("https://evil.example.com", Key::es256("key"));
    setting.issuers.add(evil, &forger);
    let another = "https://login.microsoftonline.com/11111111-6c67-4c5b-b112-36a304b66dad/v2.0";
    setting.issuers.add(another, &forger);
    let victim = json!({"email": "victim@example.com", "user_email": "victim@example.com"});
    for (provider, issuer) in BUILT_IN {
        for iss in [issuer, evil, another] {
            let token = forger.sign(
                &setting.claims(provider, iss, victim.clone()),
                setting.now(),
            );
            let said = json!({"provider": provider, "id_token": token, "issuer": iss, "client_id": format!("{provider}-client")});
            let reply = setting.present(said).await;
            assert_eq!(reply.status, 400, "{provider} {iss} {reply:?}");
            let reply = setting
                .present(json!({"provider": provider, "id_token": token}))
                .await;
            assert_eq!(reply.status, 400, "{provider} {iss} {reply:?}");
        }
    }
    // A real token of one provider, presented as another's.
    for (provider, issuer) in [
        ("google", KEYCLOAK),
        ("keycloak", GOOGLE),
        ("kakao", GENERIC),
    ] {
        let token = setting.token(provider, issuer, victim.clone());
        let reply = setting
            .present(json!({"provider": provider, "id_token": token}))
            .await;
        assert_eq!(refused(&reply, "invalid request"), "Bad ID token");
    }
    assert_eq!(
        setting
            .issuers
            .asked("evil.example.com/.well-known/openid-configuration"),
        0
    );
    assert_eq!(
        setting
            .issuers
            .asked("11111111-6c67-4c5b-b112-36a304b66dad/v2.0/.well-known/openid-configuration"),
        0
    );
    assert_eq!(setting.user_count().await, 1);
}

/// Attack 32, and who else is one of us.
#[tokio::test]
async fn attack_32_audiences() {
    let setting = Setting::with(|config| {
        config.external.ios_bundle_id = Some("com.example.app".to_owned());
    })
    .await;
    for (aud, why) in [
        (json!("other"), "Unacceptable audience in id_token: [other]"),
        (
            json!(["other", "more"]),
            "Unacceptable audience in id_token: [other more]",
        ),
        (
            json!(["google-client", "more"]),
            "Unacceptable audience in id_token: [google-client more]",
        ),
        (json!(null), "Unacceptable audience in id_token: []"),
        (
            json!("com.example.app"),
            "Unacceptable audience in id_token: [com.example.app]",
        ),
    ] {
        let token = setting.googles(json!({ "aud": aud }));
        let reply = setting
            .present(json!({"provider": "google", "id_token": token}))
            .await;
        assert_eq!(refused(&reply, "invalid request"), why);
    }
    let second = setting.googles(json!({"aud": "google-second", "azp": "an-android-app"}));
    setting
        .present(json!({"provider": "google", "id_token": second}))
        .await
        .ok();
    let bundle = setting.token(
        "apple",
        "https://appleid.apple.com",
        json!({"aud": "com.example.app", "sub": "s-2"}),
    );
    setting
        .present(json!({"provider": "apple", "id_token": bundle}))
        .await
        .ok();
    // An issuer that is allowed by its URL knows no client but the one that is named.
    let generic = setting.token("my", GENERIC, json!({"aud": ""}));
    let said = json!({"issuer": GENERIC, "provider": "any", "client_id": "", "id_token": generic});
    refused(&setting.present(said).await, "invalid request");
}

#[tokio::test]
async fn a_nonce_is_on_both_sides_or_on_none() {
    let setting = Setting::with(|config| {
        config
            .external
            .providers
            .get_mut("kakao")
            .unwrap()
            .skip_nonce_check = true;
    })
    .await;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"the nonce");
    let hashed = hex(digest.as_ref());
    let both = "Passed nonce and nonce in id_token should either both exist or not.";
    let present = async |provider: &str, issuer: &str, in_token: Option<&str>, nonce: &str| {
        let token = setting.token(provider, issuer, json!({ "nonce": in_token }));
        setting
            .present(json!({"provider": provider, "id_token": token, "nonce": nonce}))
            .await
    };
    // Facebook's Limited Login is not asked for it, and nobody else follows from that.
    present("facebook", "https://www.facebook.com", Some("plain"), "")
        .await
        .ok();
    present("google", GOOGLE, Some(&hashed), "the nonce")
        .await
        .ok();
    present("google", GOOGLE, None, "").await.ok();
    let mismatch = |reply: Reply| refused(&reply, "invalid nonce");
    assert_eq!(
        mismatch(present("google", GOOGLE, Some(&hashed), "another").await),
        "Nonces mismatch"
    );
    assert_eq!(
        mismatch(present("google", GOOGLE, Some("the nonce"), "the nonce").await),
        "Nonces mismatch"
    );
    assert_eq!(
        mismatch(present("google", GOOGLE, Some(&hashed.to_uppercase()), "the nonce").await),
        "Nonces mismatch"
    );
    for (in_token, nonce) in [
        (None, "the nonce"),
        (Some(""), "the nonce"),
        (Some(&*hashed), ""),
    ] {
        let reply = present("google", GOOGLE, in_token, nonce).await;
        assert_eq!(refused(&reply, "invalid request"), both);
    }
    present("kakao", "https://kauth.kakao.com", Some(&hashed), "")
        .await
        .ok();
}

#[tokio::test]
async fn an_access_token_has_to_be_the_one_that_came_along() {
    let setting = Setting::new().await;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"the access token");
    let at_hash = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        &digest.as_ref()[..16],
    );
    let token = setting.googles(json!({ "at_hash": at_hash }));
    let present = |access_token| {
        setting
            .present(json!({"provider": "google", "id_token": token, "access_token": access_token}))
    };
    present("the access token").await.ok();
    present("").await.ok();
    assert_eq!(
        refused(&present("another").await, "invalid request"),
        "Bad ID token"
    );
}

#[tokio::test]
async fn an_identity_is_added_to_the_account_of_the_bearer() {
    let setting = Setting::new().await;
    let alice = setting.app.user("alice@example.com").await;
    let token = setting.googles(json!({}));
    let said = json!({"provider": "google", "id_token": token, "link_identity": true});
    let grant = setting.present_as(&alice, said.clone()).await.ok();
    assert_eq!(grant["user"]["id"], alice.id.as_str());
    let providers = &grant["user"]["app_metadata"]["providers"];
    assert_eq!(providers, &json!(["email", "google"]));
    let again = setting.present_as(&alice, said.clone()).await;
    again.refused(422, Code::IdentityAlreadyExists);
    let bob = setting.app.user("bob@example.com").await;
    setting
        .present_as(&bob, said.clone())
        .await
        .refused(422, Code::IdentityAlreadyExists);
    // The API key of a gateway is no user.
    setting
        .present_as(&setting.app.bearer("no-token"), said)
        .await
        .refused(403, Code::BadJwt);
}

/// As in GoTrue, where the new user's metadata and the identity are one map in memory.
#[tokio::test]
async fn a_new_account_that_is_confirmed_at_once_shows_its_address_as_verified() {
    let setting = Setting::with(|config| config.mailer.autoconfirm = true).await;
    let verified = async |email: &str| {
        let token = setting.googles(json!({"sub": email, "email": email, "email_verified": false}));
        let said = json!({"provider": "google", "id_token": token});
        let user = &setting.present(said).await.ok()["user"];
        let shown = &user["identities"][0]["identity_data"]["email_verified"];
        [&user["user_metadata"]["email_verified"], shown].map(|verified| verified == true)
    };
    assert_eq!(verified("new@example.com").await, [true; 2]);
    // The row keeps what the provider said.
    assert_eq!(verified("new@example.com").await, [false; 2]);
}

/// Attack 34, where the operator asks for it.
#[tokio::test]
async fn attack_34_an_identity_is_added_soon_after_signing_in() {
    let setting = Setting::with(|config| {
        config.truegate.linking_session_age = Some(Duration::from_mins(10));
    })
    .await;
    let alice = setting.app.user("alice@example.com").await;
    setting.app.clock.advance(TimeDelta::minutes(11));
    let token = setting.googles(json!({}));
    let said = json!({"provider": "google", "id_token": token, "link_identity": true});
    let reply = setting.present_as(&alice, said).await;
    reply.refused(403, Code::ReauthenticationNeeded);
    assert_eq!(setting.issuers.asked(""), 0);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_our_failure_and_leaves_nothing_behind() {
    let setting = Setting::new().await;
    setting.issuers.away(true);
    let token = setting.googles(json!({}));
    let reply = setting
        .present(json!({"provider": "google", "id_token": token}))
        .await;
    reply.refused(500, Code::UnexpectedFailure);
    assert_eq!(setting.user_count().await, 0);
    setting.issuers.away(false);
    setting
        .present(json!({"provider": "google", "id_token": token}))
        .await
        .ok();
}
