//! Every route, with everything that a client may not send: refused in the face's own form, never a failure of
//! ours, and nobody else notices.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::reply::Reply;
use crate::support::routes;

/// Members of all bodies that some route reads, as its face declares them, and some that none does.
fn members() -> BTreeSet<String> {
    let face = concat!(env!("CARGO_MANIFEST_DIR"), "/src/faces/gotrue");
    let mut folders = vec![PathBuf::from(face)];
    let mut members: BTreeSet<String> = ["", "grant_type", "username"].map(str::to_owned).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source = fs::read_to_string(path).unwrap();
            for declared in source.split("params! {").skip(1) {
                let declared = declared.split("\n}").next().unwrap().lines();
                let declared = declared.filter(|line| !line.contains("//"));
                let names = declared.filter_map(|line| line.trim().split_once(": "));
                // `name`, or `name as "wire name"`.
                members.extend(names.map(|(name, _)| match name.split_once(" as ") {
                    None => name.to_owned(),
                    Some((_, wire)) => wire.trim_matches('"').to_owned(),
                }));
            }
        }
    }
    members
}

/// Values for each member, as they stand in the text.
const VALUES: [&str; 20] = [
    "null",
    "true",
    "0",
    "-1",
    "1e400",
    "99999999999999999999999999",
    "[]",
    "{}",
    "[[[]]]",
    r#"["a@example.com","b@example.com"]"#,
    r#"{"a":{"a":{"a":null}}}"#,
    r#""""#,
    r#""x\u0000y""#,
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""\u202e\u0007\u001b[2J\r\nBcc: x@example.com""#,
    r#""' OR 1=1; --""#,
    r#""{{ .SiteURL }}<script>alert(1)</script>""#,
    r#""%00%ff../../""#,
    r#"{"\u0000":"\u0000","\ud800":["\ud800"]}"#,
];

/// Bodies that are wrong as a whole.
fn malformed() -> Vec<Vec<u8>> {
    let deep = |open: &str, close: &str| [open.repeat(10_000), close.repeat(10_000)].concat();
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "[]",
        "{}",
        "\"x\"",
        "1",
        "-",
        "true",
        "nul",
        "{",
        "[",
        "{\"email\"",
        "{\"email\":",
        "{\"email\":\"a@example.com\"",
        "{\"email\":\"a@example.com\",}",
        "{\"email\":\"a@example.com\"}}",
        "{\"email\":\"\\u12\"}",
        "{'email':1}",
        "{\"email\":NaN}",
        "\u{feff}{}",
        "{\"data\":1e999999999999}",
        "{\"data\":{\"n\":1e999999999999}}",
        "{\"data\":{\"n\":123456789012345678901234567890,\"m\":-1e308}}",
        "email=a%40example.com&password=%00",
        "<xml/>",
        "\0",
        "{\"email\":\"a\0\"}",
        "{\"email\":\"a@example.com\",\"email\":[],\"EMAIL\":{},\"password\":\"x\",\"password\":null}",
        "{\"data\":{\"a\":1},\"data\":{\"b\":2},\"DATA\":null}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    bodies.push(deep("[", "]").into_bytes());
    bodies.push(deep("{\"data\":", "}").into_bytes());
    bodies.push(format!("{{\"data\":{}}}", deep("[", "]")).into_bytes());
    bodies.push(deep("[", "").into_bytes());
    bodies.push(
        b"{\"email\":\"\xff\xfe@example.com\",\"data\":{\"\xc0\x80\":\"\xed\xa0\x80\"}}".to_vec(),
    );
    bodies.push(b"\xff\xfe\0{\0}".to_vec());
    bodies.push(format!("{{\"password\":\"{}\"}}", "x".repeat(100_000)).into_bytes());
    // One byte too many, in white space and in a string.
    bodies.push([b"{}".as_slice(), &vec![b' '; (1 << 20) - 1]].concat());
    bodies.push(format!("{{\"email\":\"{}\"}}", "x".repeat((1 << 20) - 11)).into_bytes());
    bodies
}

/// A body that the route would take.
fn good(path: &str) -> Value {
    match path {
        "/verify" => json!({"type": "recovery", "token_hash": "x"}),
        "/resend" => json!({"type": "signup", "email": "a@example.com"}),
        "/admin/generate_link" => json!({"type": "recovery", "email": "a@example.com"}),
        "/user" => json!({"data": {}}),
        path if path.starts_with("/admin/users/") => json!({"user_metadata": {}}),
        "/admin/custom-providers" => acme(),
        path if path.starts_with("/admin/custom-providers/") => json!({"name": "Acme"}),
        _ => json!({"email": "a@example.com", "password": PASSWORD}),
    }
}

fn acme() -> Value {
    json!({
        "provider_type": "oauth2", "identifier": "custom:acme", "name": "Acme", "client_id": "acme-client",
        "client_secret": "hush", "authorization_url": "https://203.0.113.7/a", "token_url": "https://203.0.113.7/t",
        "userinfo_url": "https://203.0.113.7/u",
    })
}

/// What is good, with one member replaced.
fn with(good: &Value, member: &str, value: &str) -> Vec<u8> {
    let members = good.as_object().unwrap().iter();
    let rest: String = members
        .filter(|(name, _)| *name != member)
        .map(|(name, value)| format!(",{name:?}:{value}"))
        .collect::<Vec<_>>()
        .concat();
    format!("{{{member:?}:{value}{rest}}}").into_bytes()
}

/// Queries, and what stands in the place of an id.
const QUERIES: [&str; 18] = [
    "page=0&per_page=0",
    "page=-1",
    "page=99999999999999999999&per_page=99999999999999999999",
    "page=9223372036854775807&per_page=9223372036854775807",
    "page=1e3&per_page=NaN",
    "sort=id%3Bdrop%20table&sort=created_at%20up",
    "filter=%25%5C_%27%22%00",
    "filter=%ff%fe",
    "filter=%25%5C_%27%22",
    "query=author:%25%27&query=action:",
    "query=:::",
    "cursor=AAAA&limit=-5",
    "scope=%0d%0aSet-Cookie:x",
    "type=recovery&token=%ff&redirect_to=javascript:alert(1)",
    "type=%0a&token=x&redirect_to=//evil.example.com/%0d%0aX:%20y",
    "grant_type=password&grant_type=%00",
    "%zz&%&=&;;&a=%u0000&provider=%0d%0a",
    "provider=google&scopes=%ed%a0%80&invite_token=x",
];

const IDS: [&str; 9] = [
    "0",
    "%00",
    "%ff",
    "..",
    "%2e%2e%2fadmin",
    "'%20OR%201=1",
    "00000000-0000-0000-0000-000000000000",
    "%7B11111111-1111-4111-8111-111111111111%7D",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx%c0%80",
];

/// Who calls: nobody, a user, the operator.
struct World {
    app: TestApp,
    user: Caller,
    made: usize,
}

impl World {
    async fn new() -> Self {
        let app = TestApp::with(|config| {
            config.mailer.autoconfirm = false;
            config.external.anonymous_users_enabled = true;
            config.external.phone_enabled = true;
            config.sms.autoconfirm = true;
            config.security.manual_linking_enabled = true;
            config.security.update_password_require_reauthentication = true;
        })
        .await;
        let user = app.user("user0@example.com").await;
        let added = app.admin().post("/admin/custom-providers", acme()).await;
        assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
        Self { app, user, made: 0 }
    }

    /// Sends one thing from each of the callers, and looks at the answers. Says whether one of them was that the body
    /// could not be read.
    async fn send(
        &mut self,
        method: &str,
        path: &str,
        query: &str,
        content_type: &str,
        body: &[u8],
    ) -> bool {
        let mut is_misread = false;
        for who in ["nobody", "a user", "the operator"] {
            let token = match who {
                "nobody" => String::new(),
                "a user" => self.user.access_token.clone(),
                _ => self.app.admin().access_token,
            };
            let path = path.replace("{user_id}", &self.user.id);
            let uri = if query.is_empty() {
                path
            } else {
                format!("{path}?{query}")
            };
            let mut request = Request::builder()
                .method(method)
                .uri(&uri)
                .header("content-type", content_type);
            if !token.is_empty() {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let reply = self
                .app
                .send(request.body(body.to_vec().into()).unwrap())
                .await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            let what = || format!("{who}: {method} {uri} {content_type} {shown:?}");
            check(&reply, what);
            is_misread |= reply.header("x-sb-error-code") == Some("bad_json");
            // What may have cost the user the session or the account costs a new one.
            if reply.status.is_success() && method != "GET" {
                self.renew().await;
            }
        }
        is_misread
    }

    async fn renew(&mut self) {
        if self.user.get("/user").await.status.is_success() {
            return;
        }
        self.made += 1;
        self.user = self
            .app
            .user(&format!("user{}@example.com", self.made))
            .await;
    }

    /// Somebody else signs in, as if nothing had been.
    async fn is_well(&self) {
        let other = self.app.user("other@example.com").await;
        other.get("/user").await.ok();
        self.app
            .admin()
            .get("/admin/users?per_page=1000")
            .await
            .ok();
    }
}

/// No failure of ours; what is refused is refused in GoTrue's forms.
#[track_caller]
fn check(reply: &Reply, what: impl Fn() -> String) {
    let status = reply.status;
    assert!(!status.is_server_error(), "{} -> {reply:?}", what());
    if status.is_redirection() {
        let to = reply.header("location").unwrap_or_default();
        let home = "https://app.example.com";
        assert!(to.starts_with(home), "{} -> {reply:?}", what());
    }
    if !status.is_client_error() {
        return;
    }
    // The router's own words, which are not JSON in GoTrue either.
    if status == StatusCode::METHOD_NOT_ALLOWED && reply.body.is_empty()
        || status == StatusCode::NOT_FOUND && reply.body == "404 page not found\n"
    {
        return;
    }
    assert_eq!(
        reply.header("content-type"),
        Some("application/json"),
        "{} -> {reply:?}",
        what()
    );
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let is_refusal = body["code"] == status.as_u16()
        && body["error_code"]
            .as_str()
            .is_some_and(|code| !code.is_empty())
        && body["msg"].is_string()
        && reply.header("x-sb-error-code") == body["error_code"].as_str();
    assert!(
        is_refusal || body["error"].is_string(),
        "{} -> {reply:?}",
        what()
    );
}

/// Path and method of each route, ids that mean nothing filled in.
fn all_routes() -> Vec<(String, String)> {
    let id = "11111111-1111-4111-8111-111111111111";
    let fill = |path: String| {
        let path = path.replace("{factor_id}", id);
        path.replace("{passkey_id}", id)
            .replace("{identity_id}", id)
            .replace("{identifier}", "custom:acme")
    };
    routes::of_gotrue()
        .into_iter()
        .map(|(path, method)| (fill(path), method.to_ascii_uppercase()))
        .collect()
}

/// The grants of /token are routes of their own.
fn queries_of(path: &str) -> &'static [&'static str] {
    match path {
        "/token" => &[
            "grant_type=password",
            "grant_type=refresh_token",
            "grant_type=pkce",
            "grant_type=id_token",
            "grant_type=web3",
        ],
        _ => &[""],
    }
}

#[tokio::test]
async fn no_body_is_too_strange() {
    let mut world = World::new().await;
    let bodies = malformed();
    for (path, method) in all_routes() {
        for query in queries_of(&path) {
            for body in &bodies {
                let json = "application/json";
                world.send(&method, &path, query, json, body).await;
            }
            for kind in [
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "text/plain; charset=utf-16",
                "",
            ] {
                for body in [
                    &b"%zz=%&a=%00&email=%ff;x"[..],
                    b"grant_type=password&username=%00&password=%00",
                    b"{}",
                    b"--x\r\n",
                ] {
                    world.send(&method, &path, query, kind, body).await;
                }
            }
        }
    }
    world.is_well().await;
}

#[tokio::test]
async fn no_member_is_too_strange() {
    let members = members();
    assert!(members.len() > 50, "{members:?}");
    let mut world = World::new().await;
    let mut read = 0;
    for (path, method) in all_routes() {
        if method == "GET" {
            continue;
        }
        let good = good(&path);
        for query in queries_of(&path) {
            for member in &members {
                // No member is a list; what is not read may be one.
                let json = "application/json";
                let body = with(&good, member, "[]");
                if !world.send(&method, &path, query, json, &body).await {
                    continue;
                }
                read += 1;
                for value in VALUES {
                    let body = with(&good, member, value);
                    world.send(&method, &path, query, json, &body).await;
                }
            }
        }
    }
    assert!(read > 100, "{read}");
    world.is_well().await;
}

#[tokio::test]
async fn no_query_and_no_path_is_too_strange() {
    let mut world = World::new().await;
    for (path, method) in all_routes() {
        let body = if method == "GET" {
            String::new()
        } else {
            good(&path).to_string()
        };
        for query in QUERIES {
            world
                .send(&method, &path, query, "application/json", body.as_bytes())
                .await;
        }
        let id = "11111111-1111-4111-8111-111111111111";
        for strange in IDS {
            let mut paths = vec![format!("{path}/{strange}"), format!("/{strange}{path}")];
            paths.push(path.replace("{user_id}", strange));
            paths.push(path.replace(id, strange));
            for path in paths {
                world
                    .send(&method, &path, "", "application/json", body.as_bytes())
                    .await;
            }
        }
    }
    world.is_well().await;
}
