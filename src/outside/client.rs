//! The one outgoing HTTP client: timeouts, no redirects, and the house's own TLS stack.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{anyhow, bail};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// How long a whole exchange may take where nobody says otherwise (GoTrue's `GOTRUE_INTERNAL_HTTP_TIMEOUT`).
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The client; cheap to clone. It is made when it is first asked for: to read the machine's certificates takes longer
/// than all else at start.
#[derive(Clone, Default)]
pub struct Http(Arc<Inner>);

#[derive(Default)]
struct Inner {
    client: OnceLock<Result<reqwest::Client, String>>,
    /// Who may vouch for a server besides the usual ones.
    authorities: Vec<CertificateDer<'static>>,
}

impl Http {
    /// A client that trusts these authorities as well.
    #[must_use]
    pub fn trusting(authorities: Vec<CertificateDer<'static>>) -> Self {
        Self(Arc::new(Inner {
            client: OnceLock::new(),
            authorities,
        }))
    }

    /// The client that asks.
    pub fn client(&self) -> anyhow::Result<&reqwest::Client> {
        let client = self
            .0
            .client
            .get_or_init(|| client(&self.0.authorities).map_err(|error| format!("{error:#}")));
        client
            .as_ref()
            .map_err(|error| anyhow!("the HTTP client: {error}"))
    }
}

fn client(authorities: &[CertificateDer<'static>]) -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls(authorities)?)
        .user_agent(concat!("Truegate/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(30))
        .build()?)
}

/// How much of a document is read: what anybody answers has to fit into the memory of a small machine.
const MAX_BODY: usize = 1 << 20;

/// Reads a whole body; more than 1 MiB is an error.
pub async fn read(mut response: reqwest::Response) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(reqwest::Error::without_url)?
    {
        if body.len() + chunk.len() > MAX_BODY {
            bail!("the answer is longer than 1 MiB");
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
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
