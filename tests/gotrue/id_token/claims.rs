//! What it says, and what is said along with it.

use super::*;
use crate::replay::specs::hex;

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

/// Attack 32, and who else is one of us.
#[tokio::test]
async fn attack_032_audiences() {
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
