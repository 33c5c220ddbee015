//! The one outgoing HTTP client: timeouts, no redirects, and the house's own TLS stack.

use std::time::Duration;

use anyhow::Context as _;
use rustls::{ClientConfig, RootCertStore};

/// How long a whole exchange may take where nobody says otherwise (GoTrue's `GOTRUE_INTERNAL_HTTP_TIMEOUT`).
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes the client.
pub fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls()?)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .pool_idle_timeout(Duration::from_secs(30))
        .build()
        .context("the HTTP client")
}

/// Trusts the machine's certificates (`SSL_CERT_FILE` among them) and, so that a bare image works too, Mozilla's.
pub fn tls() -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    for certificate in rustls_native_certs::load_native_certs().certs {
        // A certificate that rustls cannot read cannot vouch for anybody.
        let _ = roots.add(certificate);
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
