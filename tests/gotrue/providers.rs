//! The plain OAuth providers, there and back. A stand-in answers in each provider's shape (`providers/<name>.json`; its
//! `row` says in one line what GoTrue's file of the provider does). What it was asked, where the browser went and which rows there
//! are in the end is what GoTrue v2.196 made of the same shapes: these files were filled in by running it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use serde_json::{Map, Value, json};
use url::form_urlencoded::parse;

use crate::replay::standin::{Received, Standin};
use crate::support::app::TestApp;

/// What the browser brings back, in both protocols.
const BROUGHT: [&str; 2] = ["code=the-code", "oauth_token=rtok&oauth_verifier=ver"];

/// What a sign-in at the provider comes to.
const OUTCOME: [&str; 5] = ["authorize", "asked", "landed", "user", "identity_data"];

/// One test for each file.
macro_rules! shapes {
    ($($name:ident)+) => {
        $(
            #[tokio::test]
            async fn $name() {
                everybody(stringify!($name)).await;
            }
        )+

        #[test]
        fn every_shape_is_tried() {
            let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
            let files: BTreeSet<_> = files
                .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            assert_eq!(files, [$(stringify!($name).to_owned()),+].into());
        }
    };
}

shapes! {
    bitbucket discord facebook figma fly github gitlab kakao keycloak linkedin notion slack slack_oidc snapchat spotify
    tokens twitch twitter workos x zoom
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/gotrue/providers")
}

/// Lets everybody of a file sign in. What an entry leaves out is as in the first one.
async fn everybody(file: &str) {
    let standin = Standin::start().await;
    let base = standin.variables()[0].1.clone();
    let text = std::fs::read_to_string(folder().join(format!("{file}.json"))).unwrap();
    let shape: Value = serde_json::from_str(&text.replace("{{standin}}", &base)).unwrap();
    let provider = shape["provider"].as_str().unwrap_or(file);
    let url = format!("{base}{}", shape["path"].as_str().unwrap_or_default());
    let app = app(provider, &url).await;
    let mut differing = Vec::new();
    for person in shape["people"].as_array().unwrap() {
        let told = |member| person.get(member).unwrap_or(&shape["people"][0][member]);
        let mut routes = shape["people"][0]["routes"].clone();
        for (route, answer) in told("routes").as_object().unwrap() {
            routes[route] = answer.clone();
        }
        standin.declare(serde_json::from_value(json!({ "routes": routes })).unwrap());
        let more = person["more"].as_str().unwrap_or_default();
        let outcome = sign_in(&app, &standin, provider, more).await;
        for member in OUTCOME {
            if outcome[member] != *told(member) {
                let (expected, found) = (told(member), &outcome[member]);
                let who = &person["who"];
                differing.push(format!(
                    "{who}, {member}:\n  expected {expected}\n  found    {found}"
                ));
            }
        }
        app.database().clear().await;
    }
    assert!(differing.is_empty(), "{file}\n{}", differing.join("\n"));
}

/// A server that knows the provider, and where addresses have to be confirmed.
async fn app(provider: &str, url: &str) -> TestApp {
    TestApp::with(|config| {
        config.mailer.autoconfirm = false;
        let settings = config.external.providers.get_mut(provider).unwrap();
        settings.enabled = true;
        settings.client_id = vec![format!("{provider}-client"), "second".into()];
        settings.secret = Some(format!("{provider}-secret").into());
        settings.redirect_uri = "https://auth.example.com/callback".into();
        settings.url = url.into();
    })
    .await
}

