//! How often a request waits for Postgres, counted on the wire with warm statements; BEGIN and COMMIT count.

use std::collections::HashMap;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::SecretString;
use serde_json::{Value, json};
use truegate::clock::Clock as _;
use truegate::config::Config;
use truegate::outside::{Http, Manners};

use crate::replay::standin::Standin;
use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::database::Database;
use crate::support::issuers::{Issuers, Key};
use crate::support::provider::{Detour, Provider};
use crate::support::wire::Wire;

/// Requests until each connection has prepared what it needs.
const WARM_UP: usize = 5;
/// Requests that are counted.
const COUNTED: usize = 5;

/// An app whose pool talks to Postgres by a wire: one connection, so that all statements are warm.
async fn wired(refresh_token_version: u32) -> (TestApp, Wire) {
    wired_with(|config| {
        config.security.refresh_token_algorithm_version = refresh_token_version;
    })
    .await
}

/// The same with other settings.
async fn wired_with(change: impl FnOnce(&mut Config)) -> (TestApp, Wire) {
    wired_reaching(Http::default(), change).await
}

/// The same in another world.
async fn wired_reaching(http: Http, change: impl FnOnce(&mut Config)) -> (TestApp, Wire) {
    let wire = Wire::to(&Database::server()).await;
    let app = TestApp::reaching(http, |config| {
        let url = secrecy::ExposeSecret::expose_secret(&config.db.database_url);
        config.db.database_url = SecretString::from(wire.url(url));
        config.db.max_pool_size = 1;
        config.truegate.batch = true;
        change(config);
    })
    .await;
    (app, wire)
}

/// The most round trips that one of these requests makes.
async fn most(wire: &Wire, mut request: impl AsyncFnMut()) -> u64 {
    for _ in 0..WARM_UP {
        request().await;
    }
    let mut most = 0;
    for _ in 0..COUNTED {
        let before = wire.round_trips();
        request().await;
        most = most.max(wire.round_trips() - before);
    }
    most
}

#[tokio::test]
async fn to_read_the_user_is_one_round_trip() {
    let (app, wire) = wired(1).await;
    let alice = app.user("alice@example.com").await;
    let trips = most(&wire, async || drop(alice.get("/user").await.ok())).await;
    assert_eq!(trips, 1);
}

async fn refresh(version: u32) -> u64 {
    let (app, wire) = wired(version).await;
    let alice = app.user("alice@example.com").await;
    let mut token = alice.refresh_token.clone();
    most(&wire, async || {
        let grant = alice
            .post(
                "/token?grant_type=refresh_token",
                json!({"refresh_token": token}),
            )
            .await
            .ok();
        grant["refresh_token"]
            .as_str()
            .unwrap()
            .clone_into(&mut token);
    })
    .await
}

#[tokio::test]
async fn to_refresh_is_one_round_trip() {
    let trips = (refresh(1).await, refresh(2).await);
    assert_eq!(trips, (1, 1), "version 1 and 2");
}

async fn sign_in(app: &TestApp) -> Caller {
    let credentials = json!({"email": "alice@example.com", "password": PASSWORD});
    let grant = app
        .visitor()
        .post("/token?grant_type=password", credentials)
        .await
        .ok();
    app.granted(&grant)
}

#[tokio::test]
async fn to_sign_in_is_at_most_two_round_trips() {
    for version in [1, 2] {
        let (app, wire) = wired(version).await;
        app.user("alice@example.com").await;
        let trips = most(&wire, async || drop(sign_in(&app).await)).await;
        assert!(trips <= 2, "{trips}");
    }
}

