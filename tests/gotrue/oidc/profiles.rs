//! What ID tokens say of a person: each issuer in its own way (GoTrue's `provider/oidc.go`).

use serde_json::{Value, json};
use truegate::outside::providers::Profile;

use super::Verifier;
use crate::support::issuers::Key;

const TENANT: &str = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";

/// What somebody's token of this issuer says.
async fn read(verifier: &Verifier, issuer: &str, claims: &Value) -> anyhow::Result<Profile> {
    let mut all = verifier.claims();
    all["iss"] = issuer.into();
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    verifier.issuers.add(issuer, &verifier.key);
    let token = verifier.key.sign(&all, verifier.now);
    verifier.verify_as(issuer, &token).await.unwrap().profile()
}

/// The addresses, then the claims as they are stored, without those that every token has.
fn seen(profile: Profile) -> Value {
    let emails: Vec<_> = profile
        .emails
        .iter()
        .map(|email| json!([email.email, email.verified, email.primary]))
        .collect();
    let mut claims = profile.claims.into_identity_data();
    for name in ["iss", "aud", "exp", "phone_verified"] {
        claims.remove(name);
    }
    json!([emails, claims])
}

#[tokio::test]
async fn each_issuer_says_it_in_its_own_way() {
    let verifier = Verifier::new().await;
    let ann = ["ann@example.com"];
    for (issuer, claims, expected) in [
        (
            "https://issuer.example.com/other",
            json!({"email": ann[0], "email_verified": true, "name": "Ann", "picture": "p", "groups": ["g"], "nickname": null, "updated_at": 1_700_000_000}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "email": ann[0], "email_verified": true, "name": "Ann", "picture": "p", "updated_at": "2023-11-14T22:13:20Z"}]),
        ),
        (
            "https://accounts.google.com",
            json!({"email": ann[0], "email_verified": true, "name": "Ann", "picture": "p", "hd": "example.com", "given_name": "A"}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "provider_id": "s-1", "email_verified": false, "name": "Ann", "full_name": "Ann", "picture": "p", "avatar_url": "p", "custom_claims": {"hd": "example.com"}}]),
        ),
        (
            "https://accounts.google.com",
            json!({"email": ann[0], "verified_email": true}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "provider_id": "s-1", "email_verified": false}]),
        ),
        (
            "https://www.linkedin.com/oauth",
            json!({"email": ann[0], "email_verified": "true", "given_name": "Ann", "family_name": "Id", "locale": "en", "picture": "p"}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "provider_id": "s-1", "email_verified": false, "name": "Ann Id", "given_name": "Ann", "family_name": "Id", "locale": "en", "picture": "p"}]),
        ),
        (
            "https://kauth.kakao.com",
            json!({"email": ann[0], "nickname": "annie", "picture": "p"}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "provider_id": "s-1", "email_verified": false, "name": "annie", "preferred_username": "annie", "picture": "p"}]),
        ),
        (
            "https://marketplace.vercel.com",
            json!({"global_user_id": "g-1", "user_email": ann[0], "user_name": "Ann", "user_avatar_url": "p"}),
            json!([[[ann[0], true, true]], {"sub": "global_user_id:g-1", "provider_id": "global_user_id:g-1", "email_verified": false, "name": "Ann", "picture": "p"}]),
        ),
        (
            "https://marketplace.vercel.com",
            json!({}),
            json!([[["", true, true]], {"sub": "s-1", "provider_id": "s-1", "email_verified": false}]),
        ),
        (
            "https://www.facebook.com",
            json!({"email": ann[0], "name": "Ann", "picture": "p"}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "provider_id": "s-1", "email": ann[0], "email_verified": true, "name": "Ann", "picture": "p"}]),
        ),
        (
            "https://www.facebook.com",
            json!({}),
            json!([[], {"sub": "s-1", "provider_id": "s-1", "email_verified": false}]),
        ),
        (
            "https://accounts.snapchat.com/accounts/oauth2/token",
            json!({"email": ann[0], "name": "Ann"}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "email": ann[0], "email_verified": true, "name": "Ann"}]),
        ),
        (
            TENANT,
            json!({"email": ann[0], "name": "Ann", "preferred_username": "ann", "tid": "t", "oid": "o", "ver": "2.0", "uti": "u", "nonce": "n"}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "provider_id": "s-1", "email_verified": false, "full_name": "Ann", "preferred_username": "ann", "custom_claims": {"email": ann[0], "tid": "t", "oid": "o"}}]),
        ),
        (
            "https://appleid.apple.com",
            json!({"email": ann[0], "email_verified": "true", "is_private_email": "true", "auth_time": 1_700_000_000, "transfer_sub": "t"}),
            json!([[[ann[0], true, true]], {"sub": "s-1", "provider_id": "s-1", "email_verified": false, "custom_claims": {"is_private_email": true, "auth_time": 1_700_000_000, "transfer_sub": "t"}}]),
        ),
        (
            "https://account.apple.com",
            json!({"is_private_email": false}),
            json!([[["", true, true]], {"sub": "s-1", "provider_id": "s-1", "email_verified": false, "custom_claims": {"is_private_email": false}}]),
        ),
    ] {
        let profile = read(&verifier, issuer, &claims).await.unwrap();
        assert_eq!(profile.claims.iss, issuer);
        assert_eq!(seen(profile), expected, "{issuer} {claims}");
    }
}