/// Goes to the provider and comes back.
async fn sign_in(app: &TestApp, standin: &Standin, provider: &str, more: &str) -> Value {
    let wanted = "scopes=one,two%20three&redirect_to=https://app.example.com/welcome";
    let authorize = format!("/authorize?provider={provider}&{wanted}{more}");
    let reply = app.visitor().get(&authorize).await;
    let authorize = reply.header("location").expect("a redirect").to_owned();
    let client = app.database().connect().await;
    let states = client
        .query("SELECT id::text FROM auth.flow_state", &[])
        .await;
    let state: String = states.unwrap()[0].get(0);
    let brought = BROUGHT[usize::from(provider == "twitter")];
    let reply = app
        .visitor()
        .get(&format!("/callback?state={state}&{brought}"))
        .await;
    let landed = reply.header("location").expect("a redirect");
    let landed = landed
        .strip_prefix("https://app.example.com/welcome")
        .expect("our page");

    let asked: Vec<_> = standin
        .take()
        .iter()
        .map(|received| question(received, &state))
        .collect();
    let (authorize, asked) = without_secrets(&authorize, &state, asked);
    let mut outcome = json!({
        "authorize": authorize,
        "asked": asked,
        "landed": fragment(landed),
        "user": null,
        "identity_data": null,
    });
    let users = "SELECT to_jsonb(u)::text, to_jsonb(i)::text FROM auth.users u JOIN auth.identities i ON i.user_id = u.id";
    for row in client.query(users, &[]).await.unwrap() {
        let [user, identity] =
            [0, 1].map(|column| serde_json::from_str::<Value>(row.get(column)).unwrap());
        let data = &identity["identity_data"];
        assert_eq!(user["raw_user_meta_data"], *data);
        assert_eq!(
            user["raw_app_meta_data"],
            json!({ "provider": provider, "providers": [provider] })
        );
        assert_eq!(
            (&identity["provider"], &identity["provider_id"]),
            (&json!(provider), &data["sub"])
        );
        outcome["user"] =
            json!({ "email": user["email"], "confirmed": user["email_confirmed_at"].is_string() });
        outcome["identity_data"] = data.clone();
    }
    outcome
}

/// What the stand-in was asked.
fn question(received: &Received, state: &str) -> Value {
    let Received {
        method,
        path,
        query,
        headers,
        body,
    } = received;
    let query = query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    let mut question = json!({ "request": format!("{method} {path}{query}") });
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap());
    for name in ["client-id", "notion-version"] {
        if let Some(value) = header(name) {
            question[name] = value.into();
        }
    }
    match header("authorization").map(|value| (value, value.strip_prefix("OAuth "))) {
        Some((_, Some(parameters))) => question["oauth"] = unsigned(parameters, state).into(),
        Some((authorization, None)) => question["authorization"] = authorization.into(),
        None => {}
    }
    if !body.is_empty() {
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        let form = parse(body).map(|(name, value)| (name.into_owned(), value.into_owned().into()));
        question["form"] = form.collect::<Map<_, _>>().into();
    }
    question
}

/// The parameters of OAuth 1.0a. Of the signature only that it is there: `oauth1.rs` has an example of RFC 5849.
fn unsigned(parameters: &str, state: &str) -> Map<String, Value> {
    let pairs = parameters.replace("\", ", "&").replace('"', "");
    let mut pairs: Map<_, _> = parse(pairs.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.replace(state, "{{state}}").into()))
        .collect();
    for name in ["oauth_nonce", "oauth_timestamp", "oauth_signature"] {
        assert_ne!(pairs.remove(name), None, "{name}");
    }
    pairs
}

/// The redirect to the provider and the questions, without what is new each time; the verifier fits the challenge.
fn without_secrets(authorize: &str, state: &str, mut asked: Vec<Value>) -> (String, Vec<Value>) {
    let mut authorize = authorize.replace(state, "{{state}}");
    for question in &mut asked {
        if let Some(verifier) = question.pointer_mut("/form/code_verifier") {
            let challenge = PkceCodeVerifier::new(verifier.as_str().unwrap().to_owned());
            let challenge = PkceCodeChallenge::from_code_verifier_sha256(&challenge);
            authorize = authorize.replace(challenge.as_str(), "{{challenge}}");
            *verifier = "{{verifier}}".into();
        }
    }
    (authorize, asked)
}

/// What the application gets, but for our own tokens.
fn fragment(landed: &str) -> Value {
    let fragment = landed.split_once('#').map_or("", |(_, fragment)| fragment);
    let pairs = parse(fragment.as_bytes());
    pairs
        .filter(|(name, _)| name.starts_with("error") || name.starts_with("provider_"))
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect::<Map<_, _>>()
        .into()
}
