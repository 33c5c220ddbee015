//! The one outgoing HTTP client, and its guarded twin for URLs that others wrote: timeouts, no redirects, and the
//! house's own TLS stack. Requests and answers are reqwest's; it sends them where a proxy is configured, else [`direct`]
//! does.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use hyper_util::client::proxy::matcher::Matcher;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout_at;

use super::guard::{Guard, Refused};
use direct::{Deadline, Direct};

mod direct;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody needs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

const USER_AGENT: &str = concat!("Truegate/", env!("CARGO_PKG_VERSION"));

/// How others are asked.
#[derive(Clone)]
pub struct Manners {
    /// How long a whole exchange may take where nobody says otherwise (`GOTRUE_INTERNAL_HTTP_TIMEOUT`).
    pub timeout: Duration,
    /// The private networks that others' URLs may lead into.
    pub private_networks: Vec<IpNet>,
    /// Who may vouch for a server besides the usual ones.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Names that lead elsewhere than in all the world: so a test plays whom all the world knows.
    pub names: Vec<(&'static str, SocketAddr)>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            private_networks: Vec::new(),
            authorities: Vec::new(),
            names: Vec::new(),
        }
    }
}

/// Asks other servers; cheap to clone. Its clients are made when they are first asked for: to read the machine's
/// certificates takes longer than all else at start.
#[derive(Clone)]
pub struct Http {
    clients: Arc<Clients>,
    /// Who may be asked; without it URLs are the operator's own, and lead anywhere.
    guard: Option<Guard>,
}

struct Clients {
    tls: Lazy<ClientConfig>,
    /// Makes requests, and sends them by a proxy.
    proxied: Lazy<reqwest::Client>,
    proxies: Matcher,
    /// For URLs of the operator's.
    open: Lazy<Direct>,
    /// For URLs of others.
    guarded: Lazy<Direct>,
    guard: Guard,
    manners: Manners,
}

type Lazy<T> = OnceLock<Result<T, String>>;

impl Default for Http {
    fn default() -> Self {
        Self::new(Manners::default())
    }
}

impl Http {
    /// Asks by URLs that the operator has configured.
    #[must_use]
    pub fn new(manners: Manners) -> Self {
        let clients = Clients {
            tls: Lazy::new(),
            proxied: Lazy::new(),
            proxies: Matcher::from_env(),
            open: Lazy::new(),
            guarded: Lazy::new(),
            guard: Guard::new(&manners.private_networks),
            manners,
        };
        Self {
            clients: Arc::new(clients),
            guard: None,
        }
    }

    /// The same for URLs that others wrote: in the API, in the database, in an answer. They lead to the public internet,
    /// by https, and to the literal addresses in `own`: the URLs of the row that is worked with.
    #[must_use]
    pub fn guarded<'a>(&self, own: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            clients: self.clients.clone(),
            guard: Some(self.clients.guard.and_literals_of(own)),
        }
    }

    /// What says which URLs of others may be stored.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.clients.guard
    }

    /// What makes requests for the operator's URLs; [`Self::send`] sends them.
    pub fn client(&self) -> anyhow::Result<&reqwest::Client> {
        if self.guard.is_some() {
            // It would not look at addresses.
            bail!("others' URLs are asked with `send`");
        }
        let Clients {
            proxied, manners, ..
        } = &*self.clients;
        made(proxied, || {
            Ok(builder(manners, self.clients.tls()?.clone()).build()?)
        })
    }

    /// Asks, wherever the URL is from. A proxy would resolve names itself, out of the guard's sight.
    pub async fn send(&self, request: reqwest::Request) -> anyhow::Result<reqwest::Response> {
        let clients = &*self.clients;
        let direct = match &self.guard {
            Some(guard) => {
                guard.check_literal(request.url())?;
                made(&clients.guarded, || clients.direct(Some(&clients.guard)))?
            }
            None if clients.is_proxied(&request) => {
                return self.client()?.execute(request).await.map_err(told);
            }
            None => made(&clients.open, || clients.direct(None))?,
        };
        direct.send(request).await.map_err(refused)
    }
}

impl Clients {
    fn tls(&self) -> anyhow::Result<&ClientConfig> {
        made(&self.tls, || tls(&self.manners.authorities))
    }

    fn direct(&self, guard: Option<&Guard>) -> anyhow::Result<Direct> {
        let tls = self.tls()?.clone();
        Ok(Direct::new(&self.manners, tls, guard.cloned()))
    }

    fn is_proxied(&self, request: &reqwest::Request) -> bool {
        let uri = request.url().as_str().parse();
        uri.is_ok_and(|uri| self.proxies.intercept(&uri).is_some())
    }
}

