//! What every request pays before and after the database: tokens, bodies, redirect targets.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that meets the unexpected has to fail"
)]

use std::hint::black_box;

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Map, json};
use truegate::auth::redirect::RedirectRules;
use truegate::crypto::jwt::{Amr, Claims};
use truegate::crypto::keys::Keys;
use truegate::crypto::refresh_token::{RefreshKey, RefreshToken, SignedToken};
use truegate::params;
use truegate::web::body;
use uuid::Uuid;

params! {
    /// What `/token?grant_type=password` reads.
    struct PasswordGrantParams {
        email: String,
        phone: String,
        password: String,
    }
}

fn metadata(value: serde_json::Value) -> Map<String, serde_json::Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn tokens(criterion: &mut Criterion) {
    let keys = Keys::from_config(
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "",
        None,
        &[],
    )
    .unwrap();
    let now = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000);
    let id = Uuid::from_u128(7);
    let app_metadata = metadata(json!({ "provider": "email", "providers": ["email"] }));
    let user_metadata = metadata(json!({
        "email": "ann@example.com", "email_verified": true, "phone_verified": false, "sub": id,
    }));
    let amr = [Amr {
        method: "password",
        timestamp: now.timestamp(),
        provider: None,
    }];
    let claims = Claims {
        iss: "https://auth.example.com",
        sub: id,
        aud: "authenticated",
        exp: now.timestamp() + 3600,
        iat: now.timestamp(),
        email: "ann@example.com",
        phone: "",
        app_metadata: &app_metadata,
        user_metadata: &user_metadata,
        role: "authenticated",
        aal: "aal1",
        amr: &amr,
        session_id: id,
        is_anonymous: false,
        client_id: None,
        scope: None,
    };
    let token = keys.sign(&claims).unwrap();
    criterion.bench_function("token sign HS256", |b| {
        b.iter(|| keys.sign(black_box(&claims)))
    });
    criterion.bench_function("token verify HS256", |b| {
        b.iter(|| keys.verify(black_box(&token), now))
    });

    let (key, _) = RefreshKey::generate();
    let signed = SignedToken::sign(id, 41, &key).encode();
    let stored = RefreshToken::generate();
    criterion.bench_function("refresh token parse v1", |b| {
        b.iter(|| RefreshToken::parse(black_box(&stored)).is_some())
    });
    criterion.bench_function("refresh token parse v2", |b| {
        b.iter(|| RefreshToken::parse(black_box(&signed)).is_some())
    });
}

fn bodies(criterion: &mut Criterion) {
    let text =
        br#"{"email":"ann@example.com","password":"correct-horse-1","gotrue_meta_security":{}}"#;
    criterion.bench_function("body parse", |b| {
        b.iter(|| {
            body::parse::<PasswordGrantParams>(black_box(text))
                .unwrap()
                .email
                .len()
        });
    });
}

fn redirects(criterion: &mut Criterion) {
    let allowed = [
        "https://app.example.com/**",
        "https://*.preview.example.com/cb",
        "myapp://callback",
    ]
    .map(str::to_owned);
    let rules = RedirectRules::new("https://app.example.com", &allowed).unwrap();
    criterion.bench_function("redirect allowed by glob", |b| {
        b.iter(|| rules.allows(black_box("https://pr-12.preview.example.com/cb")));
    });
    criterion.bench_function("redirect refused", |b| {
        b.iter(|| {
            rules.allows(black_box(
                "https://evil.example.org/?x=https://app.example.com",
            ))
        });
    });
}

criterion_group!(pure, tokens, bodies, redirects);
criterion_main!(pure);
