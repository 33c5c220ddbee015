//! What every request pays before and after the database, in instructions, which noise does not touch: a change of one
//! percent is a change of the code.
//!
//! Valgrind counts. The program runs itself under it with few and with many repetitions of a case; the difference
//! is what the repetitions cost, without start and preparation. Valgrind's processor lacks the newest instructions
//! (SHA-NI for one), so real ones need fewer for hashing; the figures compare commits, not machines.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that meets the unexpected has to fail"
)]

use std::hint::black_box;
use std::io::ErrorKind;
use std::process::Command;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use truegate::app::App;
use truegate::auth::grant::{Grant, Reference};
use truegate::auth::redirect::RedirectRules;
use truegate::clock::{SystemClock, Timestamp};
use truegate::config::Config;
use truegate::crypto::refresh_token::{RefreshKey, RefreshToken, SignedToken};
use truegate::error::Error;
use truegate::faces::gotrue::views::{UserView, signed_in};
use truegate::models::identity::Identity;
use truegate::models::session::Aal;
use truegate::models::user::User;
use truegate::params;
use truegate::web::{body, json};
use uuid::Uuid;

/// How often a case is repeated.
const FEW: usize = 200;
const MANY: usize = 1200;

/// A refresh token of version 1, and a key of version 2.
const STORED: &str = "k3rjx5w2qz7m";
const KEY: &str = "bm9ib2R5LWtub3dzLWJ1dC1ldmVyeWJvZHktY291bGQ";

type Case = (&'static str, fn(&App, usize));

const CASES: [Case; 11] = [
    ("token sign (HS256)", sign),
    ("token verify, first time", verify_new),
    ("token verify, remembered", verify_known),
    ("refresh token parse, version 1", parse_stored),
    ("refresh token parse, version 2", parse_signed),
    ("refresh token sign, version 2", sign_refresh),
    ("body parse", parse_body),
    ("user as JSON", render_user),
    ("answer of a sign-in, with its token", render_grant),
    ("redirect allowed by glob", allow_redirect),
    ("redirect refused", refuse_redirect),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [case, times] if case != "--bench" => {
            let (_, repeat) = CASES.iter().find(|(name, _)| name == case).expect("a case");
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let _inside = runtime.as_ref().unwrap().enter();
            repeat(&app(), times.parse().unwrap());
        }
        _ => compare(),
    }
}

fn compare() {
    if let Err(error) = Command::new("valgrind").arg("--version").output() {
        assert_eq!(error.kind(), ErrorKind::NotFound, "valgrind: {error}");
        println!("instructions: not counted, as there is no valgrind on this machine");
        return;
    }
    println!("| {:<36} | {:>12} |", "pure work", "instructions");
    println!("| {:-<36} | {:->12} |", "", ":");
    for (name, _) in CASES {
        let each = (instructions(name, MANY) - instructions(name, FEW)) / (MANY - FEW);
        println!("| {name:<36} | {each:>12} |");
    }
}

