//! /authorize and /callback with the providers that speak OpenID Connect.

use axum::body::Body;
use serde_json::{Value, json};

use crate::gotrue::id_token::{GOOGLE, Setting};
use crate::support::provider::{Detour, location, parameter};
use crate::support::reply::Reply;

const APPLE: &str = "https://appleid.apple.com";
const TENANT: &str = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";

/// There and back: the token endpoint gives this ID token.
async fn walk(setting: &Setting, provider: &str, endpoint: &str, id_token: Option<&str>) -> Reply {
    let gone = setting
        .app
        .visitor()
        .get(&format!("/authorize?provider={provider}"))
        .await;
    let detour = Detour::of(&gone);
    let tokens = json!({"access_token": "at", "token_type": "Bearer", "id_token": id_token});
    setting.issuers.publish(endpoint, tokens);
    detour.end(&setting.app).await
}

/// The user that came back.
async fn user(setting: &Setting, reply: &Reply) -> Value {
    setting.app.came_back(reply).get("/user").await.ok()
}

/// Why nobody did.
fn refusal(reply: &Reply) -> String {
    parameter(location(reply).query(), "error_description").unwrap_or_else(|| panic!("{reply:?}"))
}

#[tokio::test]
async fn google_says_it_in_the_id_token_or_at_its_api() {
    let setting = Setting::new().await;
    let gone = setting
        .app
        .visitor()
        .get("/authorize?provider=google&scopes=a,b&prompt=consent")
        .await;
    let sent_to = location(&gone);
    assert!(
        sent_to
            .as_str()
            .starts_with("https://accounts.google.com/authorize?"),
        "{sent_to}"
    );
    assert_eq!(
        parameter(sent_to.query(), "scope").unwrap(),
        "email profile a b"
    );
    assert_eq!(parameter(sent_to.query(), "prompt").unwrap(), "consent");

    let endpoint = "https://accounts.google.com/token";
    let token = setting.token(
        "google",
        GOOGLE,
        json!({"name": "Ann", "hd": "example.com"}),
    );
    let ann = user(
        &setting,
        &walk(&setting, "google", endpoint, Some(&token)).await,
    )
    .await;
    assert_eq!(
        ann["user_metadata"]["custom_claims"],
        json!({"hd": "example.com"})
    );

    let person =
        json!({"id": "s-1", "email": "ann@example.com", "verified_email": true, "name": "Ann B"});
    setting
        .issuers
        .publish("https://www.googleapis.com/userinfo/v2/me", person);
    let again = user(&setting, &walk(&setting, "google", endpoint, None).await).await;
    assert_eq!(again["id"], ann["id"]);
    assert_eq!(
        again["user_metadata"]["iss"],
        "https://www.googleapis.com/userinfo/v2/me"
    );

    let foreign = setting.token("google", GOOGLE, json!({"aud": "another"}));
    let reply = walk(&setting, "google", endpoint, Some(&foreign)).await;
    assert_eq!(
        refusal(&reply),
        "Error getting user profile from external provider"
    );
    let unbound = setting.token(
        "google",
        GOOGLE,
        json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
    );
    let reply = walk(&setting, "google", endpoint, Some(&unbound)).await;
    assert_eq!(
        refusal(&reply),
        "Error getting user profile from external provider"
    );
}

