//! What strangers and users may not do, on every route.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use serde_json::{Value, json};
use truegate::error::Code;

use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::reply::Reply;
use crate::support::routes;
use crate::support::token::Recipe;

/// What a caller's token says.
pub fn claims(caller: &Caller) -> Value {
    let claims = caller.access_token.split('.').nth(1).expect("a token");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

const STRANGE_ID: &str = "11111111-1111-4111-8111-111111111111";

/// Members of a user that nobody gives to oneself.
fn privileges() -> Value {
    json!({
        "role": "service_role",
        "is_super_admin": true,
        "aud": "evil",
        "raw_app_meta_data": {"role": "service_role"},
        "raw_user_meta_data": {"role": "service_role"},
        "confirmed_at": "2020-01-01T00:00:00Z",
        "email_confirmed_at": "2020-01-01T00:00:00Z",
        "phone_confirmed_at": "2020-01-01T00:00:00Z",
        "email_confirm": true,
        "phone_confirm": true,
        "confirm": true,
        "invited_at": "2020-01-01T00:00:00Z",
        "created_at": "2020-01-01T00:00:00Z",
        "id": STRANGE_ID,
        "user_id": STRANGE_ID,
        "sub": STRANGE_ID,
        "instance_id": STRANGE_ID,
        "aal": "aal2",
        "amr": [{"method": "totp", "timestamp": 0}],
        "ban_duration": "none",
        "banned_until": null,
        "is_anonymous": true,
        "is_sso_user": true,
        "provider": "google",
        "providers": ["google"],
        "password_hash": "$2a$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "encrypted_password": "$2a$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "identities": [{"provider": "google", "id": "1", "user_id": STRANGE_ID}],
        "factors": [{"factor_type": "totp", "status": "verified"}],
        "email_change": "evil@example.com",
        "email_change_confirm_status": 1,
        "confirmation_token": "x",
        "recovery_token": "x",
        "deleted_at": "2020-01-01T00:00:00Z",
    })
}

/// These members with all privileges: beside them, and as the user's own metadata.
fn with_privileges(members: &Value) -> Value {
    let mut body = privileges();
    body["data"] = privileges();
    body["user_metadata"] = privileges();
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The rows of all users, without what users may write.
async fn rows(app: &TestApp) -> Vec<Value> {
    let sql = "SELECT (to_jsonb(u) - 'raw_user_meta_data' - 'updated_at')::text FROM auth.users u ORDER BY created_at";
    let rows = app.database().connect().await.query(sql, &[]).await;
    let rows = rows.unwrap();
    rows.iter()
        .map(|row| serde_json::from_str(row.get(0)).unwrap())
        .collect()
}

/// A row that nobody has meddled with.
#[track_caller]
fn is_plain(row: &Value, is_confirmed: bool) {
    assert_eq!(row["role"], "authenticated");
    assert_eq!(row["aud"], "authenticated");
    assert_ne!(row["is_super_admin"], true);
    assert_ne!(row["id"], STRANGE_ID);
    assert_ne!(row["instance_id"], STRANGE_ID);
    assert_eq!(row["is_sso_user"], false);
    assert_eq!(row["email_confirmed_at"].is_string(), is_confirmed);
    for name in [
        "phone_confirmed_at",
        "invited_at",
        "banned_until",
        "deleted_at",
    ] {
        assert_eq!(row[name], Value::Null, "{name}");
    }
    assert_eq!(row["email_change"], "");
    assert_eq!(row["email_change_confirm_status"], 0);
    assert!(!row["created_at"].as_str().unwrap().starts_with("2020"));
    assert_ne!(row["encrypted_password"], privileges()["password_hash"]);
    for name in ["confirmation_token", "recovery_token"] {
        assert_ne!(row[name], "x");
    }
}

#[track_caller]
fn is_ordinary(caller: &Caller) {
    let claims = claims(caller);
    assert_eq!(claims["role"], "authenticated");
    assert_eq!(claims["aud"], "authenticated");
    assert_eq!(claims["aal"], "aal1");
    assert_eq!(claims["sub"], caller.id.as_str());
    assert_ne!(claims["sub"], STRANGE_ID);
    assert_eq!(claims["app_metadata"]["role"], Value::Null);
    assert_ne!(claims["app_metadata"]["provider"], "google");
}

async fn is_no_admin(caller: &Caller) {
    let users = caller.get("/admin/users").await;
    users.refused(403, Code::NotAdmin);
}

#[tokio::test]
async fn attack_079_nobody_signs_up_with_privileges() {
    for autoconfirm in [true, false] {
        let app = TestApp::with(|config| config.mailer.autoconfirm = autoconfirm).await;
        let someone = json!({"email": "alice@example.com", "password": PASSWORD, "app_metadata": {"role": "service_role"}});
        let reply = app
            .visitor()
            .post("/signup", with_privileges(&someone))
            .await;
        let answer = reply.ok();
        let rows = rows(&app).await;
        assert_eq!(rows.len(), 1);
        is_plain(&rows[0], autoconfirm);
        assert_eq!(rows[0]["is_anonymous"], false);
        let metadata = json!({"provider": "email", "providers": ["email"]});
        assert_eq!(rows[0]["raw_app_meta_data"], metadata);
        let sql = "SELECT provider, provider_id, user_id::text, identity_data ->> 'sub', identity_data ->> 'email', email \
                   FROM auth.identities";
        let identities = app
            .database()
            .connect()
            .await
            .query(sql, &[])
            .await
            .unwrap();
        assert_eq!(identities.len(), 1);
        let identity: Vec<String> = (0..6).map(|at| identities[0].get(at)).collect();
        let id = rows[0]["id"].as_str().unwrap();
        let address = "alice@example.com";
        assert_eq!(identity, ["email", id, id, id, address, address]);
        if autoconfirm {
            let alice = app.granted(&answer);
            is_ordinary(&alice);
            is_no_admin(&alice).await;
        } else {
            let credentials = json!({"email": address, "password": PASSWORD});
            let early = app
                .visitor()
                .post("/token?grant_type=password", credentials)
                .await;
            early.refused(400, Code::EmailNotConfirmed);
        }
    }
}

#[tokio::test]
async fn attack_079_nobody_is_made_privileged_by_the_other_doors() {
    let app = TestApp::with(|config| {
        config.mailer.autoconfirm = false;
        config.external.anonymous_users_enabled = true;
    })
    .await;
    let visitor = app.visitor();
    let anonymous = visitor.post("/signup", with_privileges(&json!({}))).await;
    let anonymous = app.granted(&anonymous.ok());
    is_ordinary(&anonymous);
    is_no_admin(&anonymous).await;
    for (path, email) in [("/otp", "a@example.com"), ("/magiclink", "b@example.com")] {
        let body = with_privileges(&json!({"email": email}));
        visitor.post(path, body).await.ok();
    }
    for row in rows(&app).await {
        is_plain(&row, false);
        assert_ne!(row["raw_app_meta_data"]["role"], "service_role");
    }
    // What grants a session takes no wishes either.
    let alice = app.user("alice@example.com").await;
    let credentials = json!({"email": "alice@example.com", "password": PASSWORD});
    let refresh = json!({"refresh_token": alice.refresh_token});
    for (kind, body) in [("password", credentials), ("refresh_token", refresh)] {
        let path = format!("/token?grant_type={kind}&role=service_role&aal=aal2&aud=evil");
        let grant = visitor.post(&path, with_privileges(&body)).await;
        is_ordinary(&app.granted(&grant.ok()));
    }
}

#[tokio::test]
async fn attack_079_nobody_becomes_privileged_later() {
    let app = TestApp::with(|config| config.mailer.autoconfirm = false).await;
    let alice = app.user("alice@example.com").await;
    let before = rows(&app).await;
    let changed = alice.put("/user", with_privileges(&json!({}))).await.ok();
    assert_eq!(rows(&app).await, before);
    // It stands where users may write, and nowhere else.
    assert_eq!(changed["user_metadata"]["role"], "service_role");
    assert_eq!(changed["role"], "authenticated");
    for name in ["app_metadata", "APP_METADATA", "App_Metadata"] {
        for value in [
            json!({"role": "service_role"}),
            json!({"providers": ["google"]}),
            json!({}),
        ] {
            let body = json!({"data": {"seen": true}, (name): value});
            let refused = alice.put("/user", body).await;
            refused.refused(403, Code::NotAdmin);
        }
    }
    assert_eq!(rows(&app).await, before);
    assert_eq!(
        alice.get("/user").await.ok()["user_metadata"]["seen"],
        Value::Null
    );
    let credentials = json!({"email": "alice@example.com", "password": PASSWORD});
    let grant = app
        .visitor()
        .post("/token?grant_type=password", credentials)
        .await;
    let alice = app.granted(&grant.ok());
    is_ordinary(&alice);
    is_no_admin(&alice).await;
}

/// Sends a request as it stands.
async fn call(app: &TestApp, method: &str, path: &str, token: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.header("content-type", "application/json");
    app.send(request.body("{}".into()).unwrap()).await
}

/// All routes for administrators, about this user.
fn admin_routes(user_id: &str) -> Vec<(String, String)> {
    let routes: Vec<_> = routes::of_gotrue()
        .into_iter()
        .filter(|(path, _)| path.starts_with("/admin") || path == "/invite")
        .map(|(path, method)| {
            let path = path
                .replace("{user_id}", user_id)
                .replace("{factor_id}", STRANGE_ID)
                .replace("{passkey_id}", STRANGE_ID)
                .replace("{identifier}", "custom:acme");
            assert!(!path.contains('{'), "{path}");
            (path, method.to_ascii_uppercase())
        })
        .collect();
    assert!(routes.len() >= 13, "{routes:?}");
    routes
}

/// Who may not pass, and how they are told.
async fn intruders(app: &TestApp) -> Vec<(&'static str, String, u16, Code)> {
    let far = "<unix:now+3600>";
    let mallory = app.user("mallory@example.com").await;
    let metadata = json!({"data": {"role": "service_role", "admin": true, "is_super_admin": true}});
    mallory.put("/user", metadata).await.ok();
    let boastful = app.user("mallory2@example.com").await;
    let boast = json!({"data": {"role": "service_role", "roles": ["service_role"]}});
    boastful.put("/user", boast).await.ok();
    let refresh = json!({"refresh_token": boastful.refresh_token});
    let boastful = boastful
        .post("/token?grant_type=refresh_token", refresh)
        .await;
    let boastful = app.granted(&boastful.ok());

    let session = |caller: &Caller| claims(caller)["session_id"].clone();
    let left = app.user("left@example.com").await;
    left.post("/logout", Value::Null).await;
    let banned = app.user("banned@example.com").await;
    let path = format!("/admin/users/{}", banned.id);
    app.admin()
        .put(&path, json!({"ban_duration": "24h"}))
        .await
        .ok();
    let gone = app.user("gone@example.com").await;
    app.admin()
        .delete(&format!("/admin/users/{}", gone.id))
        .await
        .ok();

    let admin = |claims: Value| {
        let mut all = json!({"role": "service_role", "exp": far});
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        app.token(all)
    };
    let of = |caller: &Caller| admin(json!({"sub": caller.id, "session_id": session(caller)}));
    let another = |recipe: Value| -> String {
        let recipe: Recipe = serde_json::from_value(recipe).unwrap();
        recipe.sign(&Value::Null, truegate::clock::Clock::now(&*app.clock))
    };
    let service = json!({"role": "service_role", "exp": far});
    let secret = secrecy::ExposeSecret::expose_secret(&app.config.jwt.secret).to_owned();
    vec![
        ("nobody", String::new(), 401, Code::NoAuthorization),
        ("no token", "service_role".into(), 403, Code::BadJwt),
        ("anon", app.token(json!({"role": "anon", "exp": far})), 403, Code::NotAdmin),
        ("no role", app.token(json!({"exp": far})), 403, Code::NotAdmin),
        ("a user", mallory.access_token.clone(), 403, Code::NotAdmin),
        ("a user whose metadata says so", boastful.access_token, 403, Code::NotAdmin),
        (
            "a role in metadata only",
            app.token(json!({"role": "authenticated", "exp": far, "user_metadata": {"role": "service_role"},
                "app_metadata": {"role": "service_role", "roles": ["service_role"]}, "is_super_admin": true})),
            403,
            Code::NotAdmin,
        ),
        ("almost the role", admin(json!({"role": "Service_Role"})), 403, Code::NotAdmin),
        ("the role and a blank", admin(json!({"role": "service_role "})), 403, Code::NotAdmin),
        ("two roles in one", admin(json!({"role": "service_role,authenticated"})), 403, Code::NotAdmin),
        ("expired", admin(json!({"exp": "<unix:now-60>"})), 403, Code::BadJwt),
        ("not yet", admin(json!({"nbf": "<unix:now+600>"})), 403, Code::BadJwt),
        (
            "another server's",
            another(json!({"key": "another-secret-with-more-than-32-characters-", "claims": service})),
            403,
            Code::BadJwt,
        ),
        ("unsigned", another(json!({"alg": "none", "claims": service})), 403, Code::BadJwt),
        ("an algorithm we do not use", another(json!({"alg": "HS512", "key": secret, "claims": service})), 403, Code::BadJwt),
        ("an admin who left", of(&left), 403, Code::SessionNotFound),
        ("a banned admin", of(&banned), 403, Code::UserBanned),
        ("a deleted admin", of(&gone), 403, Code::UserNotFound),
        (
            "in another's session",
            admin(json!({"sub": mallory.id, "session_id": session(&banned)})),
            403,
            Code::SessionNotFound,
        ),
        ("a session that is none", admin(json!({"sub": mallory.id, "session_id": "1"})), 403, Code::BadJwt),
        ("a session of nobody", admin(json!({"session_id": session(&mallory)})), 403, Code::BadJwt),
    ]
}

#[tokio::test]
async fn attack_103_no_admin_route_lets_others_pass() {
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    let intruders = intruders(&app).await;
    let routes = admin_routes(&alice.id);
    let before = rows(&app).await;
    for (path, method) in &routes {
        for (who, token, status, code) in &intruders {
            let reply = call(&app, method, path, token).await;
            assert_eq!(
                reply.status.as_u16(),
                *status,
                "{who}: {method} {path} {reply:?}"
            );
            assert_eq!(
                reply.json()["error_code"],
                code.as_str(),
                "{who}: {method} {path}"
            );
        }
    }
    assert_eq!(rows(&app).await, before);
    assert!(app.outbox.is_empty());
    // Each of them lets an administrator pass; deleting comes last.
    let admin = app.admin().access_token;
    let (last, first): (Vec<_>, Vec<_>) = routes.iter().partition(|(_, method)| method == "DELETE");
    for (path, method) in first.into_iter().chain(last) {
        let reply = call(&app, method, path, &admin).await;
        assert!(
            ![401, 403, 405].contains(&reply.status.as_u16()),
            "{method} {path} {reply:?}"
        );
    }
}

#[tokio::test]
async fn attack_103_whatever_the_method_and_the_spelling() {
    let app = TestApp::new().await;
    let alice = app.user("alice@example.com").await;
    let mut paths: Vec<String> = admin_routes(&alice.id)
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path != "/invite")
        .flat_map(|path| {
            [
                format!("{path}/"),
                format!("{path}?role=service_role"),
                format!("{path}/nowhere"),
                path,
            ]
        })
        .collect();
    paths.extend(
        [
            "/admin",
            "/admin/",
            "/admin/nowhere",
            "/admin//users",
            "/admin/../user",
            "/admin/%2e%2e/user",
        ]
        .map(str::to_owned),
    );
    let methods = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PURGE",
    ];
    for path in &paths {
        for method in methods {
            let reply = call(&app, method, path, "").await;
            assert_eq!(reply.status, 401, "{method} {path} {reply:?}");
            let reply = call(&app, method, path, &alice.access_token).await;
            assert_eq!(reply.status, 403, "{method} {path} {reply:?}");
        }
    }
    // What a proxy might take for something below /admin is nothing here.
    let spellings = [
        "//admin/users",
        "/ADMIN/users",
        "/%61dmin/users",
        "/admin%2fusers",
        "/./admin/users",
        "/admin;x/users",
        "/admin\\users",
    ];
    let admin = app.admin().access_token;
    for path in spellings {
        for token in ["", &alice.access_token, &admin] {
            let Ok(request) = Request::builder()
                .uri(path)
                .header("authorization", format!("Bearer {token}"))
                .body("".into())
            else {
                continue;
            };
            let reply = app.send(request).await;
            assert_eq!(reply.status, 404, "{path} {reply:?}");
        }
    }
}

