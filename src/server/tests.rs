//! The stack and the accept loop, over real sockets.

use axum::body::to_bytes;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::error::{self, Code};
use crate::web::body::MAX_BYTES;

struct Server {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
    /// Lets `GET /slow` answer.
    release: Arc<Notify>,
    /// Tells that `GET /slow` is under way.
    under_way: Arc<Notify>,
}

async fn start(settings: Settings) -> Server {
    let (release, under_way) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (gate, began) = (Arc::clone(&release), Arc::clone(&under_way));
    let slow = async move || {
        began.notify_one();
        gate.notified().await;
        "slow"
    };
    let face = Router::new()
        .route("/health", get(async || "well"))
        .route("/slow", get(slow))
        .route("/panic", get(async || -> String { panic!("a bug") }))
        .route(
            "/refuse",
            get(async || error::bad_request(Code::BadJson, "no").into_response()),
        )
        .route(
            "/read",
            post(
                async |request: Request| match to_bytes(request.into_body(), usize::MAX).await {
                    Ok(bytes) => bytes.len().to_string(),
                    Err(error) => error.to_string(),
                },
            ),
        )
        .fallback(door::not_found);
    let listener = listen("127.0.0.1", 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let service = stack(&settings, face);
    let done = tokio::spawn(run(service, listener, async {
        stopped.await.unwrap_or_default();
    }));
    Server {
        address,
        stop,
        done,
        release,
        under_way,
    }
}

/// Every setting's default.
pub fn plain() -> Settings {
    let needed = [
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        (
            "GOTRUE_JWT_SECRET",
            "a secret of at least thirty-two characters",
        ),
        ("DATABASE_URL", "postgres://localhost/postgres"),
    ];
    Settings::new(&Config::from_pairs(needed).unwrap())
}

impl Server {
    /// Sends bytes and reads until the server closes.
    async fn say(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that has read enough may close before everything is sent.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, path: &str) -> String {
        self.say(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())
            .await
    }
}

#[tokio::test]
async fn answers_carry_a_name() {
    let server = start(plain()).await;
    let answer = server.get("/health").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("sb-request-id: "), "{answer}");

    let server = start(Settings {
        request_id_header: Some(http::header::FROM),
        ..plain()
    })
    .await;
    assert!(!server.get("/health").await.contains("sb-request-id"));
    let named = server
        .say(b"GET /panic HTTP/1.1\r\nfrom: abc\r\nconnection: close\r\n\r\n")
        .await;
    assert!(named.contains("sb-request-id: abc\r\n"), "{named}");
    assert!(named.contains(r#""error_id":"abc""#), "{named}");
}

#[tokio::test]
async fn errors_of_every_layer_leave_through_the_door() {
    let server = start(Settings {
        max_request_duration: Duration::from_millis(50),
        ..plain()
    })
    .await;
    let refused = server.get("/refuse").await;
    assert!(
        refused.contains(r#"{"code":400,"error_code":"bad_json","msg":"no"}"#),
        "{refused}"
    );
    let panicked = server.get("/panic").await;
    assert!(panicked.starts_with("HTTP/1.1 500 "), "{panicked}");
    assert!(
        panicked.contains(r#""msg":"Internal Server Error""#),
        "{panicked}"
    );
    assert!(!panicked.contains("a bug"), "{panicked}");
    let late = server.get("/slow").await;
    assert!(
        late.starts_with("HTTP/1.1 504 ") && late.contains(r#""error_code":"request_timeout""#),
        "{late}"
    );
    let nowhere = server.get("/auth/v1/health").await;
    assert!(
        nowhere.starts_with("HTTP/1.1 404 ") && nowhere.ends_with("404 page not found\n"),
        "{nowhere}"
    );
}

#[tokio::test]
async fn a_prefix_is_served_besides_the_root() {
    let server = start(Settings {
        path_prefix: Some("/auth/v1".into()),
        ..plain()
    })
    .await;
    for path in ["/auth/v1/health", "/health"] {
        assert!(server.get(path).await.ends_with("well"), "{path}");
    }
}

#[tokio::test]
async fn bodies_end_at_the_cap() {
    let server = start(plain()).await;
    let post = |length: usize| {
        let head = format!(
            "POST /read HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        [head.into_bytes(), vec![b'a'; length]].concat()
    };
    assert!(server.say(&post(MAX_BYTES)).await.ends_with("1048576"));
    assert!(
        server
            .say(&post(MAX_BYTES + 1))
            .await
            .ends_with("length limit exceeded")
    );
    assert!(server.say(&post(0)).await.ends_with("\r\n0"));
}

#[tokio::test]
async fn speaks_http2_to_who_begins_so() {
    let server = start(plain()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        .await
        .unwrap();
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame[3], 4, "a SETTINGS frame");
}

#[tokio::test]
async fn stopping_lets_requests_end_and_closes_idle_connections() {
    let server = start(plain()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();

    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    server.under_way.notified().await;

    server.stop.send(()).unwrap();
    idle.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.done.is_finished());

    server.release.notify_one();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("slow"), "{answer}");
    server.done.await.unwrap();
}

#[tokio::test]
async fn two_servers_may_share_a_port() {
    let first = listen("127.0.0.1", 0).await.unwrap();
    let second = listen("127.0.0.1", first.local_addr().unwrap().port()).await;
    assert!(second.is_ok());
    assert!(
        listen("no.such.host.invalid", 1)
            .await
            .unwrap_err()
            .to_string()
            .contains("no.such.host.invalid")
    );
}
