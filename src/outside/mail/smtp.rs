//! The relay: connections that are kept for a few seconds, TLS, signing in, and one mail's dialogue (RFC 5321).

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::Failure;
use crate::config::Config;

/// The port that speaks TLS from the first byte (RFC 8314 §3.3).
const IMPLICIT_TLS: u16 = 465;
/// How long one address of the relay may take to answer ..
const CONNECT: Duration = Duration::from_secs(10);
/// .. and how long until mail can be handed over, TLS and signing in included.
const OPENING: Duration = Duration::from_secs(30);
/// How long the answer to a command may take.
const COMMAND: Duration = Duration::from_mins(1);
/// How long handing over the mail itself may take. A relay that looks for viruses takes its time, and who hangs up
/// before the answer sends the mail twice (RFC 5321 §4.5.3.2.6).
const CONTENT: Duration = Duration::from_mins(5);
/// How long a whole mail may take.
pub const EXCHANGE: Duration = Duration::from_mins(8);
/// How long saying good-bye, or whether anybody is still there, may take.
const COURTESY: Duration = Duration::from_secs(5);
/// How long a connection is kept for a next mail.
const KEEP: Duration = Duration::from_secs(10);
/// How many mails a connection carries: relays tire of endless ones.
const MAILS: u32 = 50;

/// Where mails are handed over.
pub struct Relay {
    host: String,
    port: u16,
    /// How we introduce ourselves.
    hello: ClientId,
    credentials: Option<Credentials>,
    /// TLS from the first byte.
    implicit: bool,
    /// The relay is this machine: what is said to it nobody overhears.
    local: bool,
    /// The operator's own certificates.
    trusted: Vec<CertificateDer<'static>>,
    tls: OnceLock<TlsParameters>,
    kept: Arc<Mutex<Kept>>,
}

/// Connections without work, the last used one last.
#[derive(Default)]
struct Kept {
    connections: Vec<Connection>,
    /// Somebody is there to close them.
    watched: bool,
}

struct Connection {
    smtp: AsyncSmtpConnection,
    since: Instant,
    mails: u32,
}

impl Relay {
    pub fn new(config: &Config, host: &str) -> anyhow::Result<Self> {
        let smtp = &config.smtp;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let credentials = smtp.user.clone().map(|user| {
            let password = smtp
                .pass
                .as_ref()
                .map(|pass| pass.expose_secret().to_owned());
            Credentials::new(user, password.unwrap_or_default())
        });
        let trusted = config
            .truegate
            .smtp_ca_file
            .as_deref()
            .map(certificates)
            .transpose();
        Ok(Self {
            local: is_local(&host),
            implicit: smtp.port == IMPLICIT_TLS,
            port: smtp.port,
            hello: match config.api.external_url.host() {
                Some(url::Host::Domain(name)) => ClientId::Domain(name.to_owned()),
                Some(url::Host::Ipv4(address)) => ClientId::Ipv4(address),
                Some(url::Host::Ipv6(address)) => ClientId::Ipv6(address),
                None => ClientId::Domain("localhost".to_owned()),
            },
            credentials,
            trusted: trusted
                .context("TRUEGATE_SMTP_CA_FILE")?
                .unwrap_or_default(),
            tls: OnceLock::new(),
            kept: Arc::default(),
            host,
        })
    }

    /// Hands a mail over to the first of these recipients; the others get copies.
    pub async fn send(&self, from: &Address, to: &[Address], data: &[u8]) -> Result<(), Failure> {
        let exchange = async {
            let mut connection = match self.take().await {
                Some(connection) => connection,
                None => self.open().await?,
            };
            let outcome = hand_over(&mut connection.smtp, from, to, data).await;
            match &outcome {
                Ok(()) => self.keep(connection),
                Err(_) => connection.close().await,
            }
            outcome
        };
        let late = |_| Err(Failure::passing("the relay took too long"));
        timeout(EXCHANGE, exchange).await.unwrap_or_else(late)
    }

    async fn open(&self) -> Result<Connection, Failure> {
        let late = |_| Err(Failure::passing("the relay took too long to begin"));
        let smtp = timeout(OPENING, self.connect())
            .await
            .unwrap_or_else(late)?;
        Ok(Connection {
            smtp,
            since: Instant::now(),
            mails: 0,
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let tls = self.implicit.then(|| self.tls()).transpose()?;
        let address = (self.host.as_str(), self.port);
        let mut smtp =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECT), &self.hello, tls, None)
                .await?;
        // A relay on this machine has no certificate that anybody knows, unless the operator names its maker.
        let plain = self.local && self.trusted.is_empty();
        if !self.implicit && !plain && smtp.can_starttls() {
            smtp.starttls(self.tls()?, &self.hello).await?;
        }
        // As GoTrue: who is not asked for a password need not give it.
        let asked = smtp
            .server_info()
            .get_auth_mechanism(DEFAULT_MECHANISMS)
            .is_some();
        if let Some(credentials) = self.credentials.as_ref().filter(|_| asked) {
            if !smtp.is_encrypted() && !self.local {
                return Err(Failure::passing(
                    "the relay offers no TLS: the password was not sent to it",
                ));
            }
            smtp.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(smtp)
    }

    /// What the relay's certificate is judged by: read when first needed, for a start without mail is a quick one.
    fn tls(&self) -> Result<TlsParameters, Failure> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let mut builder = TlsParameters::builder(self.host.clone())
            .certificate_store(CertificateStore::WebpkiRoots);
        for certificate in rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .chain(&self.trusted)
        {
            // A certificate that rustls cannot read cannot vouch for anybody.
            if RootCertStore::empty().add(certificate.clone()).is_ok() {
                builder =
                    builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
            }
        }
        let tls = builder.build()?;
        Ok(self.tls.get_or_init(|| tls).clone())
    }