#[tokio::test]
async fn apple_posts_its_answer_and_tells_the_name_once() {
    let setting = Setting::new().await;
    let gone = setting
        .app
        .visitor()
        .get("/authorize?provider=apple&scopes=more&prompt=login&nonce=n")
        .await;
    let sent_to = location(&gone);
    assert!(
        sent_to
            .as_str()
            .starts_with("https://appleid.apple.com/authorize?"),
        "{sent_to}"
    );
    let said: Vec<_> = sent_to
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    assert_eq!(
        said,
        [
            "client_id",
            "redirect_uri",
            "response_mode",
            "response_type",
            "scope",
            "state"
        ]
    );
    assert_eq!(
        parameter(sent_to.query(), "response_mode").unwrap(),
        "form_post"
    );
    assert_eq!(parameter(sent_to.query(), "scope").unwrap(), "email name");

    let token = setting.token(
        "apple",
        "https://account.apple.com",
        json!({"is_private_email": "true"}),
    );
    setting.issuers.publish(
        &format!("{APPLE}/token"),
        json!({"access_token": "at", "id_token": token}),
    );
    let comes_back = async |state: &str, user: &str| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("state", state), ("code", "c"), ("user", user)])
            .finish();
        let request = http::Request::post("/callback")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form));
        setting.app.send(request.unwrap()).await
    };
    let first =
        json!({"name": {"firstName": "Ann", "lastName": "Apple"}, "email": "other@example.com"});
    let state = Detour::of(&gone).state;
    let ann = user(&setting, &comes_back(&state, &first.to_string()).await).await;
    assert_eq!(ann["email"], "ann@example.com");
    assert_eq!(ann["user_metadata"]["full_name"], "Ann Apple");
    assert_eq!(ann["user_metadata"]["name"], "Ann Apple");
    assert_eq!(
        ann["user_metadata"]["custom_claims"],
        json!({"is_private_email": true})
    );
    let sent = setting.issuers.received(&format!("{APPLE}/token"));
    assert_eq!(parameter(Some(&sent), "client_id").unwrap(), "apple-client");
    assert_eq!(
        parameter(Some(&sent), "client_secret").unwrap(),
        "the-secret"
    );
    assert_eq!(parameter(Some(&sent), "secret").unwrap(), "the-secret");

    // Later the name is not told any more, and kept.
    let state = Detour::of(&setting.app.visitor().get("/authorize?provider=apple").await).state;
    let again = user(&setting, &comes_back(&state, "").await).await;
    assert_eq!(again["id"], ann["id"]);
    assert_eq!(again["user_metadata"]["full_name"], "Ann Apple");

    let state = Detour::of(&setting.app.visitor().get("/authorize?provider=apple").await).state;
    let reply = comes_back(&state, "no JSON").await;
    assert_eq!(
        refusal(&reply),
        "Error getting user profile from external provider"
    );
}

#[tokio::test]
async fn linkedin_and_vercel_say_it_in_the_id_token() {
    let setting = Setting::new().await;
    let linkedin = "https://www.linkedin.com/oauth";
    setting.issuers.add(linkedin, &setting.key);
    let more = json!({"email_verified": "true", "given_name": "Ann", "family_name": "Id"});
    let token = setting.token("linkedin_oidc", linkedin, more);
    let endpoint = "https://api.linkedin.com/oauth/v2/accessToken";
    let reply = walk(&setting, "linkedin_oidc", endpoint, Some(&token)).await;
    assert_eq!(
        user(&setting, &reply).await["user_metadata"]["name"],
        "Ann Id"
    );
    let reply = walk(&setting, "linkedin_oidc", endpoint, None).await;
    assert_eq!(
        refusal(&reply),
        "Error getting user email from external provider"
    );

    let vercel = "https://marketplace.vercel.com";
    let token = setting.token(
        "vercel_marketplace",
        vercel,
        json!({"global_user_id": "g", "user_email": "v@example.com"}),
    );
    let endpoint = "https://api.vercel.com/oauth/v2/accessToken";
    let reply = walk(&setting, "vercel_marketplace", endpoint, Some(&token)).await;
    let person = user(&setting, &reply).await;
    assert_eq!(person["identities"][0]["id"], "global_user_id:g");
    let reply = walk(&setting, "vercel_marketplace", endpoint, None).await;
    assert_eq!(
        refusal(&reply),
        "Error getting user profile from external provider"
    );
}

#[tokio::test]
async fn azure_is_every_tenant_of_microsofts() {
    let setting = Setting::new().await;
    let endpoint = "https://login.microsoftonline.com/common/oauth2/v2.0/token";
    let token = setting.token("azure", TENANT, json!({"tid": "t", "xms_edov": "1"}));
    let ann = user(
        &setting,
        &walk(&setting, "azure", endpoint, Some(&token)).await,
    )
    .await;
    assert_eq!(ann["user_metadata"]["custom_claims"]["tid"], "t");
    assert_eq!(ann["user_metadata"]["custom_claims"]["xms_edov"], "1");
    let reply = walk(&setting, "azure", endpoint, None).await;
    assert_eq!(
        refusal(&reply),
        "Error getting user profile from external provider"
    );
}

