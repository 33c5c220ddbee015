//! TLS to Postgres, as strict as `sslmode` says: libpq's rules, not rustls' own.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::db::target::{Roots, Tls, TlsMode};

/// What to do TLS with; nothing where the mode is `disable`.
pub(super) fn config(tls: &Tls) -> anyhow::Result<Option<ClientConfig>> {
    let check = match tls.mode {
        TlsMode::Disable => return Ok(None),
        TlsMode::Allow | TlsMode::Prefer | TlsMode::Require => None,
        TlsMode::VerifyCa => Some(Names::Any),
        TlsMode::VerifyFull => Some(Names::Own),
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let check = check
        .map(|names| Chain::new(&tls.roots, names, &provider))
        .transpose()?;
    let verifier = Arc::new(Verifier {
        check,
        provider: Arc::clone(&provider),
    });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain =
                certificates(cert).with_context(|| format!("sslcert {}", cert.display()))?;
            let private = PrivateKeyDer::from_pem_file(key)
                .with_context(|| format!("sslkey {}", key.display()))?;
            builder
                .with_client_auth_cert(chain, private)
                .context("sslcert and sslkey")?
        }
    };
    config.enable_sni = !tls.no_sni;
    // Postgres 17 asks for it where TLS starts at once; older servers do not look.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Some(config))
}

fn certificates(path: &std::path::Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        bail!("there is no certificate in it");
    }
    Ok(certificates)
}

/// Checks what the mode asks for, and nothing where it asks for nothing.
#[derive(Debug)]
struct Verifier {
    check: Option<Chain>,
    provider: Arc<CryptoProvider>,
}

/// Whom a certificate may be for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Any,
    Own,
}

#[derive(Debug)]
struct Chain {
    authorities: Arc<WebPkiServerVerifier>,
    /// From a file: a server's own certificate in it is trusted as it is. rustls alone would not take one that
    /// signed itself.
    pinned: Vec<CertificateDer<'static>>,
    names: Names,
}

impl Chain {
    fn new(roots: &Roots, names: Names, provider: &Arc<CryptoProvider>) -> anyhow::Result<Self> {
        let mut store = RootCertStore::empty();
        let pinned = match roots {
            Roots::System => {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                Vec::new()
            }
            Roots::File(path) => {
                let file = certificates(path)
                    .with_context(|| format!("sslrootcert {}", path.display()))?;
                store.add_parsable_certificates(file.clone());
                file
            }
        };
        let authorities =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
                .build()?;
        Ok(Self {
            authorities,
            pinned,
            names,
        })
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            return match self.names {
                Names::Any => Ok(()),
                Names::Own => verify_server_name(&ParsedCertificate::try_from(end_entity)?, name),
            };
        }
        // The chain is judged before the name.
        match self
            .authorities
            .verify_server_cert(end_entity, intermediates, name, ocsp, now)
        {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.names == Names::Any => Ok(()),
            other => other.map(drop),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(chain) = &self.check {
            chain.verify(end_entity, intermediates, name, ocsp, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