    /// A kept connection that still works.
    async fn take(&self) -> Option<Connection> {
        loop {
            let mut connection = lock(&self.kept).connections.pop()?;
            let alive = connection.mails < MAILS
                && timeout(COURTESY, connection.smtp.test_connected())
                    .await
                    .unwrap_or(false);
            if alive {
                return Some(connection);
            }
            connection.close().await;
        }
    }

    fn keep(&self, mut connection: Connection) {
        connection.since = Instant::now();
        connection.mails += 1;
        let mut kept = lock(&self.kept);
        kept.connections.push(connection);
        if !std::mem::replace(&mut kept.watched, true) {
            tokio::spawn(watch(Arc::clone(&self.kept)));
        }
    }

    /// Closes the kept connections.
    pub async fn close(&self) {
        let connections = std::mem::take(&mut lock(&self.kept).connections);
        close_all(connections).await;
    }
}

impl Connection {
    async fn close(mut self) {
        // Whoever does not answer is left without good-bye.
        let _ = timeout(COURTESY, self.smtp.quit()).await;
    }
}

/// Closes connections that nobody used for a while; ends with the last, so that an idle server does nothing.
async fn watch(kept: Arc<Mutex<Kept>>) {
    loop {
        #[expect(
            clippy::disallowed_methods,
            reason = "connections are kept for some time"
        )]
        tokio::time::sleep(KEEP).await;
        let (idle, done) = {
            let mut kept = lock(&kept);
            let idle = kept
                .connections
                .extract_if(.., |connection| connection.since.elapsed() >= KEEP)
                .collect();
            kept.watched = !kept.connections.is_empty();
            (idle, !kept.watched)
        };
        close_all(idle).await;
        if done {
            return;
        }
    }
}

async fn close_all(connections: Vec<Connection>) {
    futures_util::future::join_all(connections.into_iter().map(Connection::close)).await;
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One mail's dialogue.
async fn hand_over(
    smtp: &mut AsyncSmtpConnection,
    from: &Address,
    to: &[Address],
    data: &[u8],
) -> Result<(), Failure> {
    let mut parameters = Vec::new();
    if std::iter::once(from)
        .chain(to)
        .any(|address| !AsRef::<str>::as_ref(address).is_ascii())
    {
        if !smtp.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Failure::final_one(
                "the relay takes no addresses with letters beyond ASCII (SMTPUTF8)",
            ));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    // Who refuses us or our address may be told better by the operator: this is tried again.
    answer(
        COMMAND,
        smtp.command(Mail::new(Some(from.clone()), parameters)),
    )
    .await?;
    for (position, recipient) in to.iter().enumerate() {
        let accepted = answer(
            COMMAND,
            smtp.command(Rcpt::new(recipient.clone(), Vec::new())),
        )
        .await;
        accepted.map_err(|error| {
            if position == 0 {
                error.about_the_mail()
            } else {
                error.into()
            }
        })?;
    }
    answer(COMMAND, smtp.command(Data)).await?;
    // lettre ends the last line itself.
    let data = data.strip_suffix(b"\r\n").unwrap_or(data);
    answer(CONTENT, smtp.message(data))
        .await
        .map_err(Refusal::about_the_mail)?;
    Ok(())
}

/// What the relay did not do.
enum Refusal {
    Late,
    Told(lettre::transport::smtp::Error),
}

async fn answer(
    patience: Duration,
    command: impl Future<Output = Result<Response, lettre::transport::smtp::Error>>,
) -> Result<Response, Refusal> {
    timeout(patience, command)
        .await
        .map_err(|_| Refusal::Late)?
        .map_err(Refusal::Told)
}

impl Refusal {
    /// The answer was to this recipient or this content. What is wrong with them stays wrong (550 to 554: no such
    /// mailbox, too big, not wanted, ..), other 5xx answers are about the dialogue (RFC 5321 §4.2.2, RFC 4954 §6).
    fn about_the_mail(self) -> Failure {
        let is_final = |code: u16| (550..=554).contains(&code);
        let permanent = match &self {
            Self::Late => false,
            Self::Told(error) => error.status().is_some_and(|code| is_final(code.into())),
        };
        Failure {
            permanent,
            ..Failure::from(self)
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Late => Self::passing("the relay took too long to answer"),
            Refusal::Told(error) => error.into(),
        }
    }
}

impl From<lettre::transport::smtp::Error> for Failure {
    fn from(error: lettre::transport::smtp::Error) -> Self {
        Self::passing(&error.to_string())
    }
}

fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let told = || format!("{} holds no certificates in PEM form", file.display());
    let pem = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .ok()
        .with_context(told)?;
    anyhow::ensure!(!found.is_empty(), told());
    for certificate in &found {
        RootCertStore::empty()
            .add(certificate.clone())
            .with_context(told)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
