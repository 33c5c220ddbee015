//! ID tokens that count, and those that do not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{ISSUER, Verifier};
use crate::support::issuers::Key;

fn with(mut claims: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn a_token_counts_until_it_ends_and_five_minutes_before_it_begins() {
    let mut verifier = Verifier::new().await;
    let start = verifier.now;
    let token = verifier.token();
    verifier.now = start + TimeDelta::seconds(58);
    verifier.verify(&token).await.unwrap();
    verifier.now = start + TimeDelta::seconds(61);
    assert!(verifier.is_refused(&token).await.contains("expired"));

    verifier.now = start;
    let now = verifier.now.timestamp();
    for (change, counts) in [
        (json!({"nbf": now + 299}), true),
        (json!({"nbf": now + 302}), false),
        (json!({"nbf": 1e300}), false),
        (json!({"exp": null}), false),
        (json!({"exp": (now + 60).to_string()}), false),
        (json!({"exp": f64::from(u32::MAX) + 0.5}), true),
        (json!({"exp": -1e300}), false),
        (json!({"exp": now - 1}), false),
    ] {
        let token = verifier
            .key
            .sign(&with(verifier.claims(), &change), verifier.now);
        assert_eq!(verifier.verify(&token).await.is_ok(), counts, "{change}");
    }
}

#[tokio::test]
async fn claims_of_a_wrong_type_spoil_the_token() {
    let verifier = Verifier::new().await;
    for change in [
        json!({"iss": 1}),
        json!({"sub": 7}),
        json!({"aud": {"app": true}}),
        json!({"aud": [1]}),
        json!({"nonce": 5}),
        json!({"at_hash": []}),
        json!({"nbf": "soon"}),
        json!({"iat": "now"}),
    ] {
        let token = verifier
            .key
            .sign(&with(verifier.claims(), &change), verifier.now);
        assert!(
            verifier.is_refused(&token).await.contains("claims"),
            "{change}"
        );
    }
}

/// Attack 30: another issuer's token, and one that only says it is of ours.
#[tokio::test]
async fn attack_030_another_issuer() {
    let verifier = Verifier::new().await;
    let evil = Key::es256("first");
    verifier.issuers.add("https://evil.example.com", &evil);
    assert!(
        verifier
            .is_refused(&evil.sign(&verifier.claims(), verifier.now))
            .await
            .contains("no key")
    );

    for iss in [
        "https://issuer.example.com",
        "https://issuer.example.com/realm/",
        "",
        "HTTPS://issuer.example.com/realm",
    ] {
        let claims = with(verifier.claims(), &json!({ "iss": iss }));
        let error = verifier
            .is_refused(&verifier.key.sign(&claims, verifier.now))
            .await;
        assert!(error.contains("says it is of"), "{error}");
    }
    // Google and Apple go by two names each, nobody else does.
    for (issuer, iss, counts) in [
        ("https://accounts.google.com", "accounts.google.com", true),
        (
            "https://accounts.google.com",
            "https://appleid.apple.com",
            false,
        ),
        (
            "https://appleid.apple.com",
            "https://account.apple.com",
            true,
        ),
        (
            "https://account.apple.com",
            "https://appleid.apple.com",
            true,
        ),
        (
            "https://appleid.apple.com",
            "https://evil.example.com",
            false,
        ),
        ("https://kauth.kakao.com", "kauth.kakao.com", false),
    ] {
        verifier.issuers.add(issuer, &verifier.key);
        let claims = with(verifier.claims(), &json!({ "iss": iss }));
        let result = verifier
            .verify_as(issuer, &verifier.key.sign(&claims, verifier.now))
            .await;
        assert_eq!(result.is_ok(), counts, "{issuer} {iss}");
    }
}

/// Attack 32: a token for others is not for us, and one for others as well has to be made for us.
#[tokio::test]
async fn attack_032_audiences() {
    let verifier = Verifier::new().await;
    let ours = ["app", "", "second"];
    for (change, is_ours) in [
        (json!({"aud": "app"}), true),
        (json!({"aud": ["second"]}), true),
        (json!({"aud": "app", "azp": "an-android-app"}), true),
        (json!({"aud": ["app", "other"], "azp": "app"}), true),
        (json!({"aud": ["app", "second"], "azp": "second"}), true),
        (json!({"aud": ["app", "other"]}), false),
        (json!({"aud": ["app", "other"], "azp": "other"}), false),
        (json!({"aud": ["app", "other"], "azp": ["app"]}), false),
        (json!({"aud": ["other"], "azp": "app"}), false),
        (json!({"aud": "other"}), false),
        (json!({"aud": "App"}), false),
        (json!({"aud": "app "}), false),
        (json!({"aud": ""}), false),
        (json!({"aud": []}), false),
        (json!({"aud": null}), false),
    ] {
        let token = verifier
            .key
            .sign(&with(verifier.claims(), &change), verifier.now);
        let token = verifier.verify(&token).await.unwrap();
        assert_eq!(token.is_for(ours), is_ours, "{change}");
    }
}

#[tokio::test]
async fn an_access_token_belongs_to_its_id_token() {
    let verifier = Verifier::new().await;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"the access token");
    let at_hash = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]);
    let sign = |change| {
        verifier
            .key
            .sign(&with(verifier.claims(), &change), verifier.now)
    };
    let bound = verifier
        .verify(&sign(json!({ "at_hash": at_hash })))
        .await
        .unwrap();
    bound.check_access_token("the access token").unwrap();
    assert!(bound.check_access_token("another").is_err());
    assert!(bound.check_access_token("").is_err());
    let unbound = verifier.verify(&verifier.token()).await.unwrap();
    unbound.check_access_token("any").unwrap();
}

