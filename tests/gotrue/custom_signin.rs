//! Signing in by custom OpenID Connect providers, which the recordings cannot show: GoTrue asks none on this machine.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use truegate::error::Code;
use truegate::outside::{Http, Manners};

use crate::replay::standin::{self, Standin};
use crate::support::app::TestApp;
use crate::support::reply::Reply;
use crate::support::token::Recipe;

const PATH: &str = "/admin/custom-providers";

/// A server that may reach 127.0.0.1, where the provider is, and nothing else that is private.
struct World {
    app: TestApp,
    provider: Standin,
    /// The provider's address.
    base: String,
}

impl World {
    async fn new() -> Self {
        let provider = Standin::start().await;
        let variables = provider.variables();
        let variable = |wanted| {
            &variables
                .iter()
                .find(|(name, _)| *name == wanted)
                .unwrap()
                .1
        };
        let authority = CertificateDer::from_pem_file(variable("standin_ca")).unwrap();
        let http = Http::new(Manners {
            authorities: vec![authority],
            private_networks: vec!["127.0.0.1/32".parse().unwrap()],
            ..Manners::default()
        });
        let app = TestApp::reaching(http, |_| {}).await;
        let base = variable("standin_tls").clone();
        Self {
            app,
            provider,
            base,
        }
    }

    fn issuer(&self) -> String {
        format!("{}/acme", self.base)
    }

    async fn add(&self, change: Value) -> Reply {
        let mut acme = json!({
            "provider_type": "oidc", "identifier": "custom:acme", "name": "Acme", "client_id": "acme-client",
            "client_secret": "hush", "issuer": self.issuer(), "scopes": ["email"], "acceptable_client_ids": ["second"],
        });
        for (name, value) in change.as_object().unwrap() {
            acme[name] = value.clone();
        }
        self.app.admin().post(PATH, acme).await
    }

    fn answers(&self, routes: &Value) {
        let declaration = serde_json::from_value(json!({ "routes": routes }));
        self.provider.declare(declaration.unwrap());
    }

    /// An ID token for this audience.
    fn id_token(&self, aud: &Value) -> String {
        self.id_token_saying(&json!({ "aud": aud }))
    }