fn made<T>(lazy: &Lazy<T>, make: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<&T> {
    lazy.get_or_init(|| make().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("the HTTP client: {error}"))
}

fn builder(manners: &Manners, tls: ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(manners.timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
}

/// What went wrong, without the URL, which may hold secrets.
fn told(error: reqwest::Error) -> anyhow::Error {
    error.without_url().into()
}

/// A refusal of the guard in its own words.
fn refused(error: anyhow::Error) -> anyhow::Error {
    let refused = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Refused>());
    refused.cloned().map_or(error, Into::into)
}

/// How much of a document is read: what anybody answers has to fit into the memory of a small machine.
const MAX_BODY: usize = 1 << 20;

/// Reads a whole body; more than 1 MiB is an error.
pub async fn read(response: reqwest::Response) -> anyhow::Result<Vec<u8>> {
    let body = read_at_most(response, MAX_BODY).await?;
    body.ok_or_else(|| anyhow!("the answer is longer than 1 MiB"))
}

/// The body of an answer as far as this many bytes; none where it is longer.
pub async fn read_at_most(
    mut response: reqwest::Response,
    limit: usize,
) -> anyhow::Result<Option<Vec<u8>>> {
    let deadline = response.extensions().get().copied();
    let mut body = Vec::new();
    while let Some(chunk) = chunk(&mut response, deadline).await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The next piece of an answer. Where a proxy is asked, reqwest looks at the clock itself.
async fn chunk(
    response: &mut reqwest::Response,
    deadline: Option<Deadline>,
) -> anyhow::Result<Option<Bytes>> {
    let chunk = response.chunk();
    let chunk = match deadline {
        Some(Deadline(deadline)) => timeout_at(deadline, chunk)
            .await
            .context("the answer takes too long")?,
        None => chunk.await,
    };
    chunk.map_err(told)
}

/// Trusts these authorities, the machine's (`SSL_CERT_FILE` among them) and, so that a bare image works too, Mozilla's.
fn tls(authorities: &[CertificateDer<'static>]) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    let machine = rustls_native_certs::load_native_certs().certs;
    for certificate in machine.into_iter().chain(authorities.iter().cloned()) {
        // A certificate that rustls cannot read cannot vouch for anybody.
        let _ = roots.add(certificate);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufReader, ErrorKind};
    use std::path::Path;

    use reqwest::{Method, Request};
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// The certificate of the stand-in of the golden tests, for 127.0.0.1, and who signed it.
    fn pem(name: &str) -> BufReader<File> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/standin");
        BufReader::new(File::open(folder.join(name)).unwrap())
    }

    /// A provider on this machine that gives one answer. The port.
    async fn answering(answer: String) -> u16 {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_reader_iter(pem("tls.pem")).map(Result::unwrap);
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                chain.collect(),
                PrivateKeyDer::from_pem_reader(pem("tls.pem")).unwrap(),
            );
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.ok();
        });
        port
    }

    /// The guarded client that trusts the stand-in.
    fn guarded(own: &str) -> Http {
        let authority = CertificateDer::from_pem_reader(pem("ca.pem")).unwrap();
        let http = Http::new(Manners {
            authorities: vec![authority],
            ..Manners::default()
        });
        http.guarded([own])
    }

    #[tokio::test]
    async fn attack_090_an_answer_leads_nowhere() {
        let inside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        inside.set_nonblocking(true).unwrap();
        let target = inside.local_addr().unwrap();
        let answer = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: https://{target}/\r\ncontent-length: 0\r\n\r\n"
        );
        let url = format!("https://127.0.0.1:{}/", answering(answer).await);
        let request = Request::new(Method::GET, url.parse().unwrap());
        let response = guarded(&url).send(request).await.unwrap();
        assert_eq!(response.status(), 307);
        assert_eq!(inside.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    const FAR: &str = "http://somewhere.invalid/page";

    #[tokio::test]
    async fn a_proxy_is_asked_where_one_is_configured() {
        let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // The environment is read for the whole process, so another one asks.
        let mut asking = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "outside::client::tests::ask_from_far_away",
            ])
            .env(
                "http_proxy",
                format!("http://{}", proxy.local_addr().unwrap()),
            )
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let (mut stream, _) = proxy.accept().await.unwrap();
        let mut asked = [0; 4096];
        let length = stream.read(&mut asked).await.unwrap();
        let asked = String::from_utf8_lossy(&asked[..length]);
        assert!(
            asked.starts_with(&format!("GET {FAR} HTTP/1.1\r\n")),
            "{asked}"
        );
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let ended = tokio::task::spawn_blocking(move || asking.wait().unwrap());
        assert!(ended.await.unwrap().success());
    }

    #[tokio::test]
    #[ignore = "run by another test"]
    async fn ask_from_far_away() {
        let request = Request::new(Method::GET, FAR.parse().unwrap());
        let answer = Http::default().send(request).await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// What a test of GoTrue's compares to the letter.
    #[tokio::test]
    async fn nothing_is_added_to_a_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/path").parse().unwrap();
        let http = Http::new(Manners {
            timeout: Duration::from_secs(30),
            ..Manners::default()
        });
        let asked = tokio::spawn(async move { http.send(Request::new(Method::GET, url)).await });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let expected =
            format!("GET /path HTTP/1.1\r\nuser-agent: {USER_AGENT}\r\nhost: {address}\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(&request[..length]), expected);
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        assert_eq!(asked.await.unwrap().unwrap().status(), 204);
    }

    /// The time is for the whole of an answer.
    #[tokio::test]
    async fn an_answer_that_does_not_end_in_time_is_given_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let mut request = Request::new(Method::GET, url.parse().unwrap());
        *request.timeout_mut() = Some(Duration::from_secs(3));
        let asked = tokio::spawn(async move { read(Http::default().send(request).await?).await });
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{";
        stream.write_all(answer).await.unwrap();
        let cause = format!("{:#}", asked.await.unwrap().unwrap_err());
        assert!(cause.starts_with("the answer takes too long"), "{cause}");
    }

    #[test]
    fn a_guarded_client_is_not_given_out() {
        assert!(Http::default().client().is_ok());
        assert!(Http::default().guarded([]).client().is_err());
    }
}