/// Attack 35: only a true `true` verifies an address, or what an issuer is known to write instead.
#[tokio::test]
async fn attack_035_what_verifies_an_address() {
    let verifier = Verifier::with_key(Key::es256("first")).await;
    let generic = "https://issuer.example.com/other";
    let yes = json!(true);
    for (issuer, claim, value, verified) in [
        (generic, "email_verified", yes.clone(), Some(true)),
        (generic, "email_verified", json!(false), Some(false)),
        (generic, "email_verified", Value::Null, Some(false)),
        (generic, "email_verified", json!("true"), None),
        (generic, "email_verified", json!("false"), None),
        (generic, "email_verified", json!(1), None),
        (generic, "verified_email", yes.clone(), Some(false)),
        (generic, "EMAIL_VERIFIED", yes.clone(), Some(false)),
        (
            "https://accounts.google.com",
            "email_verified",
            json!("true"),
            None,
        ),
        (
            "https://accounts.google.com",
            "email_verified",
            json!(1),
            None,
        ),
        (
            "https://accounts.google.com",
            "email_verified",
            Value::Null,
            Some(false),
        ),
        (
            "https://www.linkedin.com/oauth",
            "email_verified",
            json!("false"),
            Some(false),
        ),
        (
            "https://www.linkedin.com/oauth",
            "email_verified",
            json!("1"),
            Some(true),
        ),
        (
            "https://www.linkedin.com/oauth",
            "email_verified",
            json!("yes"),
            None,
        ),
        (
            "https://www.linkedin.com/oauth",
            "email_verified",
            json!(""),
            None,
        ),
        (
            "https://www.linkedin.com/oauth",
            "email_verified",
            yes.clone(),
            None,
        ),
        (
            "https://www.linkedin.com/oauth",
            "email_verified",
            Value::Null,
            None,
        ),
        (TENANT, "xms_edov", Value::Null, Some(true)),
        (TENANT, "xms_edov", yes.clone(), Some(true)),
        (TENANT, "xms_edov", json!("1"), Some(true)),
        (TENANT, "xms_edov", json!("true"), Some(true)),
        (TENANT, "xms_edov", json!(false), Some(false)),
        (TENANT, "xms_edov", json!("0"), Some(false)),
        (TENANT, "xms_edov", json!("True"), Some(false)),
        (TENANT, "xms_edov", json!(1), Some(false)),
        (TENANT, "xms_edov", json!({}), Some(false)),
    ] {
        let claims = json!({"email": "victim@example.com", claim: value});
        let profile = read(&verifier, issuer, &claims).await.ok();
        let said = profile.map(|profile| profile.emails[0].verified);
        assert_eq!(said, verified, "{issuer} {claims}");
    }
}

/// As GoTrue, whose decoder stops there.
#[tokio::test]
async fn claims_of_a_wrong_type_are_no_profile() {
    let verifier = Verifier::new().await;
    let generic = "https://issuer.example.com/other";
    for (claims, is_fine) in [
        (json!({"updated_at": "2023-11-14T22:13:20Z"}), true),
        (json!({"updated_at": 1_700_000_000.5}), true),
        (json!({"updated_at": "2023-11-14"}), false),
        (json!({"updated_at": "1700000000"}), false),
        (json!({"picture": 7}), false),
        (json!({"name": {}}), false),
        (json!({"email": "no address"}), true),
    ] {
        let profile = read(&verifier, generic, &claims).await;
        assert_eq!(profile.is_ok(), is_fine, "{claims}");
    }
    let apple = "https://appleid.apple.com";
    for value in [json!("yes"), json!(1), json!("")] {
        assert!(
            read(&verifier, apple, &json!({"is_private_email": value}))
                .await
                .is_err()
        );
    }
}