#[tokio::test]
async fn attack_031_an_address_of_any_tenants_directory_opens_no_account_where_settings_say_so() {
    let endpoint = "https://login.microsoftonline.com/common/oauth2/v2.0/token";
    for doubts in [false, true] {
        let setting = Setting::with(|config| {
            config.mailer.autoconfirm = false;
            config.truegate.azure_requires_edov = doubts;
        })
        .await;
        let victim = setting.app.user("victim@example.com").await;
        let claims = |more: Value| {
            let mut claims = json!({"email": "victim@example.com", "tid": "of-an-attacker"});
            claims
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            claims
        };
        let token = setting.token("azure", TENANT, claims(json!({"sub": "attacker"})));
        let reply = walk(&setting, "azure", endpoint, Some(&token)).await;
        if doubts {
            assert!(refusal(&reply).starts_with("Unverified email"), "{reply:?}");
        } else {
            assert_eq!(user(&setting, &reply).await["id"], victim.id.as_str());
        }
        let token = setting.token(
            "azure",
            TENANT,
            claims(json!({"sub": "owner", "xms_edov": true})),
        );
        let reply = walk(&setting, "azure", endpoint, Some(&token)).await;
        assert_eq!(user(&setting, &reply).await["id"], victim.id.as_str());
    }
}

/// GoTrue believes whatever issuer can be asked.
#[tokio::test]
async fn azure_is_nobody_else() {
    let evil = "https://evil.example.com";
    for url in [
        "",
        "https://login.microsoftonline.com/common",
        "https://issuer.example.com/azure",
    ] {
        let setting = Setting::with(|config| {
            config.external.providers.get_mut("azure").unwrap().url = url.to_owned();
        })
        .await;
        setting.issuers.add(evil, &setting.key);
        let base = if url.is_empty() {
            "https://login.microsoftonline.com/common"
        } else {
            url
        };
        let endpoint = format!("{base}/oauth2/v2.0/token");
        let token = setting.token("azure", evil, json!({}));
        let reply = walk(&setting, "azure", &endpoint, Some(&token)).await;
        assert_eq!(
            refusal(&reply),
            "Error getting user profile from external provider"
        );
        assert_eq!(
            setting
                .issuers
                .asked("evil.example.com/.well-known/openid-configuration"),
            0
        );
    }
    // A tenant that is configured is the only one.
    let setting = Setting::with(|config| {
        config.external.providers.get_mut("azure").unwrap().url =
            "https://login.microsoftonline.com/t-1".to_owned();
    })
    .await;
    let own = "https://login.microsoftonline.com/t-1/v2.0";
    setting.issuers.add(own, &setting.key);
    let endpoint = "https://login.microsoftonline.com/t-1/oauth2/v2.0/token";
    let others = setting.token("azure", TENANT, json!({}));
    let reply = walk(&setting, "azure", endpoint, Some(&others)).await;
    assert_eq!(
        refusal(&reply),
        "Error getting user profile from external provider"
    );
    let token = setting.token("azure", own, json!({}));
    user(
        &setting,
        &walk(&setting, "azure", endpoint, Some(&token)).await,
    )
    .await;
}

#[tokio::test]
async fn a_provider_whose_issuer_is_away_is_refused_before_anybody_leaves() {
    let setting = Setting::new().await;
    setting.issuers.away(true);
    for provider in ["google", "apple"] {
        let reply = setting
            .app
            .visitor()
            .get(&format!("/authorize?provider={provider}"))
            .await;
        let why = reply.refused(400, truegate::error::Code::ValidationFailed);
        assert_eq!(why, "Unsupported provider: its issuer cannot be asked");
    }
    // Who has fixed endpoints needs nobody to leave.
    for provider in ["azure", "linkedin_oidc", "vercel_marketplace"] {
        assert_eq!(
            setting
                .app
                .visitor()
                .get(&format!("/authorize?provider={provider}"))
                .await
                .status,
            302
        );
    }
}
