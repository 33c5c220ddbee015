//! An identity provider that answers as a test tells it to, down to the byte, or not at all: a Keycloak, whose
//! client asks its token endpoint and then its userinfo endpoint.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use truegate::config::Config;
use url::Url;

use super::app::TestApp;
use super::reply::Reply;

pub const TOKEN: &str = "/protocol/openid-connect/token";
pub const USERINFO: &str = "/protocol/openid-connect/userinfo";

/// What the server presents itself with.
pub const SECRET: &str = "a-secret-of-the-client";
/// What it gets.
pub const ACCESS_TOKEN: &str = "a-token-of-the-provider";

/// Where people come back to.
pub const WELCOME: &str = "https://app.example.com/welcome";

/// What an endpoint answers.
#[derive(Clone)]
pub enum Answer {
    /// These bytes; then the connection ends.
    Bytes(Vec<u8>),
    /// These bytes, and then the others again and again, as long as somebody reads.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, then nothing until [`Provider::speak`], then the others.
    Silence(Vec<u8>, Vec<u8>),
}

impl Answer {
    /// 200 with this document.
    pub fn json(document: &Value) -> Self {
        Self::ok("application/json", document.to_string().as_bytes())
    }

    /// 200 with this body.
    pub fn ok(content_type: &str, body: &[u8]) -> Self {
        let headers = format!("content-type: {content_type}\r\n");
        Self::http("200 OK", &headers, body)
    }

    /// A whole answer; `headers` end their lines.
    pub fn http(status: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
        );
        Self::Bytes([head.as_bytes(), body].concat())
    }
}

/// Listens until it is dropped.
pub struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    answers: Mutex<HashMap<&'static str, Answer>>,
    /// How many requests came so far.
    asked: watch::Sender<usize>,
    /// How many connections there are now.
    open: watch::Sender<usize>,
    speaking: watch::Sender<bool>,
}

impl Provider {
    /// One where Ann is signed in.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answers: Mutex::default(),
            asked: watch::Sender::new(0),
            open: watch::Sender::new(0),
            speaking: watch::Sender::new(false),
        });
        let of_listener = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&of_listener);
                shared.open.send_modify(|open| *open += 1);
                tokio::spawn(async move {
                    // A client that hangs up is the client's affair.
                    converse(stream, &shared).await.ok();
                    shared.open.send_modify(|open| *open -= 1);
                });
            }
        });
        let provider = Self {
            address,
            shared,
            listening,
        };
        provider.gives_tokens();
        provider.is_signed_in("ann", "ann@example.com", true);
        provider
    }

    /// Makes this the Keycloak of an app.
    pub fn configure(&self, config: &mut Config) {
        let keycloak = config.external.providers.get_mut("keycloak").unwrap();
        keycloak.enabled = true;
        keycloak.client_id = vec!["truegate".to_owned()];
        keycloak.secret = Some(SECRET.into());
        keycloak.redirect_uri = "https://auth.example.com/callback".into();
        keycloak.url = self.url("");
    }

    /// An app that knows this Keycloak.
    pub async fn app(&self) -> TestApp {
        self.app_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn app_with(&self, change: impl FnOnce(&mut Config)) -> TestApp {
        TestApp::with(|config| {
            self.configure(config);
            change(config);
        })
        .await
    }

    /// The URL of an endpoint.
    pub fn url(&self, endpoint: &str) -> String {
        format!("http://{}{endpoint}", self.address)
    }

    /// From now on an endpoint answers this.
    pub fn answers(&self, endpoint: &'static str, answer: Answer) {
        self.shared.answers.lock().unwrap().insert(endpoint, answer);
    }

    /// Codes are traded for tokens.
    pub fn gives_tokens(&self) {
        let tokens = json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer"});
        self.answers(TOKEN, Answer::json(&tokens));
    }

    /// Whoever comes is this person.
    pub fn is_signed_in(&self, sub: &str, email: &str, verified: bool) {
        let person = json!({"sub": sub, "name": sub, "email": email, "email_verified": verified});
        self.answers(USERINFO, Answer::json(&person));
    }

    /// From now on an endpoint falls silent after this many bytes of what it says, until [`Self::speak`].
    pub fn falls_silent_after(&self, bytes: usize, endpoint: &'static str) {
        let mut answers = self.shared.answers.lock().unwrap();
        if let Some(Answer::Bytes(said)) = answers.get(endpoint) {
            let (said, rest) = said.split_at(bytes);
            let answer = Answer::Silence(said.to_vec(), rest.to_vec());
            answers.insert(endpoint, answer);
        }
    }

    /// How many requests came so far.
    pub fn times_asked(&self) -> usize {
        *self.shared.asked.borrow()
    }

    /// Returns once this many requests have come.
    pub async fn was_asked(&self, times: usize) {
        let mut asked = self.shared.asked.subscribe();
        asked.wait_for(|asked| *asked >= times).await.unwrap();
    }

    /// Returns once no connection is left.
    pub async fn is_alone(&self) {
        let mut open = self.shared.open.subscribe();
        open.wait_for(|open| *open == 0).await.unwrap();
    }

    /// Breaks its silence.
    pub fn speak(&self) {
        self.shared.speaking.send_replace(true);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let path = read_request(&mut stream).await?;
    shared.asked.send_modify(|asked| *asked += 1);
    let answer = shared.answers.lock().unwrap().get(path.as_str()).cloned();
    match answer.unwrap_or_else(|| Answer::http("404 Not Found", "", b"")) {
        Answer::Bytes(bytes) => stream.write_all(&bytes).await?,
        Answer::Endless(head, more) => {
            stream.write_all(&head).await?;
            loop {
                stream.write_all(&more).await?;
            }
        }
        Answer::Silence(said, rest) => {
            stream.write_all(&said).await?;
            let mut speaking = shared.speaking.subscribe();
            let spoke = tokio::select! {
                spoke = speaking.wait_for(|speaking| *speaking) => spoke.is_ok(),
                // Who hangs up does not hear it.
                _ = stream.read_u8() => false,
            };
            if spoke {
                stream.write_all(&rest).await?;
            }
        }
    }
    stream.shutdown().await?;
    // A client that is done closes its end.
    stream.read_to_end(&mut Vec::new()).await.map(drop)
}

/// Reads one request to its end; returns its path.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let end = loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head.split(' ').nth(1).unwrap_or_default().to_owned())
}