#[tokio::test]
async fn to_hash_a_password_anew_is_no_further_round_trip() {
    // bcrypt of "imported-secret-1", at the least cost.
    const HASH: &str = "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2";
    let (app, wire) = wired(1).await;
    let mut emails = Vec::new();
    for turn in 0..WARM_UP + COUNTED {
        let email = format!("ann{turn}@example.com");
        let user = json!({"email": email, "password_hash": HASH, "email_confirm": true});
        app.admin().post("/admin/users", user).await.ok();
        emails.push(email);
    }
    let trips = most(&wire, async || {
        let login = json!({"email": emails.pop(), "password": "imported-secret-1"});
        app.visitor()
            .post("/token?grant_type=password", login)
            .await
            .ok();
    })
    .await;
    assert!(trips <= 2, "{trips}");
    let old = "SELECT count(*) FROM auth.users WHERE encrypted_password NOT LIKE '$argon2id$%'";
    let row = app.database().connect().await.query_one(old, &[]).await;
    assert_eq!(row.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn to_sign_up_is_at_most_three_round_trips() {
    for version in [1, 2] {
        let (app, wire) = wired(version).await;
        let mut newcomers = 0;
        let trips = most(&wire, async || {
            newcomers += 1;
            let email = format!("newcomer{newcomers}@example.com");
            let body = json!({"email": email, "password": PASSWORD});
            app.visitor().post("/signup", body).await.ok();
        })
        .await;
        assert!(trips <= 3, "{trips}");
    }
}

#[tokio::test]
async fn to_leave_is_at_most_two_round_trips() {
    let (app, wire) = wired(1).await;
    app.user("alice@example.com").await;
    for scope in ["global", "local", "others"] {
        let mut callers = Vec::new();
        for _ in 0..WARM_UP + COUNTED {
            // A session of a user of its own: the global scope ends all of a user's.
            callers.push(
                app.user(&format!("{scope}{}@example.com", callers.len()))
                    .await,
            );
        }
        let path = format!("/logout?scope={scope}");
        let trips = most(&wire, async || {
            let caller = callers.pop().unwrap();
            assert_eq!(caller.post(&path, Value::Null).await.status, 204);
        })
        .await;
        assert!(trips <= 2, "{scope}: {trips}");
    }
}

#[tokio::test]
async fn what_stands_in_memory_is_no_round_trip() {
    let (app, wire) = wired(1).await;
    for path in ["/.well-known/jwks.json", "/settings", "/health"] {
        let trips = most(&wire, async || drop(app.visitor().get(path).await.ok())).await;
        assert_eq!(trips, 0, "{path}");
    }
}

#[tokio::test]
async fn to_set_out_for_a_provider_is_one_round_trip() {
    let provider = Provider::start().await;
    let (app, wire) = wired_with(|config| provider.configure(config)).await;
    let trips = most(&wire, async || drop(Detour::begin(&app, "").await)).await;
    assert_eq!(trips, 1);
}

#[tokio::test]
async fn to_come_back_from_a_provider_is_at_most_five_round_trips() {
    let provider = Provider::start().await;
    let (app, wire) = wired_with(|config| provider.configure(config)).await;
    let come_back = async |newcomers: &str| {
        let mut people = 0;
        let mut detours = Vec::new();
        for _ in 0..WARM_UP + COUNTED {
            detours.push(Detour::begin(&app, "").await);
        }
        most(&wire, async || {
            if !newcomers.is_empty() {
                people += 1;
                let login = format!("{newcomers}{people}");
                provider.is_signed_in(&login, &format!("{login}@example.com"), true);
            }
            app.came_back(&detours.pop().unwrap().end(&app).await);
        })
        .await
    };
    let trips = (come_back("newcomer").await, come_back("").await);
    assert!(trips.0 <= 5 && trips.1 <= 5, "new and known: {trips:?}");
}

#[tokio::test]
async fn an_id_token_is_four_round_trips() {
    const GOOGLE: &str = "https://accounts.google.com";
    let (issuers, key) = (Issuers::start().await, Key::es256("key"));
    issuers.add(GOOGLE, &key);
    let (app, wire) = wired_reaching(issuers.http(), |config| {
        let google = config.external.providers.get_mut("google").unwrap();
        google.enabled = true;
        google.client_id = vec!["truegate".to_owned()];
    })
    .await;
    let sign_in = async |caller: &Caller, person: &str, link: bool| {
        let exp = app.clock.now().timestamp() + 600;
        let claims = json!({"iss": GOOGLE, "aud": "truegate", "exp": exp, "sub": person,
            "email": format!("{person}@example.com"), "email_verified": true});
        let token = key.sign(&claims, app.clock.now());
        let said = json!({"provider": "google", "id_token": token, "link_identity": link});
        let path = "/token?grant_type=id_token";
        drop(caller.post(path, said).await.ok());
    };
    let visitor = app.visitor();
    let again = most(&wire, async || sign_in(&visitor, "ann", false).await).await;
    assert!(again <= 4, "an account that is there: {again}");
    let mut number = 0;
    let anew = most(&wire, async || {
        number += 1;
        sign_in(&visitor, &format!("person-{number}"), false).await;
    })
    .await;
    assert!(anew <= 4, "a new account: {anew}");
    let alice = app.user("alice@example.com").await;
    let linked = most(&wire, async || {
        number += 1;
        sign_in(&alice, &format!("person-{number}"), true).await;
    })
    .await;
    assert!(linked <= 4, "one more identity: {linked}");
}

#[tokio::test]
async fn to_a_custom_provider_and_back_is_one_and_five_round_trips() {
    let provider = Standin::start().await;
    let variables: HashMap<_, _> = provider.variables().into_iter().collect();
    let authority = CertificateDer::from_pem_file(&variables["standin_ca"]).unwrap();
    let http = Http::new(Manners {
        authorities: vec![authority],
        private_networks: vec!["127.0.0.1/32".parse().unwrap()],
        ..Manners::default()
    });
    let (app, wire) = wired_reaching(http, |_| {}).await;
    let place = |path: &str| format!("{}{path}", variables["standin_tls"]);
    let acme = json!({
        "provider_type": "oauth2", "identifier": "custom:acme", "name": "Acme", "client_id": "acme-client",
        "client_secret": "hush", "authorization_url": place("/authorize"), "token_url": place("/token"),
        "userinfo_url": place("/userinfo"),
    });
    let added = app.admin().post("/admin/custom-providers", acme).await;
    assert_eq!(added.status, 201, "{added:?}");
    let says = json!({"routes": {
        "POST /token": {"json": {"access_token": "at"}},
        "GET /userinfo": {"json": {"sub": "ann", "email": "ann@example.com", "email_verified": true}},
    }});
    provider.declare(serde_json::from_value(says).unwrap());

    let mut detours = Vec::new();
    let there = most(&wire, async || {
        let reply = app.visitor().get("/authorize?provider=custom:acme").await;
        detours.push(Detour::of(&reply));
    })
    .await;
    let back = most(&wire, async || {
        app.came_back(&detours.pop().unwrap().end(&app).await);
    })
    .await;
    assert!(there <= 1 && back <= 5, "there {there}, back {back}");
}
