//! Whose token it is.

use super::*;

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
async fn attack_030_tokens_of_others() {
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
