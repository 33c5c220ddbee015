//! Providers and what comes back from them: attacks 29, 34, 35, 36, 72 and 79.

use chrono::TimeDelta;
use serde_json::{Value, json};
use truegate::error::Code;

use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::provider::{Answer, Detour, Provider, USERINFO, location, parameter};
use crate::support::reply::Reply;

const VICTIM: &str = "victim@example.com";

/// A PKCE challenge, and what answers it (RFC 7636, appendix B).
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// What the application is told went wrong.
fn refusal(reply: &Reply) -> String {
    let target = location(reply);
    assert!(
        parameter(target.fragment(), "access_token").is_none(),
        "{target}"
    );
    parameter(target.query(), "error_code").unwrap_or_else(|| panic!("no refusal: {target}"))
}

async fn sessions(app: &TestApp) -> i64 {
    app.count("SELECT count(*) FROM auth.sessions").await
}

async fn sign_in(app: &TestApp, email: &str) -> Reply {
    let credentials = json!({"email": email, "password": PASSWORD});
    let path = "/token?grant_type=password";
    app.visitor().post(path, credentials).await
}

async fn exchange(app: &TestApp, code: &str, verifier: &str) -> Reply {
    let body = json!({"auth_code": code, "code_verifier": verifier});
    app.visitor().post("/token?grant_type=pkce", body).await
}

/// The code that came back to the application.
async fn code(app: &TestApp) -> String {
    let challenge = format!("&code_challenge={CHALLENGE}&code_challenge_method=s256");
    let reply = Detour::begin(app, &challenge).await.end(app).await;
    parameter(location(&reply).query(), "code").unwrap_or_else(|| panic!("no code: {reply:?}"))
}

#[tokio::test]
async fn attack_029_a_state_is_good_for_one_sign_in() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let detour = Detour::begin(&app, "").await;
    app.came_back(&detour.end(&app).await);
    let asked = provider.times_asked();
    assert_eq!(refusal(&detour.end(&app).await), "bad_oauth_state");
    assert_eq!(
        provider.times_asked(),
        asked,
        "the provider is not troubled again"
    );
    assert_eq!(sessions(&app).await, 1);
}

#[tokio::test]
async fn attack_029_of_two_who_bring_one_state_back_at_once_one_signs_in() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    provider.is_signed_in("ann", "ann@example.com", true);
    app.came_back(&Detour::make(&app).await);
    let before = sessions(&app).await;
    let detour = Detour::begin(&app, "").await;
    tokio::join!(detour.end(&app), detour.end(&app), detour.end(&app));
    assert_eq!(sessions(&app).await - before, 1);
}

#[tokio::test]
async fn attack_029_nobody_makes_up_a_state() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let real = Detour::begin(&app, "").await.state;
    let states = [
        String::new(),
        "nonsense".to_owned(),
        uuid::Uuid::new_v4().to_string(),
        uuid::Uuid::nil().to_string(),
        format!("{real}x"),
        format!("{real}%00"),
        real.chars().rev().collect(),
        "%27%20OR%201=1--".to_owned(),
        "a".repeat(10_000),
    ];
    for state in states {
        let reply = Detour {
            state: state.clone(),
        }
        .end(&app)
        .await;
        assert!(!reply.status.is_success(), "{state}: {reply:?}");
        assert!(!reply.status.is_server_error(), "{state}: {reply:?}");
    }
    assert_eq!(provider.times_asked(), 0);
    assert_eq!(sessions(&app).await, 0);
}

#[tokio::test]
async fn attack_029_a_state_ends() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let detour = Detour::begin(&app, "").await;
    let life = app.config.external.flow_state_expiry_duration;
    app.clock
        .advance(chrono::TimeDelta::from_std(life).unwrap());
    app.clock.advance(chrono::TimeDelta::seconds(1));
    assert_eq!(refusal(&detour.end(&app).await), "bad_oauth_state");
    assert_eq!(provider.times_asked(), 0);
}

#[tokio::test]
async fn attack_029_a_code_is_for_who_set_out_and_for_once() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let stolen = code(&app).await;
    let other = "another-verifier-of-another-flow-of-43-characters";
    for verifier in [other, CHALLENGE, ""] {
        let refused = exchange(&app, &stolen, verifier).await;
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    assert_eq!(sessions(&app).await, 0);
    exchange(&app, &stolen, VERIFIER).await.ok();
    let again = exchange(&app, &stolen, VERIFIER).await;
    again.refused(404, Code::FlowStateNotFound);
    assert_eq!(sessions(&app).await, 1);
}

#[tokio::test]
async fn attack_029_a_state_is_no_code() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let challenge = format!("&code_challenge={CHALLENGE}&code_challenge_method=s256");
    let detour = Detour::begin(&app, &challenge).await;
    let refused = exchange(&app, &detour.state, VERIFIER).await;
    refused.refused(404, Code::FlowStateNotFound);
    // Nor is one that came back without its person.
    detour.end(&app).await;
    let refused = exchange(&app, &detour.state, VERIFIER).await;
    refused.refused(404, Code::FlowStateNotFound);
    assert_eq!(sessions(&app).await, 0);
}

