//! Links and codes of mails: attacks 2, 6, 7 and 8.

use axum::body::Body;
use serde_json::{Value, json};
use truegate::config::Config;
use truegate::error::Code;
use url::Url;

use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::outbox::Mail;
use crate::support::reply::Reply;

const ALICE: &str = "alice@example.com";
const MOVED: &str = "alice@example.org";

/// Every `type` that /verify knows for mails.
const TYPES: [&str; 6] = [
    "signup",
    "invite",
    "recovery",
    "magiclink",
    "email",
    "email_change",
];

/// What the reader of a mail holds.
struct Proof {
    to: String,
    hash: String,
    code: String,
}

impl Proof {
    fn of(mail: &Mail) -> Self {
        let link = Url::parse(&mail.link()).unwrap();
        let (_, hash) = link
            .query_pairs()
            .find(|(name, _)| name == "token")
            .unwrap();
        Self {
            to: mail.to.clone(),
            hash: hash.into_owned(),
            code: mail.code().expect("a code"),
        }
    }

    async fn as_hash(&self, app: &TestApp, kind: &str) -> Reply {
        let body = json!({"type": kind, "token_hash": self.hash});
        app.visitor().post("/verify", body).await
    }

    async fn as_code(&self, app: &TestApp, kind: &str) -> Reply {
        let body = json!({"type": kind, "token": self.code, "email": self.to});
        app.visitor().post("/verify", body).await
    }

    /// Says that it is refused in every form.
    async fn is_refused(&self, app: &TestApp, kind: &str, code: Code) {
        self.as_hash(app, kind).await.refused(403, code);
        self.as_code(app, kind).await.refused(403, code);
        let path = format!("/verify?token={}&type={kind}", self.hash);
        let followed = app.visitor().get(&path).await;
        assert_eq!(followed.status, 303, "{followed:?}");
        let target = Url::parse(followed.header("location").unwrap()).unwrap();
        let told: Vec<_> = url::form_urlencoded::parse(target.fragment().unwrap().as_bytes())
            .filter(|(name, _)| name == "error_code" || name == "access_token")
            .collect();
        assert_eq!(
            told,
            [("error_code".into(), code.as_str().into())],
            "{kind}: {target}"
        );
    }
}

/// An app that wants addresses confirmed.
async fn app() -> TestApp {
    app_with(|_| {}).await
}

async fn app_with(change: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with(|config| {
        config.mailer.autoconfirm = false;
        // Not every mail of ours shows its code; operators' mails may.
        let subjects = [
            "invite",
            "confirmation",
            "recovery",
            "magic_link",
            "email_change",
        ];
        let subjects: Value = subjects
            .map(|kind| (kind.to_owned(), json!("{{ .Token }}")))
            .into_iter()
            .collect();
        config.mailer.subjects = serde_json::from_value(subjects).unwrap();
        change(config);
    })
    .await
}

/// Asks for a mail of this kind for Alice; a change of address goes to the new one.
async fn ask(app: &TestApp, alice: &Caller, kind: &str) -> Proof {
    let visitor = app.visitor();
    let email = json!({"email": ALICE});
    let (asked, to) = match kind {
        "signup" => {
            let body = json!({"email": ALICE, "password": PASSWORD});
            (visitor.post("/signup", body).await, ALICE)
        }
        "invite" => (app.admin().post("/invite", email).await, ALICE),
        "recovery" => (visitor.post("/recover", email).await, ALICE),
        "magiclink" => (visitor.post("/magiclink", email).await, ALICE),
        _ => (alice.put("/user", json!({"email": MOVED})).await, MOVED),
    };
    asked.ok();
    let proof = Proof::of(&app.outbox.take(Some(to)).expect("a mail"));
    while app.outbox.take(None).is_some() {}
    proof
}

/// Alice as this kind of mail needs her: unknown, or signed in.
async fn alice_for(app: &TestApp, kind: &str) -> Caller {
    if matches!(kind, "signup" | "invite") {
        app.visitor()
    } else {
        app.user(ALICE).await
    }
}