fn instructions(case: &str, times: usize) -> usize {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args([case, &times.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.unwrap_or_else(|| panic!("no count in {said}"));
    count.trim().parse().unwrap()
}

fn app() -> App {
    let config = Config::from_pairs([
        ("DATABASE_URL", "postgres:///nowhere"),
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        (
            "GOTRUE_JWT_SECRET",
            "a-secret-of-the-benches-with-more-than-32-characters",
        ),
        ("GOTRUE_JWT_AUD", "authenticated"),
    ]);
    App::build(config.unwrap(), Arc::new(SystemClock)).unwrap()
}

fn now() -> Timestamp {
    DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn user() -> User {
    // Nothing here is random, as its digits would count.
    let mut user = User::new(
        "authenticated",
        Some("ann@example.com".to_owned()),
        None,
        now(),
    );
    user.id = Uuid::from_u128(11);
    let map = |value: Value| value.as_object().cloned().unwrap();
    let mut identity = Identity::of_email(user.id, "ann@example.com", true, now());
    identity.id = Uuid::from_u128(13);
    "authenticated".clone_into(&mut user.role);
    user.email_confirmed_at = Some(now());
    user.confirmed_at = Some(now());
    user.last_sign_in_at = Some(now());
    user.app_metadata = map(json!({ "provider": "email", "providers": ["email"] }));
    user.user_metadata.clone_from(&identity.identity_data);
    user.identities.push(identity);
    user
}

fn grant() -> Grant {
    Grant {
        user: user(),
        session_id: Uuid::from_u128(7),
        aal: Aal::One,
        amr: vec![Reference {
            method: "password".to_owned(),
            timestamp: now().timestamp(),
            provider: None,
        }],
        refresh_token: STORED.to_owned(),
        issued_at: now(),
        expires_at: now() + TimeDelta::hours(1),
        scope: None,
        weak_password: None,
        provider_tokens: None,
        headers: vec![("sb-auth-user-id", Uuid::from_u128(7).to_string())],
    }
}

/// With HMAC nothing has to be waited for.
fn at_once<T>(future: impl Future<Output = Result<T, Error>>) -> T {
    future.now_or_never().unwrap().unwrap()
}

fn sign(app: &App, times: usize) {
    let grant = grant();
    for _ in 0..times {
        black_box(at_once(black_box(&grant).access_token(app)));
    }
}

fn verify_new(app: &App, times: usize) {
    let mut grant = grant();
    // As many whatever is asked for, so that making them is no part of the difference.
    let tokens: Vec<String> = (0..MANY)
        .map(|number| {
            grant.session_id = Uuid::from_u128(number as u128);
            at_once(grant.access_token(app))
        })
        .collect();
    for token in tokens.iter().take(times) {
        black_box(app.keys.verify(black_box(token), now()).unwrap());
    }
}

fn verify_known(app: &App, times: usize) {
    let token = at_once(grant().access_token(app));
    for _ in 0..times {
        black_box(app.keys.verify(black_box(&token), now()).unwrap());
    }
}

fn parse_stored(_: &App, times: usize) {
    for _ in 0..times {
        black_box(RefreshToken::parse(black_box(STORED)).unwrap());
    }
}

fn signed_token() -> (RefreshKey, SignedToken) {
    let key = RefreshKey::decode(KEY).unwrap();
    let token = SignedToken::sign(Uuid::from_u128(7), 41, &key);
    (key, token)
}

fn parse_signed(_: &App, times: usize) {
    let token = signed_token().1.encode();
    for _ in 0..times {
        black_box(RefreshToken::parse(black_box(&token)).unwrap());
    }
}

fn sign_refresh(_: &App, times: usize) {
    let (key, token) = signed_token();
    for _ in 0..times {
        let next = SignedToken::sign(black_box(token.session_id), token.counter + 1, &key);
        black_box(next.encode());
    }
}

params! {
    /// What `/token?grant_type=password` reads.
    struct PasswordGrantParams {
        email: String,
        phone: String,
        password: String,
    }
}

fn parse_body(_: &App, times: usize) {
    let text =
        br#"{"email":"ann@example.com","password":"correct-horse-1","gotrue_meta_security":{}}"#;
    for _ in 0..times {
        black_box(body::parse::<PasswordGrantParams>(black_box(text)).unwrap());
    }
}

fn render_user(_: &App, times: usize) {
    let user = user();
    for _ in 0..times {
        black_box(json::to_vec(&UserView::from(black_box(&user))).unwrap());
    }
}

fn render_grant(app: &App, times: usize) {
    let grant = grant();
    for _ in 0..times {
        black_box(at_once(signed_in(app, black_box(&grant))));
    }
}

fn redirects() -> RedirectRules {
    let allowed = [
        "https://app.example.com/**",
        "https://*.preview.example.com/cb",
        "myapp://callback",
    ];
    RedirectRules::new("https://app.example.com", &allowed.map(str::to_owned)).unwrap()
}

fn allow_redirect(_: &App, times: usize) {
    let rules = redirects();
    for _ in 0..times {
        assert!(rules.allows(black_box("https://pr-12.preview.example.com/cb")));
    }
}

fn refuse_redirect(_: &App, times: usize) {
    let rules = redirects();
    let target = "https://evil.example.org/?x=https://app.example.com";
    for _ in 0..times {
        assert!(!rules.allows(black_box(target)));
    }
}