    fn id_token_saying(&self, more: &Value) -> String {
        let mut claims = json!({
            "iss": self.issuer(), "sub": "u-1", "exp": "<unix:now+600>", "email": "ann@example.com",
            "email_verified": true, "nickname": "annie", "groups": ["a"],
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let recipe = json!({"alg": "RS256", "key": "standin", "claims": claims});
        let recipe: Recipe = serde_json::from_value(recipe).unwrap();
        recipe.sign(
            standin::jwk(),
            truegate::clock::Clock::now(&*self.app.clock),
        )
    }

    /// Where the browser is sent to.
    async fn depart(&self) -> String {
        let reply = self
            .app
            .visitor()
            .get("/authorize?provider=custom:acme")
            .await;
        assert_eq!(reply.status, 302, "{reply:?}");
        reply.header("location").unwrap().to_owned()
    }

    /// What comes of it.
    async fn arrive(&self) -> String {
        let address = self.depart().await;
        let (_, state) = address.split_once("state=").unwrap();
        let back = format!("/callback?code=good&state={state}");
        let reply = self.app.visitor().get(&back).await;
        reply.header("location").unwrap().to_owned()
    }

    async fn identity(&self) -> Value {
        let rows = self.app.database().connect().await;
        let data = "select identity_data::text from auth.identities";
        let data: String = rows.query_one(data, &[]).await.unwrap().get(0);
        serde_json::from_str(&data).unwrap()
    }
}

#[tokio::test]
async fn an_id_token_says_who_it_is() {
    let world = World::new().await;
    let change = json!({
        "attribute_mapping": {"name": "nickname"}, "custom_claims_allowlist": ["groups"],
        "authorization_params": {"prompt": "login"},
    });
    let added = world.add(change).await.ok();
    let endpoint = format!("{}/token", world.issuer());
    assert_eq!(
        added["discovery_document"]["token_endpoint"],
        endpoint.as_str()
    );
    assert_eq!(added["scopes"], json!(["openid", "email"]));

    let address = world.depart().await;
    let expected = format!(
        "{}/authorize?client_id=acme-client&code_challenge=",
        world.issuer()
    );
    assert!(address.starts_with(&expected), "{address}");
    for part in [
        "&prompt=login&",
        "&scope=openid+email&",
        "redirect_uri=https%3A%2F%2Fauth.example.com%2Fcallback&",
    ] {
        assert!(address.contains(part), "{address}");
    }

    for aud in [json!("acme-client"), json!("second")] {
        let id_token = world.id_token(&aud);
        world.answers(
            &json!({"POST /acme/token": {"json": {"access_token": "at", "id_token": id_token}}}),
        );
        let target = world.arrive().await;
        assert!(target.contains("#access_token="), "{target}");
    }
    let identity = world.identity().await;
    assert_eq!(
        (&identity["name"], &identity["custom_claims"]),
        (&json!("annie"), &json!({"groups": ["a"]}))
    );
}

#[tokio::test]
async fn attack_032_an_id_token_for_another_client_signs_nobody_in() {
    let world = World::new().await;
    world.add(json!({})).await.ok();
    for aud in [
        json!("third"),
        json!(["third", "fourth"]),
        json!(["acme-client", "third"]),
        json!(""),
    ] {
        let id_token = world.id_token(&aud);
        // Userinfo would say who it is: a bad ID token is not a missing one.
        world.answers(&json!({
            "POST /acme/token": {"json": {"access_token": "at", "id_token": id_token}},
            "GET /acme/userinfo": {"json": {"sub": "u-1", "email": "ann@example.com"}},
        }));
        let target = world.arrive().await;
        assert!(target.contains("error=server_error"), "{aud}: {target}");
    }
}

#[tokio::test]
async fn who_cannot_set_out_is_not_expected_back() {
    let world = World::new().await;
    world.add(json!({})).await.ok();
    let rows = world.app.database().connect().await;
    let noted = async || {
        let count = "select (select count(*) from auth.flow_state), (select count(*) from auth.oauth_client_states)";
        let row = rows.query_one(count, &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    let refused = async |why: &str| {
        let visitor = world.app.visitor();
        let reply = visitor.get("/authorize?provider=custom:acme").await;
        let refused = reply.refused(400, Code::ValidationFailed);
        assert!(refused.contains(why), "{refused}");
        assert_eq!(noted().await, (0, 0));
    };
    let at = "GET /acme/.well-known/openid-configuration";
    world.answers(&json!({ (at): {"status": 404, "json": {}} }));
    refused("error creating OIDC provider").await;
    let enable = async |enabled| {
        let path = format!("{PATH}/custom:acme");
        let change = json!({ "enabled": enabled });
        world.app.admin().put(&path, change).await.ok();
    };
    enable(false).await;
    refused("custom provider custom:acme is disabled").await;
    enable(true).await;
    world.answers(&json!({}));
    world.depart().await;
    assert_eq!(noted().await, (1i64, 1i64));
}

/// As OpenID Connect Core 1.0, section 5.4, has it.
#[tokio::test]
async fn userinfo_adds_the_address_that_an_id_token_does_not_tell() {
    let world = World::new().await;
    let change = json!({"custom_claims_allowlist": ["groups", "team"], "attribute_mapping": {"sub": "nickname"}});
    world.add(change).await.ok();
    let id_token = world
        .id_token_saying(&json!({"aud": "acme-client", "email": null, "phone_verified": true}));
    let userinfo = |sub: &str| {
        json!({
            "POST /acme/token": {"json": {"access_token": "at", "id_token": id_token}},
            "GET /acme/userinfo": {"json": {
                "sub": sub, "email": "ann@example.com", "email_verified": true, "nickname": "other", "name": "Ann",
                "groups": ["b"], "team": "red",
            }},
        })
    };
    // Two who are mapped to one are two.
    world.answers(&userinfo("u-2"));
    let target = world.arrive().await;
    assert!(target.contains("error=server_error"), "{target}");
    world.answers(&userinfo("u-1"));
    let target = world.arrive().await;
    assert!(target.contains("#access_token="), "{target}");
    let identity = world.identity().await;
    let said = [
        "sub",
        "email",
        "email_verified",
        "phone_verified",
        "nickname",
        "name",
        "custom_claims",
    ];
    assert_eq!(
        said.map(|name| identity[name].clone()),
        [
            json!("annie"),
            json!("ann@example.com"),
            json!(true),
            json!(true),
            json!("annie"),
            json!("Ann"),
            json!({"groups": ["a"], "team": "red"}),
        ]
    );
}

#[tokio::test]
async fn without_an_id_token_userinfo_says_who_it_is() {
    let world = World::new().await;
    world
        .add(json!({"attribute_mapping": {"email": "preferred_username"}}))
        .await
        .ok();
    world.answers(&json!({
        "POST /acme/token": {"json": {"access_token": "at", "id_token": ""}},
        "GET /acme/userinfo": {"json": {"sub": "u-2", "preferred_username": "bob@example.com", "email_verified": true}},
    }));
    let target = world.arrive().await;
    assert!(target.contains("#access_token="), "{target}");
    assert_eq!(world.identity().await["email"], "bob@example.com");
}

#[tokio::test]
async fn a_document_that_lacks_something_is_told_when_the_provider_is_added() {
    let world = World::new().await;
    let document = format!("{}/.well-known/openid-configuration", world.issuer());
    let at = "GET /acme/.well-known/openid-configuration";
    let cases = [
        (
            json!({"json": {"issuer": "https://evil.example.com"}}),
            format!(
                "oidc: issuer mismatch, expected {:?} got \"https://evil.example.com\"",
                world.issuer()
            ),
        ),
        (
            json!({"status": 404, "json": {}}),
            format!("oidc: discovery request to {document} returned 404 Not Found"),
        ),
        (
            json!({"text": "<html>"}),
            format!("oidc: failed to decode discovery document from {document}: it is none"),
        ),
    ];
    for (answer, words) in cases {
        world.answers(&json!({ (at): answer }));
        let refused = world
            .add(json!({}))
            .await
            .refused(400, Code::ValidationFailed);
        assert_eq!(
            refused,
            format!("OIDC discovery from {document:?} failed: {words}")
        );
    }
    world.answers(&json!({ (at): {"json": {"issuer": world.issuer(), "token_endpoint": "https://x", "scopes_supported": null}} }));
    assert_eq!(
        world
            .add(json!({}))
            .await
            .refused(400, Code::ValidationFailed),
        "OIDC discovery document is missing required fields: authorization_endpoint, jwks_uri"
    );
    assert_eq!(
        world.app.admin().get(PATH).await.ok()["providers"],
        json!([])
    );
}

/// Facebook's is behind a slash.
#[tokio::test]
async fn an_issuers_document_may_be_elsewhere_on_its_host_and_nowhere_else() {
    let world = World::new().await;
    let at = "/acme/.well-known/openid-configuration";
    let moved =
        |to: &str| json!({ (format!("GET {at}")): {"status": 301, "headers": {"location": to}} });
    world.answers(&moved("/moved/.well-known/openid-configuration"));
    let words = world
        .add(json!({}))
        .await
        .refused(400, Code::ValidationFailed);
    assert!(words.contains("issuer mismatch"), "{words}");
    // On another port it is another's, even if it says the right thing; and it has to be somewhere.
    let elsewhere = Standin::start().await;
    let [_, (_, elsewhere), ..] = elsewhere.variables();
    for to in [&format!("{elsewhere}{at}"), at] {
        world.answers(&moved(to));
        let refused = world.add(json!({})).await;
        refused.refused(400, Code::ValidationFailed);
    }
    let document = json!({
        "issuer": world.issuer(), "authorization_endpoint": format!("{}/authorize", world.issuer()),
        "token_endpoint": format!("{}/token", world.issuer()), "jwks_uri": format!("{}/jwks.json", world.base),
    });
    let mut routes = moved(&format!("{at}/"));
    routes[format!("GET {at}/")] = json!({ "json": document });
    world.answers(&routes);
    world.add(json!({})).await.ok();
    let address = world.depart().await;
    assert!(
        address.starts_with(&format!("{}/authorize?", world.issuer())),
        "{address}"
    );
}

#[tokio::test]
async fn attack_090_an_issuers_document_leads_nowhere_inside() {
    let world = World::new().await;
    let inside = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    inside.set_nonblocking(true).unwrap();
    let base = format!("https://{}", inside.local_addr().unwrap());
    let document = json!({
        "issuer": world.issuer(), "authorization_endpoint": format!("{}/authorize", world.issuer()),
        "token_endpoint": format!("{base}/token"), "userinfo_endpoint": format!("{base}/userinfo"), "jwks_uri": format!("{base}/jwks"),
    });
    let id_token = world.id_token(&json!("acme-client"));
    let routes = |document: &Value| {
        json!({
            "GET /acme/.well-known/openid-configuration": {"json": document},
            "POST /acme/token": {"json": {"access_token": "at", "id_token": id_token}},
        })
    };
    world.answers(&routes(&document));
    world.add(json!({})).await.ok();
    assert!(world.arrive().await.contains("error=server_error"));
    // The same for the keys alone.
    let mut keys = document.clone();
    keys["token_endpoint"] = format!("{}/token", world.issuer()).into();
    world.answers(&routes(&keys));
    let changed = json!({"issuer": world.issuer()});
    world
        .app
        .admin()
        .put(&format!("{PATH}/custom:acme"), changed)
        .await
        .ok();
    assert!(world.arrive().await.contains("error=server_error"));
    let nobody = inside.accept().unwrap_err().kind();
    assert_eq!(nobody, std::io::ErrorKind::WouldBlock);
}