#[tokio::test]
async fn attack_103_an_admin_without_the_second_factor() {
    for allowed in [None, Some(std::time::Duration::from_mins(10))] {
        let app = TestApp::with(|config| config.sessions.allow_low_aal = allowed).await;
        let alice = app.user("alice@example.com").await;
        let path = format!("/admin/users/{}", alice.id);
        app.admin()
            .put(&path, json!({"role": "service_role"}))
            .await
            .ok();
        let sql = format!(
            "INSERT INTO auth.mfa_factors (id, user_id, factor_type, status, created_at, updated_at, secret) \
             VALUES (gen_random_uuid(), '{}', 'totp', 'verified', now(), now(), 'JBSWY3DPEHPK3PXP')",
            alice.id
        );
        app.database()
            .connect()
            .await
            .execute(&sql, &[])
            .await
            .unwrap();
        let refresh = json!({"refresh_token": alice.refresh_token});
        let grant = alice.post("/token?grant_type=refresh_token", refresh).await;
        let alice = app.granted(&grant.ok());
        assert_eq!(claims(&alice)["role"], "service_role");
        alice.get("/admin/users").await.ok();
        // The token of its own ends with the session; so does one that says it lives longer.
        let lasting = app.token(json!({
            "role": "service_role", "sub": alice.id, "session_id": claims(&alice)["session_id"], "exp": "<unix:now+3600>"
        }));
        app.clock.advance(chrono::TimeDelta::seconds(900));
        for (path, method) in admin_routes(STRANGE_ID) {
            let reply = call(&app, &method, &path, &lasting).await;
            let own = call(&app, &method, &path, &alice.access_token).await;
            if allowed.is_some() {
                reply.refused(403, Code::SessionExpired);
                own.refused(403, Code::BadJwt);
            } else {
                // GoTrue asks administrators for no second factor.
                for reply in [reply, own] {
                    let status = reply.status.as_u16();
                    assert!(![401, 403].contains(&status), "{method} {path} {reply:?}");
                }
            }
        }
    }
}
