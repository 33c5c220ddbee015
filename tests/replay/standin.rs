//! The stand-in: one small server, over HTTP and HTTPS, that plays every other server a scenario talks about
//! (template hosts, hooks, providers). It answers what the scenario declares and remembers what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::form_urlencoded;

use super::scenario;

/// The ports in the recordings.
const RECORDED_HTTP: u16 = 16090;
const RECORDED_HTTPS: u16 = 16091;

/// The stand-in's keys: `jwk` signs ID tokens, `idp_cert` belongs to its SAML provider.
static KEYS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(
        &std::fs::read_to_string(scenario::folder().join("standin/keys.json")).unwrap(),
    )
    .unwrap()
});

/// The key that signs its ID tokens.
pub fn jwk() -> &'static Value {
    &KEYS["jwk"]
}

/// Listens until it is dropped.
pub struct Standin {
    http: SocketAddr,
    https: SocketAddr,
    state: Arc<Mutex<State>>,
    listening: [JoinHandle<()>; 2],
}

#[derive(Default)]
struct State {
    routes: HashMap<String, Vec<Answer>>,
    /// How often each route was asked.
    asked: HashMap<String, usize>,
    requests: Vec<Received>,
}

/// One request, as it came.
pub struct Received {
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What a scenario declares: step `standin`.
#[derive(Deserialize)]
pub struct Declaration {
    routes: HashMap<String, OneOrMany>,
    #[serde(default)]
    add: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Answer>),
    One(Box<Answer>),
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
struct Answer {
    status: Option<u16>,
    #[serde(default)]
    headers: HashMap<String, Option<String>>,
    json: Option<Value>,
    form: Option<Map<String, Value>>,
    text: Option<String>,
    times: Option<usize>,
    delay: Option<f64>,
}

impl Standin {
    pub async fn start() -> Self {
        let bind = || TcpListener::bind(("127.0.0.1", 0));
        let (plain, tls) = (bind().await.unwrap(), bind().await.unwrap());
        let (http, https) = (plain.local_addr().unwrap(), tls.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let listening = [
            tokio::spawn(listen(plain, None, state.clone())),
            tokio::spawn(listen(tls, Some(acceptor()), state.clone())),
        ];
        Self {
            http,
            https,
            state,
            listening,
        }
    }

    /// What `{{name}}` stands for in steps and environments.
    pub fn variables(&self) -> [(&'static str, String); 4] {
        let authority = scenario::folder().join("standin/ca.pem");
        [
            ("standin", format!("http://{}", self.http)),
            ("standin_tls", format!("https://{}", self.https)),
            ("standin_ca", authority.to_str().unwrap().to_owned()),
            ("idp_cert", KEYS["idp_cert"].as_str().unwrap().to_owned()),
        ]
    }

    /// A recording that names this stand-in instead of the one that was recorded.
    pub fn own_ports(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (recorded, own) in [(RECORDED_HTTP, self.http), (RECORDED_HTTPS, self.https)] {
            for colon in [":", "%3A"] {
                let address = |port| format!("127.0.0.1{colon}{port}");
                text = text.replace(&address(recorded), &address(own.port()));
            }
        }
        text
    }

    pub fn declare(&self, declaration: Declaration) {
        let mut state = self.state.lock().unwrap();
        if !declaration.add {
            *state = State::default();
        }
        state.asked.clear();
        for (route, answers) in declaration.routes {
            let answers = match answers {
                OneOrMany::One(answer) => vec![*answer],
                OneOrMany::Many(answers) => answers,
            };
            state.routes.insert(route, answers);
        }
    }

    /// All requests since the last look, in order.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        for listening in &self.listening {
            listening.abort();
        }
    }
}

/// TLS as `127.0.0.1`, by the authority in `ca.pem`.
fn acceptor() -> TlsAcceptor {
    let pem = std::fs::read(scenario::folder().join("standin/tls.pem")).unwrap();
    let chain = CertificateDer::pem_slice_iter(&pem)
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn listen(listener: TcpListener, tls: Option<TlsAcceptor>, state: Arc<Mutex<State>>) {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let base = format!("{scheme}://{}", listener.local_addr().unwrap());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (state, base, tls) = (state.clone(), base.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, state, base).await,
                Some(tls) => {
                    // A client that does not trust us hangs up.
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, state, base).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    state: Arc<Mutex<State>>,
    base: String,
) {
    let service = service_fn(|request| answer(state.clone(), base.clone(), request));
    // A client that hangs up early is the client's affair.
    auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

async fn answer(
    state: Arc<Mutex<State>>,
    base: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    let query = head.uri.query().map(ToOwned::to_owned);
    let received = Received {
        method,
        path,
        query,
        headers: head.headers,
        body: body.clone(),
    };
    let answer = choose(&mut state.lock().unwrap(), &base, received);
    if let Some(seconds) = answer.delay {
        #[expect(
            clippy::disallowed_methods,
            reason = "a slow server is what the scenario asks for"
        )]
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }
    Ok(render(answer, &body))
}

/// Finds the declared answer and remembers the request; what is built in is not remembered.
fn choose(state: &mut State, base: &str, received: Received) -> Answer {
    let route = format!("{} {}", received.method, received.path);
    let declared = state.routes.get(&route).cloned();
    if declared.is_none() && received.method == "GET" {
        return built_in(&received.path, base).unwrap_or_else(no_such_route);
    }
    let asked = state.asked.entry(route).or_default();
    let turn = *asked;
    *asked += 1;
    state.requests.push(received);
    declared
        .and_then(|mut answers| answers.drain(..).take(turn + 1).next_back())
        .unwrap_or_else(no_such_route)
}

fn no_such_route() -> Answer {
    Answer {
        status: Some(404),
        text: Some("no such route".into()),
        ..Answer::default()
    }
}

/// Discovery documents below any path, and the keys.
fn built_in(path: &str, base: &str) -> Option<Answer> {
    let document = if path == "/jwks.json" {
        let public = ["kty", "kid", "alg", "use", "n", "e"]
            .map(|name| (name.to_owned(), KEYS["jwk"][name].clone()));
        json!({"keys": [Map::from_iter(public)]})
    } else {
        let issuer = format!(
            "{base}{}",
            path.strip_suffix("/.well-known/openid-configuration")?
        );
        json!({
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "issuer": issuer,
            "jwks_uri": format!("{base}/jwks.json"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    };
    Some(Answer {
        json: Some(document),
        ..Answer::default()
    })
}

fn render(answer: Answer, request: &[u8]) -> Response<Full<Bytes>> {
    let (kind, body) = match (answer.json, answer.form) {
        (Some(value), _) => ("application/json", echo(value, request).to_string()),
        (None, Some(form)) => {
            let pairs = form
                .iter()
                .map(|(name, value)| (name, value.as_str().unwrap_or_default()));
            let body = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish();
            ("application/x-www-form-urlencoded", body)
        }
        (None, None) => (
            "text/plain",
            answer
                .text
                .unwrap_or_default()
                .repeat(answer.times.unwrap_or(1)),
        ),
    };
    let status = answer.status.unwrap_or(200);
    let mut response = Response::builder().status(status);
    if !answer
        .headers
        .keys()
        .any(|name| name.eq_ignore_ascii_case("content-type"))
    {
        response = response.header("content-type", kind);
    }
    for (name, value) in answer.headers {
        if let Some(value) = value {
            response = response.header(name, value);
        }
    }
    let body = if matches!(status, 204 | 304) {
        String::new()
    } else {
        body
    };
    response.body(Full::new(body.into())).unwrap()
}

/// `"<request:/pointer>"` becomes that part of the request's JSON; a member named `...` is spread into its object.
fn echo(value: Value, request: &[u8]) -> Value {
    match value {
        Value::String(text) => match text
            .strip_prefix("<request:")
            .and_then(|rest| rest.strip_suffix('>'))
        {
            Some(pointer) => {
                let request: Value = serde_json::from_slice(request).unwrap_or_default();
                request.pointer(pointer).cloned().unwrap_or_default()
            }
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(|item| echo(item, request)).collect(),
        Value::Object(members) => {
            let mut echoed = Map::new();
            for (name, member) in members {
                match echo(member, request) {
                    Value::Object(mut spread) if name == "..." => echoed.append(&mut spread),
                    member => drop(echoed.insert(name, member)),
                }
            }
            Value::Object(echoed)
        }
        other => other,
    }
}
