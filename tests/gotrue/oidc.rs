//! Issuers of OpenID Connect: how often they are asked, and when they are not believed.

use chrono::TimeDelta;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use truegate::clock::{Clock as _, SystemClock, Timestamp};
use truegate::outside::Http;
use truegate::outside::oidc::{IdToken, Oidc};

use crate::support::issuers::{Issuers, Key};

mod callback;
mod profiles;
mod tokens;

const ISSUER: &str = "https://issuer.example.com/realm";
const DISCOVERY: &str = "https://issuer.example.com/realm/.well-known/openid-configuration";

/// Somebody who knows one issuer, at a moment.
struct Verifier {
    issuers: Issuers,
    http: Http,
    oidc: Oidc,
    key: Key,
    now: Timestamp,
}

impl Verifier {
    async fn new() -> Self {
        Self::with_key(Key::es256("first")).await
    }

    async fn with_key(key: Key) -> Self {
        let issuers = Issuers::start().await;
        issuers.add(ISSUER, &key);
        let (http, oidc) = (
            issuers.http(),
            Oidc::new(std::time::Duration::from_hours(1)),
        );
        let now = SystemClock.now();
        Self {
            issuers,
            http,
            oidc,
            key,
            now,
        }
    }

    /// What every token says.
    fn claims(&self) -> Value {
        json!({"iss": ISSUER, "sub": "s-1", "aud": "app", "exp": self.now.timestamp() + 60})
    }

    fn token(&self) -> String {
        self.key.sign(&self.claims(), self.now)
    }

    async fn verify(&self, token: &str) -> anyhow::Result<IdToken> {
        self.verify_as(ISSUER, token).await
    }

    async fn verify_as(&self, issuer: &str, token: &str) -> anyhow::Result<IdToken> {
        let issuer = self.oidc.issuer(&self.http, issuer, self.now).await?;
        issuer.verify(token).await
    }

    async fn is_refused(&self, token: &str) -> String {
        let error = self.verify(token).await.err().expect("it is refused");
        format!("{error:#}")
    }
}

#[tokio::test]
async fn a_hundred_tokens_at_once_ask_the_issuer_once() {
    let verifier = Verifier::new().await;
    let token = verifier.token();
    let all = join_all((0..100).map(|_| verifier.verify(&token))).await;
    assert!(
        all.iter()
            .all(|token| token.as_ref().unwrap().subject() == "s-1")
    );
    assert_eq!(verifier.issuers.asked("/openid-configuration"), 1);
    assert_eq!(verifier.issuers.asked("/jwks"), 1);
}