#[tokio::test]
async fn attack_035_only_true_is_verified() {
    let provider = Provider::start().await;
    let app = provider
        .app_with(|config| config.mailer.autoconfirm = false)
        .await;
    app.user(VICTIM).await;
    let sessions_before = sessions(&app).await;
    let values = [
        json!(false),
        json!("true"),
        json!("false"),
        json!(1),
        json!([true]),
        json!({"value": true}),
        Value::Null,
    ];
    for value in values {
        for email in [VICTIM, "nobody@example.com"] {
            let person = json!({"sub": "eve", "email": email, "email_verified": value});
            provider.answers(USERINFO, Answer::json(&person));
            refusal(&Detour::make(&app).await);
        }
    }
    let absent = json!({"sub": "eve", "email": VICTIM});
    provider.answers(USERINFO, Answer::json(&absent));
    refusal(&Detour::make(&app).await);

    assert_eq!(sessions(&app).await, sessions_before);
    let confirmed = "SELECT count(*) FROM auth.users WHERE email_confirmed_at IS NOT NULL";
    assert_eq!(app.count(confirmed).await, 1, "the victim alone");
    let linked = "SELECT count(*) FROM auth.identities i JOIN auth.users u ON u.id = i.user_id \
        WHERE u.email = 'victim@example.com' AND i.provider <> 'email'";
    assert_eq!(app.count(linked).await, 0);
}

#[tokio::test]
async fn attack_036_who_takes_an_address_at_the_provider_takes_no_account() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let victim = app.user(VICTIM).await;
    provider.is_signed_in("eve", "eve@example.com", true);
    let eve = app.came_back(&Detour::make(&app).await);

    for verified in [true, false] {
        provider.is_signed_in("eve", VICTIM, verified);
        let again = app.came_back(&Detour::make(&app).await);
        assert_eq!(again.id, eve.id, "an identity is its subject");
        let user = again.get("/user").await.ok();
        assert_eq!(user["email"], "eve@example.com");
    }
    let user = victim.get("/user").await.ok();
    assert_eq!(user["identities"].as_array().unwrap().len(), 1);
    sign_in(&app, VICTIM).await.ok();
}

/// The victim comes by a provider that vouches for the address. Says that the account is theirs alone.
async fn the_victim_comes(app: &TestApp, provider: &Provider) -> Caller {
    provider.is_signed_in("victim", VICTIM, true);
    let victim = app.came_back(&Detour::make(app).await);
    let user = victim.get("/user").await.ok();
    assert_eq!(user["email"], VICTIM);
    let identities = user["identities"].as_array().unwrap();
    assert_eq!(identities.len(), 1, "{identities:?}");
    assert_eq!(identities[0]["provider"], "keycloak");
    assert_eq!(identities[0]["id"], "victim");
    let others = format!(
        "SELECT count(*) FROM auth.sessions WHERE user_id = '{}'",
        victim.id
    );
    assert_eq!(app.count(&others).await, 1, "no session but the victim's");
    victim
}

#[tokio::test]
async fn attack_072_a_password_set_beforehand_opens_nothing() {
    let provider = Provider::start().await;
    let app = provider
        .app_with(|config| config.mailer.autoconfirm = false)
        .await;
    let signup = json!({"email": VICTIM, "password": PASSWORD, "data": {"planted": true}});
    app.visitor().post("/signup", signup).await.ok();
    let planted = app.outbox.take_one();
    let victim = the_victim_comes(&app, &provider).await;

    sign_in(&app, VICTIM)
        .await
        .refused(400, Code::InvalidCredentials);
    let user = victim.get("/user").await.ok();
    assert_eq!(user["user_metadata"]["planted"], Value::Null);
    // The old mail opens nothing either.
    let link = url::Url::parse(&planted.link()).unwrap();
    let followed = format!("/verify?{}", link.query().unwrap());
    let followed = app.visitor().get(&followed).await;
    assert!(parameter(location(&followed).fragment(), "access_token").is_none());
}

#[tokio::test]
async fn attack_072_a_session_kept_open_sees_nothing() {
    let provider = Provider::start().await;
    let app = provider.app_with(|config| {
        config.mailer.autoconfirm = false;
        config.external.anonymous_users_enabled = true;
    });
    let app = app.await;
    // The only session that is had before an address is confirmed.
    let grant = app.visitor().post("/signup", json!({})).await.ok();
    let attacker = app.granted(&grant);
    let wanted = json!({"email": VICTIM, "password": PASSWORD});
    attacker.put("/user", wanted).await.ok();
    let victim = the_victim_comes(&app, &provider).await;
    assert_ne!(victim.id, attacker.id);
    sign_in(&app, VICTIM)
        .await
        .refused(400, Code::InvalidCredentials);
}

