//! A relay of the tests: takes mails, refuses them, falls silent or hangs up, as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the relay does with mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    /// Takes a connection and says nothing.
    Silent,
    /// 421 instead of a greeting.
    Busy,
    /// This answer to RCPT.
    RefusesRecipient(&'static str),
    /// This answer after the mail.
    RefusesContent(&'static str),
    /// Hangs up in the middle of a mail.
    HangsUp,
    /// Offers nothing but plain text and AUTH.
    Plain,
}

/// What the relay took.
#[derive(Debug, Clone)]
pub struct Taken {
    pub hello: String,
    /// What was said to AUTH.
    pub auth: Option<String>,
    pub encrypted: bool,
    pub from: String,
    pub to: Vec<String>,
    pub data: String,
}

struct State {
    mood: Mutex<Mood>,
    taken: Mutex<Vec<Taken>>,
    took: Notify,
    connections: AtomicUsize,
    tls: TlsAcceptor,
}

/// Listens until it is dropped.
pub struct Relay {
    pub port: u16,
    state: Arc<State>,
    listening: JoinHandle<()>,
}

impl Relay {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            mood: Mutex::new(mood),
            taken: Mutex::default(),
            took: Notify::new(),
            connections: AtomicUsize::new(0),
            tls: acceptor(),
        });
        let shared = Arc::clone(&state);
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&shared);
                state.connections.fetch_add(1, Ordering::SeqCst);
                // A client that hangs up early is the client's affair.
                tokio::spawn(async move { converse(stream, &state).await.ok() });
            }
        });
        Self {
            port,
            state,
            listening,
        }
    }

    pub fn feels(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    /// How many clients came.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// What was taken so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.state.taken.lock().unwrap().clone()
    }

    /// Returns when a mail has been taken since this was last asked.
    pub async fn took(&self) {
        self.state.took.notified().await;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// TLS as `localhost`, by the authority in `ca.pem`.
fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("localhost.pem"))
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    TlsAcceptor::from(Arc::new(
        config
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap(),
    ))
}

async fn converse(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    let mood = *state.mood.lock().unwrap();
    match mood {
        Mood::Silent => return std::future::pending().await,
        Mood::Busy => return stream.write_all(b"421 4.3.2 too busy\r\n").await,
        _ => stream.write_all(b"220 relay\r\n").await?,
    }
    let mut stream = BufReader::new(stream);
    if dialogue(&mut stream, state, mood != Mood::Plain, false).await? {
        let stream = state.tls.accept(stream.into_inner()).await?;
        dialogue(&mut BufReader::new(stream), state, false, true).await?;
    }
    Ok(())
}

/// `true`: TLS is to begin.
async fn dialogue<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    state: &State,
    offers_tls: bool,
    encrypted: bool,
) -> std::io::Result<bool> {
    let mut mail = Taken {
        hello: String::new(),
        auth: None,
        encrypted,
        from: String::new(),
        to: Vec::new(),
        data: String::new(),
    };
    loop {
        let line = read_line(stream).await?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let mood = *state.mood.lock().unwrap();
        let mut answer = "250 2.0.0 Ok";
        match verb {
            "" => return Ok(false),
            "EHLO" if offers_tls => {
                mail.hello = rest.to_owned();
                answer = "250-relay\r\n250 STARTTLS";
            }
            "EHLO" => {
                mail.hello = rest.to_owned();
                answer = "250-relay\r\n250 AUTH PLAIN LOGIN";
            }
            "STARTTLS" => {
                stream.write_all(b"220 2.0.0 Go\r\n").await?;
                return Ok(true);
            }
            "AUTH" => {
                mail.auth = Some(rest.to_owned());
                answer = "235 2.7.0 Welcome";
            }
            "MAIL" => mail.from = address,
            "RCPT" => match mood {
                Mood::RefusesRecipient(refusal) => answer = refusal,
                _ => mail.to.push(address),
            },
            "DATA" => {
                stream.write_all(b"354 Go\r\n").await?;
                mail.data = read_data(stream).await?;
                match mood {
                    Mood::HangsUp => return Ok(false),
                    Mood::RefusesContent(refusal) => answer = refusal,
                    _ => {
                        state.taken.lock().unwrap().push(mail.clone());
                        state.took.notify_one();
                    }
                }
                mail.to.clear();
            }
            "QUIT" => {
                stream.write_all(b"221 2.0.0 Bye\r\n").await?;
                return Ok(false);
            }
            _ => {}
        }
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line.trim_end().to_owned())
}

/// Up to the line with a single dot.
async fn read_data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let mut data = String::new();
    while !data.ends_with("\r\n.\r\n") {
        if stream.read_line(&mut data).await? == 0 {
            break;
        }
    }
    Ok(data)
}
