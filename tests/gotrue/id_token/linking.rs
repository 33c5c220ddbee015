//! What becomes of the account.

use std::time::Duration;

use chrono::TimeDelta;

use super::*;

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
async fn attack_034_an_identity_is_added_soon_after_signing_in() {
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