async fn one_text(app: &TestApp, sql: &str) -> String {
    let client = app.database().connect().await;
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// A request with forged lines, as [`Caller`]s cannot send it.
async fn forged(
    app: &TestApp,
    caller: &Caller,
    (method, uri): (&str, &str),
    body: &Value,
    lines: &[(&str, &str)],
) -> Reply {
    let mut request = http::Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json");
    if !caller.access_token.is_empty() {
        request = request.header("authorization", format!("Bearer {}", caller.access_token));
    }
    for (name, value) in lines {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    app.send(request).await
}

const FORGERIES: [&[(&str, &str)]; 9] = [
    &[("x-forwarded-host", "evil.tld")],
    &[
        ("x-forwarded-host", "evil.tld"),
        ("x-forwarded-proto", "http"),
    ],
    &[("x-forwarded-host", "good.tld, evil.tld")],
    &[("x-forwarded-host", "good.tld:443@evil.tld")],
    &[("host", "evil.tld")],
    &[("host", "good.tld"), ("host", "evil.tld")],
    &[("forwarded", "host=evil.tld;proto=http")],
    &[
        ("x-original-host", "evil.tld"),
        ("x-http-host-override", "evil.tld"),
    ],
    &[
        ("referer", "https://evil.tld/"),
        ("origin", "https://evil.tld"),
    ],
];

/// Has every route that makes a link make one, with these lines in the request; returns the links.
async fn links(app: &TestApp, origin: &str, lines: &[(&str, &str)]) -> Vec<String> {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let address = |name: &str| format!("{name}{number}@example.com");
    let (visitor, admin) = (app.visitor(), app.admin());
    let alice = app.user(&address("alice")).await;
    let (alices, new) = (address("alice"), address("new"));
    let requests = [
        (
            &visitor,
            "POST",
            "/signup",
            json!({"email": new, "password": PASSWORD}),
        ),
        (
            &visitor,
            "POST",
            "/resend",
            json!({"email": new, "type": "signup"}),
        ),
        (&visitor, "POST", "/magiclink", json!({"email": alices})),
        (&visitor, "POST", "/otp", json!({"email": alices})),
        (
            &visitor,
            "POST",
            "/otp",
            json!({"email": address("stranger")}),
        ),
        (&visitor, "POST", "/recover", json!({"email": alices})),
        (
            &admin,
            "POST",
            "/invite",
            json!({"email": address("guest")}),
        ),
        (&alice, "PUT", "/user", json!({"email": address("moved")})),
    ];
    let mut made = Vec::new();
    for (caller, method, path, body) in requests {
        let uri = format!("{origin}{path}");
        forged(app, caller, (method, &uri), &body, lines).await.ok();
        let before = made.len();
        while let Some(mail) = app.outbox.take(None) {
            assert!(!mail.html.contains("evil.tld"), "{path}: {}", mail.html);
            made.push(mail.link());
        }
        assert!(made.len() > before, "{path} sends a mail");
    }
    for kind in [
        "signup",
        "invite",
        "magiclink",
        "recovery",
        "email_change_current",
    ] {
        let email = if matches!(kind, "signup" | "invite") {
            address(kind)
        } else {
            alices.clone()
        };
        let body = json!({"type": kind, "email": email, "password": PASSWORD, "new_email": address("next")});
        let uri = format!("{origin}/admin/generate_link");
        let answer = forged(app, &admin, ("POST", &uri), &body, lines).await.ok();
        made.push(answer["action_link"].as_str().unwrap().to_owned());
    }
    made
}

#[tokio::test]
async fn attack_002_no_request_chooses_the_host_of_links() {
    for hosts in [&[][..], &["good.tld".to_owned()]] {
        let app = app_with(|config| {
            config.mailer.external_hosts = hosts.to_vec();
            config.jwt.issuer = Some("https://auth.example.com".into());
        })
        .await;
        let mut attempts: Vec<(&str, &[(&str, &str)])> =
            FORGERIES.iter().map(|lines| ("", *lines)).collect();
        attempts.push(("http://evil.tld", &[("host", "evil.tld")]));
        for (origin, lines) in attempts {
            for link in links(&app, origin, lines).await {
                assert!(
                    link.starts_with("https://auth.example.com/verify?token="),
                    "{lines:?}: {link}"
                );
                assert!(
                    link.ends_with("&redirect_to=https://app.example.com"),
                    "{lines:?}: {link}"
                );
            }
        }
        for lines in FORGERIES {
            let path = "/.well-known/openid-configuration";
            let found = forged(&app, &app.visitor(), ("GET", path), &Value::Null, lines).await;
            assert!(!found.body.contains("evil.tld"), "{lines:?}: {found:?}");
            assert_eq!(found.ok()["issuer"], "https://auth.example.com");
        }
    }
}

#[tokio::test]
async fn attack_002_a_listed_host_is_chosen_and_nothing_with_it() {
    let app = app_with(|config| config.mailer.external_hosts = vec!["good.tld".into()]).await;
    for link in links(
        &app,
        "",
        &[
            ("x-forwarded-host", "good.tld"),
            ("x-forwarded-proto", "http"),
        ],
    )
    .await
    {
        assert!(link.starts_with("https://good.tld/verify?token="), "{link}");
    }
}

#[tokio::test]
async fn attack_006_a_newer_link_voids_the_older() {
    for kind in ["signup", "invite", "recovery", "magiclink", "email_change"] {
        let app = app().await;
        let alice = alice_for(&app, kind).await;
        let old = ask(&app, &alice, kind).await;
        let new = ask(&app, &alice, kind).await;
        assert_ne!(old.hash, new.hash);
        old.is_refused(&app, kind, Code::OtpExpired).await;
        new.as_hash(&app, kind).await.ok();
        new.is_refused(&app, kind, Code::OtpExpired).await;
        old.is_refused(&app, kind, Code::OtpExpired).await;
    }
}

#[tokio::test]
async fn attack_006_a_newer_link_voids_the_older_that_shares_its_place() {
    let app = app().await;
    let alice = app.user(ALICE).await;
    for (older, newer) in [("recovery", "magiclink"), ("magiclink", "recovery")] {
        let old = ask(&app, &alice, older).await;
        let new = ask(&app, &alice, newer).await;
        old.is_refused(&app, older, Code::OtpExpired).await;
        old.is_refused(&app, newer, Code::OtpExpired).await;
        new.as_code(&app, newer).await.ok();
    }
}

#[tokio::test]
async fn attack_006_a_link_of_the_administrator_voids_the_mailed_one() {
    let app = app().await;
    let alice = app.user(ALICE).await;
    let old = ask(&app, &alice, "recovery").await;
    let body = json!({"type": "recovery", "email": ALICE});
    let made = app.admin().post("/admin/generate_link", body).await.ok();
    old.is_refused(&app, "recovery", Code::OtpExpired).await;
    let body = json!({"type": "recovery", "token_hash": made["hashed_token"]});
    app.visitor().post("/verify", body).await.ok();
}

/// Alice with an open recovery link, after something happened to her account.
async fn recovery_after(
    change: impl FnOnce(&mut Config),
    act: impl AsyncFnOnce(&TestApp, &Caller),
) -> (TestApp, Proof) {
    let app = app_with(change).await;
    let alice = app.user(ALICE).await;
    let proof = ask(&app, &alice, "recovery").await;
    act(&app, &alice).await;
    (app, proof)
}

fn account(alice: &Caller) -> String {
    format!("/admin/users/{}", alice.id)
}

#[tokio::test]
async fn attack_007_a_recovery_link_dies_with_the_old_password() {
    let (app, proof) = recovery_after(
        |_| {},
        async |_, alice| {
            alice
                .put("/user", json!({"password": "another-horse-2"}))
                .await
                .ok();
        },
    )
    .await;
    proof.is_refused(&app, "recovery", Code::OtpExpired).await;
    let (app, proof) = recovery_after(
        |_| {},
        async |app, alice| {
            let body = json!({"password": "another-horse-2"});
            app.admin().put(&account(alice), body).await.ok();
        },
    )
    .await;
    proof.is_refused(&app, "recovery", Code::OtpExpired).await;
}

#[tokio::test]
async fn attack_007_every_link_dies_with_the_old_password() {
    for kind in ["magiclink", "email_change"] {
        let app = app().await;
        let alice = app.user(ALICE).await;
        let proof = ask(&app, &alice, kind).await;
        alice
            .put("/user", json!({"password": "another-horse-2"}))
            .await
            .ok();
        proof.is_refused(&app, kind, Code::OtpExpired).await;
    }
}

#[tokio::test]
async fn attack_007_a_recovery_link_dies_when_the_user_moves() {
    let (app, proof) = recovery_after(
        |config| config.mailer.secure_email_change_enabled = false,
        async |app, alice| {
            let moving = ask(app, alice, "email_change").await;
            moving.as_hash(app, "email_change").await.ok();
            assert_eq!(alice.get("/user").await.ok()["email"], MOVED);
        },
    )
    .await;
    proof.is_refused(&app, "recovery", Code::OtpExpired).await;
    let at_the_new_address = Proof {
        to: MOVED.into(),
        ..proof
    };
    at_the_new_address
        .is_refused(&app, "recovery", Code::OtpExpired)
        .await;
}

#[tokio::test]
async fn attack_007_a_recovery_link_dies_when_both_addresses_confirm_a_move() {
    let (app, proof) = recovery_after(
        |_| {},
        async |app, alice| {
            alice.put("/user", json!({"email": MOVED})).await.ok();
            for to in [MOVED, ALICE] {
                let half = Proof::of(&app.outbox.take(Some(to)).unwrap());
                half.as_code(app, "email_change").await.ok();
            }
            assert_eq!(alice.get("/user").await.ok()["email"], MOVED);
        },
    )
    .await;
    proof.is_refused(&app, "recovery", Code::OtpExpired).await;
}

#[tokio::test]
async fn attack_007_a_confirmation_voids_what_else_is_outstanding() {
    let app = app().await;
    let alice = app.user(ALICE).await;
    let moving = ask(&app, &alice, "email_change").await;
    let magic = ask(&app, &alice, "magiclink").await;
    magic.as_hash(&app, "magiclink").await.ok();
    moving
        .is_refused(&app, "email_change", Code::OtpExpired)
        .await;
}

#[tokio::test]
async fn attack_007_a_recovery_link_dies_with_the_account() {
    for softly in [true, false] {
        let (app, proof) = recovery_after(
            |_| {},
            async |app, alice| {
                let request = http::Request::delete(account(alice))
                    .header(
                        "authorization",
                        format!("Bearer {}", app.admin().access_token),
                    )
                    .header("content-type", "application/json")
                    .body(Body::from(
                        json!({"should_soft_delete": softly}).to_string(),
                    ))
                    .unwrap();
                app.send(request).await.ok();
            },
        )
        .await;
        proof.is_refused(&app, "recovery", Code::OtpExpired).await;
    }
}

#[tokio::test]
async fn attack_007_a_banned_user_recovers_nothing() {
    let (app, proof) = recovery_after(
        |_| {},
        async |app, alice| {
            let body = json!({"ban_duration": "1h"});
            app.admin().put(&account(alice), body).await.ok();
        },
    )
    .await;
    proof.is_refused(&app, "recovery", Code::UserBanned).await;
}

/// Which types this kind of mail may be used as: GoTrue keeps sign-ups with invitations, and recoveries with magic
/// links, in one place each.
fn fits(kind: &str, used_as: &str) -> bool {
    match kind {
        "signup" | "invite" => matches!(used_as, "signup" | "invite" | "email"),
        "recovery" | "magiclink" => matches!(used_as, "recovery" | "magiclink" | "email"),
        _ => used_as == kind,
    }
}

#[tokio::test]
async fn attack_008_a_link_is_of_one_kind() {
    for kind in ["signup", "invite", "recovery", "magiclink", "email_change"] {
        let app = app().await;
        let alice = alice_for(&app, kind).await;
        let proof = ask(&app, &alice, kind).await;
        for used_as in TYPES.into_iter().filter(|used_as| !fits(kind, used_as)) {
            proof.is_refused(&app, used_as, Code::OtpExpired).await;
        }
        for used_as in ["sms", "phone_change"] {
            proof
                .as_hash(&app, used_as)
                .await
                .refused(400, Code::ValidationFailed);
            proof
                .as_code(&app, used_as)
                .await
                .refused(403, Code::OtpExpired);
        }
        proof.as_hash(&app, kind).await.ok();
    }
}

#[tokio::test]
async fn attack_008_a_nonce_is_no_link() {
    let app = app().await;
    let alice = app.user(ALICE).await;
    alice.get("/reauthenticate").await.ok();
    let nonce = Proof {
        to: ALICE.into(),
        hash: one_text(&app, "SELECT reauthentication_token FROM auth.users").await,
        code: app.outbox.take_one().code().unwrap(),
    };
    for kind in TYPES {
        nonce.is_refused(&app, kind, Code::OtpExpired).await;
    }
}

#[tokio::test]
async fn attack_008_a_link_is_no_nonce() {
    let app =
        app_with(|config| config.security.update_password_require_reauthentication = true).await;
    let alice = app.user(ALICE).await;
    app.clock.advance(chrono::TimeDelta::hours(25));
    let request = json!({"grant_type": "refresh_token", "refresh_token": alice.refresh_token});
    let grant = alice
        .post("/token?grant_type=refresh_token", request)
        .await
        .ok();
    let alice = app.granted(&grant);
    alice.get("/reauthenticate").await.ok();
    let nonce = app.outbox.take_one().code().unwrap();
    let recovery = ask(&app, &alice, "recovery").await;
    for wrong in [&recovery.code, &recovery.hash] {
        let body = json!({"password": "another-horse-2", "nonce": wrong});
        alice
            .put("/user", body)
            .await
            .refused(422, Code::ReauthenticationNotValid);
    }
    let body = json!({"password": "another-horse-2", "nonce": nonce});
    alice.put("/user", body).await.ok();
}

/// The S256 challenge of [`VERIFIER`] (RFC 7636, appendix B).
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[tokio::test]
async fn attack_008_codes_of_flows_and_links_are_two_things() {
    let app = app().await;
    app.user(ALICE).await;
    let body =
        json!({"email": ALICE, "code_challenge": CHALLENGE, "code_challenge_method": "s256"});
    app.visitor().post("/magiclink", body).await.ok();
    let proof = Proof::of(&app.outbox.take_one());
    let exchange = async |code: &str| {
        let body = json!({"auth_code": code, "code_verifier": VERIFIER});
        app.visitor().post("/token?grant_type=pkce", body).await
    };
    for link in [proof.hash.as_str(), proof.code.as_str()] {
        exchange(link).await.refused(404, Code::FlowStateNotFound);
    }
    let path = format!("/verify?token={}&type=magiclink", proof.hash);
    let followed = app.visitor().get(&path).await;
    let target = Url::parse(followed.header("location").unwrap()).unwrap();
    let (_, code) = target
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap();
    let code = Proof {
        to: ALICE.into(),
        hash: code.to_string(),
        code: code.to_string(),
    };
    for kind in TYPES {
        code.is_refused(&app, kind, Code::OtpExpired).await;
    }
    exchange(&code.hash).await.ok();
}

#[tokio::test]
async fn attack_008_refresh_and_access_tokens_are_two_things() {
    for version in [1, 2] {
        let app =
            app_with(|config| config.security.refresh_token_algorithm_version = version).await;
        let alice = app.user(ALICE).await;
        app.bearer(&alice.refresh_token)
            .get("/user")
            .await
            .refused(403, Code::BadJwt);
        app.bearer(&alice.refresh_token)
            .get("/admin/users")
            .await
            .refused(403, Code::BadJwt);
        let body = json!({"refresh_token": alice.access_token});
        app.visitor()
            .post("/token?grant_type=refresh_token", body)
            .await
            .refused(400, Code::ValidationFailed);
        for kind in TYPES {
            for token in [&alice.refresh_token, &alice.access_token] {
                let proof = Proof {
                    to: ALICE.into(),
                    hash: token.clone(),
                    code: token.clone(),
                };
                proof.is_refused(&app, kind, Code::OtpExpired).await;
            }
        }
        alice.get("/user").await.ok();
    }
}