#[tokio::test]
async fn a_new_key_is_found_at_first_sight_and_made_up_ones_do_not_make_us_ask() {
    let mut verifier = Verifier::new().await;
    let old = verifier.token();
    verifier.verify(&old).await.unwrap();
    verifier.key = Key::es256("second");
    verifier.issuers.rotate(ISSUER, &verifier.key);
    let token = verifier.token();
    let all = join_all((0..50).map(|_| verifier.verify(&token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(verifier.issuers.asked("/jwks"), 2);
    assert!(
        verifier.is_refused(&old).await.contains("no key"),
        "the first key is gone"
    );

    for number in 0..50 {
        let forged = Key::es256(&format!("made-up-{number}"));
        verifier
            .is_refused(&forged.sign(&verifier.claims(), verifier.now))
            .await;
    }
    assert_eq!(verifier.issuers.asked("/jwks"), 2);
    verifier.now += TimeDelta::seconds(5);
    let forged = Key::es256("made-up");
    verifier
        .is_refused(&forged.sign(&verifier.claims(), verifier.now))
        .await;
    assert_eq!(verifier.issuers.asked("/jwks"), 3);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_believed_as_it_was() {
    let mut verifier = Verifier::new().await;
    verifier.verify(&verifier.token()).await.unwrap();
    verifier.now += TimeDelta::hours(2);
    verifier.issuers.away(true);
    verifier.verify(&verifier.token()).await.unwrap();
    verifier.verify(&verifier.token()).await.unwrap();
    assert_eq!(verifier.issuers.asked("/openid-configuration"), 2);
    assert_eq!(verifier.issuers.asked("/jwks"), 2);

    verifier.issuers.away(false);
    let revoked = verifier.token();
    verifier.issuers.rotate(ISSUER, &Key::es256("second"));
    verifier.now += TimeDelta::seconds(30);
    assert!(verifier.is_refused(&revoked).await.contains("no key"));
}

#[tokio::test]
async fn an_issuer_that_was_away_is_asked_again() {
    let verifier = Verifier::new().await;
    verifier.issuers.away(true);
    assert!(verifier.is_refused(&verifier.token()).await.contains("503"));
    verifier.issuers.away(false);
    verifier.verify(&verifier.token()).await.unwrap();
}

#[tokio::test]
async fn callers_choose_tenants_but_not_how_many_are_remembered() {
    let verifier = Verifier::new().await;
    let http = &verifier.http;
    let tenant = |number| format!("https://login.microsoftonline.com/t-{number}/v2.0");
    let ask = async |number| {
        let issuer = tenant(number);
        verifier
            .oidc
            .issuer(http, &issuer, verifier.now)
            .await
            .map(|_| ())
    };
    for number in 0..300 {
        verifier.issuers.add(&tenant(number), &verifier.key);
        ask(number).await.unwrap();
        // This one is in use all the time.
        verifier.verify(&verifier.token()).await.unwrap();
    }
    let asked = || verifier.issuers.asked("/openid-configuration");
    assert_eq!(asked(), 301);
    ask(299).await.unwrap();
    assert_eq!(asked(), 301, "the last ones are remembered");
    ask(0).await.unwrap();
    assert_eq!(asked(), 302, "the first ones are not");
}

#[tokio::test]
async fn made_up_tenants_take_no_place() {
    let verifier = Verifier::new().await;
    verifier.verify(&verifier.token()).await.unwrap();
    let http = &verifier.http;
    for number in 0..300 {
        let issuer = format!("https://login.microsoftonline.com/made-up-{number}/v2.0");
        assert!(
            verifier
                .oidc
                .issuer(http, &issuer, verifier.now)
                .await
                .is_err()
        );
    }
    verifier.verify(&verifier.token()).await.unwrap();
    assert_eq!(
        verifier
            .issuers
            .asked("/realm/.well-known/openid-configuration"),
        1
    );
}

#[tokio::test]
async fn what_one_address_says_of_an_issuer_is_not_for_who_asks_another() {
    let verifier = Verifier::new().await;
    let forger = Key::es256("first");
    let elsewhere = "https://evil.example.com/doc";
    let document = json!({"issuer": ISSUER, "jwks_uri": "https://evil.example.com/jwks",
        "id_token_signing_alg_values_supported": ["ES256"]});
    verifier.issuers.publish(elsewhere, document);
    verifier.issuers.rotate("https://evil.example.com", &forger);
    let token = forger.sign(&verifier.claims(), verifier.now);
    let http = &verifier.http;
    let issuer = verifier
        .oidc
        .issuer_at(http, ISSUER, elsewhere, verifier.now)
        .await
        .unwrap();
    issuer.verify(&token).await.unwrap();
    assert!(verifier.is_refused(&token).await.contains("no key"));
}

#[tokio::test]
async fn documents_that_are_none_are_refused() {
    let good = json!({"issuer": ISSUER, "jwks_uri": "https://issuer.example.com/realm/jwks"});
    let change = |name: &str, value: Value| {
        let mut document = good.clone();
        document[name] = value;
        document
    };
    let without_keys = json!({"issuer": ISSUER});
    for (status, document) in [
        (
            StatusCode::OK,
            change("issuer", json!("https://issuer.example.com/realm/")),
        ),
        (
            StatusCode::OK,
            change("issuer", json!("https://evil.example.com")),
        ),
        (StatusCode::OK, change("issuer", Value::Null)),
        (
            StatusCode::OK,
            change("jwks_uri", json!("http://issuer.example.com/realm/jwks")),
        ),
        (
            StatusCode::OK,
            change("jwks_uri", json!(["https://issuer.example.com/realm/jwks"])),
        ),
        (StatusCode::OK, without_keys),
        (StatusCode::OK, json!("<html>")),
        (StatusCode::OK, change("more", json!("x".repeat(2 << 20)))),
        (StatusCode::CREATED, good.clone()),
        (StatusCode::FOUND, good.clone()),
        (StatusCode::INTERNAL_SERVER_ERROR, good.clone()),
    ] {
        let verifier = Verifier::with_key(Key::rsa()).await;
        verifier.issuers.publish_as(DISCOVERY, status, document);
        verifier.is_refused(&verifier.token()).await;
    }
    let verifier = Verifier::with_key(Key::rsa()).await;
    verifier.issuers.publish(DISCOVERY, good);
    verifier.verify(&verifier.token()).await.unwrap();
}

#[tokio::test]
async fn keys_that_cannot_sign_are_passed_over() {
    let verifier = Verifier::with_key(Key::rsa()).await;
    let jwks = "https://issuer.example.com/realm/jwks";
    let token = verifier.token();
    let jwk = |change: Value| {
        let key = &verifier.key.jwk;
        let mut jwk = json!({"kty": "RSA", "kid": key["kid"], "n": key["n"], "e": key["e"]});
        for (name, value) in change.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    };
    let other = jwk(json!({"n": "AQAB"}));
    for wrong in [
        jwk(json!({"use": "enc"})),
        jwk(json!({"alg": "RS512"})),
        jwk(json!({"alg": "HS256"})),
        jwk(json!({"kid": "another"})),
        json!({"kty": "oct", "kid": verifier.key.jwk["kid"], "k": verifier.key.jwk["n"]}),
        json!("no key"),
        other.clone(),
    ] {
        let verifier = Verifier::with_key(Key::rsa()).await;
        verifier.issuers.publish(jwks, json!({"keys": [wrong]}));
        verifier.is_refused(&token).await;
    }
    for right in [json!({}), json!({"use": "sig"}), json!({"alg": "RS256"})] {
        let verifier = Verifier::with_key(Key::rsa()).await;
        verifier
            .issuers
            .publish(jwks, json!({"keys": ["no key", other, jwk(right)]}));
        verifier.verify(&token).await.unwrap();
    }
}