/// A detour to the provider: what a browser brings back.
pub struct Detour {
    pub state: String,
}

impl Detour {
    /// Sets out; `more` are further parameters.
    pub async fn begin(app: &TestApp, more: &str) -> Self {
        let path = format!("/authorize?provider=keycloak&redirect_to={WELCOME}{more}");
        Self::of(&app.visitor().get(&path).await)
    }

    /// The detour that an answer leads to.
    pub fn of(reply: &Reply) -> Self {
        assert_eq!(reply.status, 302, "{reply:?}");
        let state = parameter(location(reply).query(), "state");
        Self {
            state: state.expect("a state"),
        }
    }

    /// Comes back with a code.
    pub async fn end(&self, app: &TestApp) -> Reply {
        let path = format!("/callback?code=a-code&state={}", self.state);
        app.visitor().get(&path).await
    }

    /// There and back again.
    pub async fn make(app: &TestApp) -> Reply {
        Self::begin(app, "").await.end(app).await
    }
}

/// Where an answer leads.
#[track_caller]
pub fn location(reply: &Reply) -> Url {
    let location = reply.header("location");
    Url::parse(location.unwrap_or_else(|| panic!("leads nowhere: {reply:?}"))).unwrap()
}

/// A parameter of a query or a fragment.
pub fn parameter(pairs: Option<&str>, name: &str) -> Option<String> {
    url::form_urlencoded::parse(pairs?.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

impl TestApp {
    /// The session that came back from a provider, as an answer of /token.
    #[track_caller]
    pub fn came_back(&self, reply: &Reply) -> super::app::Caller {
        let target = location(reply);
        let of = |name| {
            parameter(target.fragment(), name).unwrap_or_else(|| panic!("no session: {reply:?}"))
        };
        let mut caller = self.bearer(of("access_token"));
        caller.refresh_token = of("refresh_token");
        caller.id = reply.header("sb-auth-user-id").unwrap().into();
        caller
    }
}
