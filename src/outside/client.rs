//! The one outgoing HTTP client, and its guarded twin for URLs that others wrote: timeouts, no redirects, and the
//! house's own TLS stack.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{anyhow, bail};
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use super::guard::{Guard, Refused};

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// For URLs of the operator's.
    open: Lazy,
    /// For URLs of others.
    guarded: Lazy,
    guard: Guard,
    manners: Manners,
}

type Lazy = OnceLock<Result<reqwest::Client, String>>;

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

    /// The client itself, for the operator's URLs.
    pub fn client(&self) -> anyhow::Result<&reqwest::Client> {
        if self.guard.is_some() {
            // It would not look at literal addresses.
            bail!("others' URLs are asked with `send`");
        }
        let Clients { open, manners, .. } = &*self.clients;
        made(open, || Ok(builder(manners)?.build()?))
    }

    /// Asks, wherever the URL is from.
    pub async fn send(&self, request: reqwest::Request) -> anyhow::Result<reqwest::Response> {
        let Some(guard) = &self.guard else {
            return self.client()?.execute(request).await.map_err(told);
        };
        guard.check_literal(request.url())?;
        let Clients {
            guarded, manners, ..
        } = &*self.clients;
        let client = made(guarded, || {
            Ok(guarded_by(&self.clients.guard, builder(manners)?).build()?)
        })?;
        client.execute(request).await.map_err(told)
    }
}

fn made(
    lazy: &Lazy,
    make: impl FnOnce() -> anyhow::Result<reqwest::Client>,
) -> anyhow::Result<&reqwest::Client> {
    lazy.get_or_init(|| make().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("the HTTP client: {error}"))
}

fn builder(manners: &Manners) -> anyhow::Result<reqwest::ClientBuilder> {
    let builder = manners
        .names
        .iter()
        .fold(reqwest::Client::builder(), |builder, (name, address)| {
            builder.resolve(name, *address)
        });
    Ok(builder
        .tls_backend_preconfigured(tls(&manners.authorities)?)
        .user_agent(concat!("Truegate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(manners.timeout)
        .pool_idle_timeout(Duration::from_secs(30)))
}

/// A proxy would resolve names itself, out of sight.
fn guarded_by(guard: &Guard, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
    builder
        .https_only(true)
        .no_proxy()
        .dns_resolver(Arc::new(guard.resolver()))
}

/// What went wrong, without the URL, which may hold secrets; a refusal of the guard in its own words.
fn told(error: reqwest::Error) -> anyhow::Error {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return refused.clone().into();
        }
        cause = error.source();
    }
    error.without_url().into()
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
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(told)? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
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

    #[test]
    fn a_guarded_client_is_not_given_out() {
        assert!(Http::default().client().is_ok());
        assert!(Http::default().guarded([]).client().is_err());
    }
}