#[tokio::test]
async fn attack_072_an_identity_planted_beforehand_opens_nothing() {
    let provider = Provider::start().await;
    let app = provider
        .app_with(|config| config.mailer.autoconfirm = false)
        .await;
    // A provider that knows the attacker by the victim's address, and does not vouch for it.
    provider.is_signed_in("attacker", VICTIM, false);
    assert_eq!(
        refusal(&Detour::make(&app).await),
        "provider_email_needs_verification"
    );
    let victim = the_victim_comes(&app, &provider).await;

    provider.is_signed_in("attacker", VICTIM, false);
    let reply = Detour::make(&app).await;
    refusal(&reply);
    let user = victim.get("/user").await.ok();
    assert_eq!(user["identities"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn attack_072_a_change_of_address_asked_for_beforehand_changes_nothing() {
    let provider = Provider::start().await;
    let app = provider.app_with(|config| {
        config.mailer.autoconfirm = false;
        config.mailer.secure_email_change_enabled = false;
    });
    let app = app.await;
    let attacker = app.user("attacker@example.com").await;
    attacker.put("/user", json!({"email": VICTIM})).await.ok();
    let mail = app.outbox.take(Some(VICTIM)).expect("a mail");
    let victim = the_victim_comes(&app, &provider).await;

    // Even if the victim clicks.
    let link = url::Url::parse(&mail.link()).unwrap();
    let followed = format!("/verify?{}", link.query().unwrap());
    let followed = app.visitor().get(&followed).await;
    assert!(parameter(location(&followed).fragment(), "access_token").is_none());
    let user = attacker.get("/user").await.ok();
    assert_eq!(user["email"], "attacker@example.com");
    let user = victim.get("/user").await.ok();
    assert_eq!(user["email"], VICTIM);
}

#[tokio::test]
async fn attack_072_a_provider_that_vouches_for_nothing_opens_no_account() {
    let provider = Provider::start().await;
    let app = provider
        .app_with(|config| config.mailer.autoconfirm = false)
        .await;
    let victim = app.user(VICTIM).await;
    provider.is_signed_in("attacker", VICTIM, false);
    assert_eq!(
        refusal(&Detour::make(&app).await),
        "provider_email_needs_verification"
    );
    let user = victim.get("/user").await.ok();
    assert_eq!(user["identities"].as_array().unwrap().len(), 1);
    assert_eq!(app.count("SELECT count(*) FROM auth.sessions").await, 1);
}

#[tokio::test]
async fn attack_079_no_claim_of_a_provider_is_a_privilege() {
    let provider = Provider::start().await;
    let app = provider.app().await;
    let planted = uuid::Uuid::new_v4();
    let person = json!({
        "sub": "eve", "email": "eve@example.com", "email_verified": true,
        "id": planted, "user_id": planted, "aud": "admin", "role": "service_role", "is_super_admin": true,
        "is_anonymous": true, "is_sso_user": true, "aal": "aal2", "instance_id": planted, "banned_until": null,
        "app_metadata": {"role": "admin"}, "raw_app_meta_data": {"role": "admin"}, "confirmed_at": "1970-01-01T00:00:00Z",
        "encrypted_password": "x", "phone": "15551234567", "phone_verified": true, "provider": "email",
    });
    provider.answers(USERINFO, Answer::json(&person));
    // Neither what the way there carries.
    let more = "&role=service_role&aud=admin&user_id=x&app_metadata=x&is_super_admin=true&link_identity=true";
    let eve = app.came_back(&Detour::begin(&app, more).await.end(&app).await);

    assert_ne!(eve.id, planted.to_string());
    let user = eve.get("/user").await.ok();
    assert_eq!(user["role"], "authenticated");
    assert_eq!(user["aud"], "authenticated");
    assert_eq!(
        user["app_metadata"],
        json!({"provider": "keycloak", "providers": ["keycloak"]})
    );
    assert_eq!(user["phone"], "");
    assert_eq!(user["is_anonymous"], false);
    let privileged = "SELECT count(*) FROM auth.users WHERE is_super_admin OR is_sso_user OR is_anonymous \
        OR phone IS NOT NULL OR coalesce(encrypted_password, '') <> '' OR email_confirmed_at < '2000-01-01'";
    assert_eq!(app.count(privileged).await, 0);
    eve.get("/admin/users").await.refused(403, Code::NotAdmin);
}

#[tokio::test]
async fn attack_034_an_old_session_adds_no_identity_where_settings_say_so() {
    let provider = Provider::start().await;
    let link = "/user/identities/authorize?provider=keycloak";
    for age in [None, Some(TimeDelta::minutes(10))] {
        let app = provider
            .app_with(|config| {
                config.security.manual_linking_enabled = true;
                config.truegate.linking_session_age = age.map(|age| age.to_std().unwrap());
            })
            .await;
        let alice = app.user("alice@example.com").await;
        assert_eq!(alice.get(link).await.status, 302);
        app.clock.advance(TimeDelta::minutes(11));
        let reply = alice.get(link).await;
        if age.is_none() {
            assert_eq!(reply.status, 302);
        } else {
            reply.refused(403, Code::ReauthenticationNeeded);
            // A refresh is no sign-in.
            let refresh = json!({"refresh_token": alice.refresh_token});
            let refreshed = alice.post("/token?grant_type=refresh_token", refresh).await;
            let alice = app.granted(&refreshed.ok());
            let reply = alice.get(link).await;
            reply.refused(403, Code::ReauthenticationNeeded);
        }
    }
}