/// Attack 87: what a header can do to a signature.
#[tokio::test]
async fn attack_087_headers() {
    let verifier = Verifier::with_key(Key::rsa()).await;
    let (key, claims, now) = (&verifier.key, verifier.claims(), verifier.now);
    verifier.verify(&key.sign(&claims, now)).await.unwrap();
    // Without a kid, every key is tried.
    verifier
        .verify(&key.sign_with(&json!({}), &claims, now))
        .await
        .unwrap();
    verifier
        .verify(&key.sign_with(&json!({"kid": ""}), &claims, now))
        .await
        .unwrap();

    let own = Key::es256("mine");
    let public = json!({"kty": "EC", "crv": "P-256", "x": own.jwk["x"], "y": own.jwk["y"]});
    for header in [
        json!({"jwk": public}),
        json!({"kid": "mine", "jwk": public}),
        json!({"jku": "https://evil.example.com/jwks"}),
        json!({"x5u": "https://evil.example.com/x5u"}),
        json!({"x5c": ["MIIB"]}),
        json!({"kid": key.jwk["kid"]}),
        json!({"kid": "../../../dev/null"}),
        json!({"kid": "' OR 1=1 --"}),
        json!({"kid": "https://evil.example.com/key"}),
        json!({"kid": "nul\0"}),
        json!({"kid": "k".repeat(65536)}),
    ] {
        verifier
            .is_refused(&own.sign_with(&header, &claims, now))
            .await;
    }
    assert_eq!(verifier.issuers.asked("evil.example.com/jwks"), 0);
    for header in [
        json!({"kid": key.jwk["kid"], "crit": ["exp"]}),
        json!({"crit": []}),
        json!({"b64": false, "crit": ["b64"]}),
        json!({"b64": true}),
        json!({"zip": "DEF"}),
        json!({"enc": "A256GCM"}),
    ] {
        let error = verifier
            .is_refused(&key.sign_with(&header, &claims, now))
            .await;
        assert!(error.contains("extension"), "{error}");
    }
}

/// Attack 87: an algorithm that the issuer does not sign with.
#[tokio::test]
async fn attack_087_algorithms() {
    let verifier = Verifier::with_key(Key::rsa()).await;
    let (claims, now) = (verifier.claims(), verifier.now);
    let public = |key: &Value| json!({"kty": "RSA", "n": key["n"], "e": key["e"]}).to_string();
    let secrets = [
        public(&verifier.key.jwk),
        verifier.key.jwk["n"].as_str().unwrap().to_owned(),
        String::new(),
    ];
    for alg in ["HS256", "HS512"] {
        for secret in &secrets {
            let key = Key {
                alg,
                jwk: json!(secret),
            };
            let header = json!({"kid": verifier.key.jwk["kid"]});
            assert!(
                verifier
                    .is_refused(&key.sign_with(&header, &claims, now))
                    .await
                    .contains("algorithm")
            );
        }
    }
    let token = verifier.key.sign(&claims, now);
    let (_, rest) = token.split_once('.').unwrap();
    for alg in [
        "none", "None", "NONE", "nOnE", "", "RS256 ", "rs256", "ES256", "ES512", "RS1", "RSA-OAEP",
    ] {
        let header = json!({"alg": alg, "kid": verifier.key.jwk["kid"]}).to_string();
        let header = URL_SAFE_NO_PAD.encode(header);
        verifier.is_refused(&format!("{header}.{rest}")).await;
        let (claims, _) = rest.split_once('.').unwrap();
        verifier.is_refused(&format!("{header}.{claims}.")).await;
    }
    // Signed well, and not with what the issuer says it uses.
    let strong = Key {
        alg: "RS512",
        jwk: verifier.key.jwk.clone(),
    };
    let error = verifier.is_refused(&strong.sign(&claims, now)).await;
    assert!(error.contains("does not sign with"), "{error}");
}

/// Attack 87: other spellings of a good token, and signatures that are none.
#[tokio::test]
async fn attack_087_spellings_and_signatures() {
    let verifier = Verifier::new().await;
    let token = verifier.token();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        panic!("three parts");
    };
    let twice = json!({"kid": "first"})
        .to_string()
        .replace('}', ",\"alg\":\"none\",\"alg\":\"ES256\"}");
    let twice = URL_SAFE_NO_PAD.encode(twice);
    let zero = URL_SAFE_NO_PAD.encode([0; 64]);
    // The last character of 64 bytes has four bits that count for nothing.
    let (start, last) = signature.split_at(signature.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = alphabet.find(last).unwrap();
    let other = &alphabet[place + 1..=place + 1];
    for wrong in [
        String::new(),
        "..".to_owned(),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{zero}"),
        format!("{header}.{claims}.{signature}="),
        format!("{header}.{claims}.{signature}."),
        format!("{header}.{claims}.{signature} "),
        format!(" {token}"),
        format!("{header}.{claims}.{start}{other}"),
        format!("{header}=.{claims}.{signature}"),
        format!("{twice}.{claims}.{signature}"),
        format!("{claims}.{claims}.{signature}"),
        format!("{header}.{header}.{signature}"),
        // Five parts: encrypted (RFC 7516).
        format!("{header}.{claims}.{signature}.{claims}.{signature}"),
        json!({"payload": claims, "signatures": [{"protected": header, "signature": signature}]})
            .to_string(),
        format!("{header}.{}.{signature}", "A".repeat(2 << 20)),
    ] {
        verifier.is_refused(&wrong).await;
    }
    verifier.verify(&token).await.unwrap();
    let changed =
        json!({"iss": ISSUER, "sub": "victim", "aud": "app", "exp": verifier.now.timestamp() + 60});
    let changed = URL_SAFE_NO_PAD.encode(changed.to_string());
    verifier
        .is_refused(&format!("{header}.{changed}.{signature}"))
        .await;
}
