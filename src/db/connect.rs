//! Opens one connection to Postgres.
//!
//! tokio-postgres can do this by itself, with less: it knows three of the six `sslmode`s and verifies what libpq does
//! not, cannot ask for a primary, and lets nobody look at the wire.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::target::{Address, Host, Role, Target, TlsMode};

mod tls;
mod wire;

pub(super) use wire::Health;
use wire::Wire;

/// Nothing that was sent is confirmed for so long: the peer has vanished without a word.
#[cfg(target_os = "linux")]
const SILENCE: Duration = Duration::from_secs(10);
/// Whether a peer that nobody asks anything is still there: first asked then, and so often.
const PROBES: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(5), 3);

/// Opens connections to one database.
pub(super) struct Connector {
    target: Target,
    tls: Option<MakeRustlsConnect>,
    /// The statement that gives a new session its settings.
    settle: String,
}

/// An open connection.
pub(super) struct Opened {
    pub(super) client: Client,
    pub(super) health: Arc<Health>,
    /// Where it goes.
    pub(super) route: Route,
}

/// The way to one server.
#[derive(Debug, Clone)]
pub(super) struct Route {
    host: Host,
    transport: Transport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Plain,
    /// TLS if the server has it.
    Offered,
    Tls,
}

impl Connector {
    /// Reads the certificates that the URL names; opens nothing.
    pub(super) fn new(url: &str, namespace: &str) -> anyhow::Result<Self> {
        let target = Target::parse(url, namespace).map_err(anyhow::Error::msg)?;
        let tls = tls::config(&target.tls)?.map(MakeRustlsConnect::new);
        Ok(Self {
            settle: settle(&target.settings),
            target,
            tls,
        })
    }

    /// Tries each host in the order of the URL, on each way that its `sslmode` allows; all of them within `limit`,
    /// so that one that says nothing leaves time for the next. The error has all reasons.
    pub(super) async fn connect(&self, limit: Duration) -> anyhow::Result<Opened> {
        let roles: &[Role] = match self.target.role {
            Role::PreferStandby => &[Role::Standby, Role::Any],
            ref role => std::slice::from_ref(role),
        };
        let candidates: Vec<(Role, &Host)> = roles
            .iter()
            .flat_map(|role| self.target.hosts.iter().map(|host| (*role, host)))
            .collect();
        let deadline = Instant::now() + limit;
        let mut reasons: Vec<String> = Vec::new();
        for (index, (role, host)) in candidates.iter().enumerate() {
            let left = u32::try_from(candidates.len() - index).unwrap_or(u32::MAX);
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            let share = self
                .target
                .timeout
                .map_or(share, |timeout| timeout.min(share));
            let (error, is_final) = match timeout(share, self.reach(host, *role)).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err(error)) => (format!("{error:#}"), is_final(&error)),
                Err(_) => ("no answer in time".to_owned(), false),
            };
            let reason = format!("{host}: {error}");
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
            if is_final {
                break;
            }
        }
        bail!(reasons.join("; "))
    }

    /// One host, on each way.
    async fn reach(&self, host: &Host, role: Role) -> anyhow::Result<Opened> {
        let mut first = None;
        for transport in self.transports(host) {
            let route = Route {
                host: host.clone(),
                transport: *transport,
            };
            match self.open(route, role).await {
                Ok(opened) => return Ok(opened),
                Err(error) if is_final(&error) => return Err(error),
                // What the preferred way said tells more than the refusal of the other.
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| anyhow!("no way to it")))
    }

    fn transports(&self, host: &Host) -> &'static [Transport] {
        match (&host.address, self.target.tls.mode) {
            // As in libpq, nobody encrypts what never leaves the machine.
            (Address::Unix(_), _) | (_, TlsMode::Disable) => &[Transport::Plain],
            (_, TlsMode::Allow) => &[Transport::Plain, Transport::Tls],
            (_, TlsMode::Prefer) => &[Transport::Offered, Transport::Plain],
            (_, TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull) => &[Transport::Tls],
        }
    }

    async fn open(&self, route: Route, role: Role) -> anyhow::Result<Opened> {
        let (client, health) = self.start(&route).await?;
        client.simple_query(&self.settle).await?;
        check_role(&client, role).await?;
        Ok(Opened {
            client,
            health,
            route,
        })
    }

    async fn start(&self, route: &Route) -> anyhow::Result<(Client, Arc<Health>)> {
        let mut startup = self.target.startup.clone();
        let health = Arc::new(Health::default());
        let client = match &route.host.address {
            Address::Unix(directory) => {
                let path = directory.join(format!(".s.PGSQL.{}", route.host.port));
                start_plain(startup, UnixStream::connect(path).await?, &health).await?
            }
            Address::Tcp(name) => match self.dial(name, route).await? {
                (stream, None) => start_plain(startup, stream, &health).await?,
                (stream, Some(connect)) => {
                    // The request for TLS has been made and granted.
                    startup
                        .ssl_mode(SslMode::Require)
                        .ssl_negotiation(SslNegotiation::Direct);
                    let tls = Listened {
                        connect,
                        health: Arc::clone(&health),
                    };
                    let (client, connection) = startup.connect_raw(stream, tls).await?;
                    drive(connection, Arc::clone(&health));
                    client
                }
            },
        };
        Ok((client, health))
    }

    /// A TCP stream, and what to do TLS with where there is to be TLS.
    async fn dial(
        &self,
        name: &str,
        route: &Route,
    ) -> anyhow::Result<(TcpStream, Option<RustlsConnect>)> {
        let mut stream = TcpStream::connect((name, route.host.port)).await?;
        stream.set_nodelay(true)?;
        keep_alive(&stream)?;
        if route.transport == Transport::Plain {
            return Ok((stream, None));
        }
        let mut tls = self.tls.clone().context("no TLS")?;
        if !self.target.tls.direct && !is_granted(&mut stream).await? {
            if route.transport == Transport::Offered {
                return Ok((stream, None));
            }
            bail!("the server has no TLS");
        }
        Ok((
            stream,
            Some(MakeTlsConnect::<TcpStream>::make_tls_connect(
                &mut tls, name,
            )?),
        ))
    }

    /// Asks the server to give up what this connection is doing.
    pub(super) async fn cancel(&self, token: CancelToken, route: &Route) -> anyhow::Result<()> {
        match &route.host.address {
            Address::Unix(directory) => {
                let stream =
                    UnixStream::connect(directory.join(format!(".s.PGSQL.{}", route.host.port)))
                        .await?;
                token.cancel_query_raw(stream, NoTls).await?;
            }
            Address::Tcp(name) => match self.dial(name, route).await? {
                (stream, None) => token.cancel_query_raw(stream, NoTls).await?,
                (stream, Some(connect)) => token.cancel_query_raw(stream, connect).await?,
            },
        }
        Ok(())
    }
}

type RustlsConnect = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::TlsConnect;
type RustlsStream = <MakeRustlsConnect as MakeTlsConnect<TcpStream>>::Stream;

/// TLS, listened in on where it is plain text.
struct Listened {
    connect: RustlsConnect,
    health: Arc<Health>,
}

impl TlsConnect<TcpStream> for Listened {
    type Stream = Wire<RustlsStream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Stream>>;

    fn connect(self, stream: TcpStream) -> Self::Future {
        async move { Ok(Wire::new(self.connect.connect(stream).await?, self.health)) }.boxed()
    }
}

async fn start_plain<S>(
    mut startup: tokio_postgres::Config,
    stream: S,
    health: &Arc<Health>,
) -> anyhow::Result<Client>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    startup.ssl_mode(SslMode::Disable);
    let wire = Wire::new(stream, Arc::clone(health));
    let (client, connection) = startup.connect_raw(wire, NoTls).await?;
    drive(connection, Arc::clone(health));
    Ok(client)
}

/// Lets the connection work until either side ends it.
fn drive(
    connection: impl Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
    health: Arc<Health>,
) {
    tokio::spawn(async move {
        // Whoever waits for an answer is told why there is none.
        let _ = connection.await;
        health.close();
    });
}

/// Asks whether the server has TLS.
async fn is_granted(stream: &mut TcpStream) -> io::Result<bool> {
    // `SSLRequest`: its length, and a version that no protocol has.
    stream
        .write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
        .await?;
    let mut answer = [0];
    // One byte and no more: what follows must be TLS' own.
    stream.read_exact(&mut answer).await?;
    Ok(answer == *b"S")
}

fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let (idle, interval, count) = PROBES;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, idle)?;
    sockopt::set_tcp_keepintvl(stream, interval)?;
    sockopt::set_tcp_keepcnt(stream, count)?;
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(
        stream,
        u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX),
    )?;
    Ok(())
}

async fn check_role(client: &Client, role: Role) -> anyhow::Result<()> {
    let (question, wanted) = match role {
        Role::Any | Role::PreferStandby => return Ok(()),
        Role::ReadWrite => ("SHOW transaction_read_only", "off"),
        Role::ReadOnly => ("SHOW transaction_read_only", "on"),
        Role::Primary => ("SELECT pg_catalog.pg_is_in_recovery()", "f"),
        Role::Standby => ("SELECT pg_catalog.pg_is_in_recovery()", "t"),
    };
    let answer = client.simple_query(question).await?;
    let is = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    if is != Some(wanted) {
        bail!("the server is not what target_session_attrs asks for ({role:?})");
    }
    Ok(())
}

/// One round trip, and nothing in the start-up message: PgBouncer refuses `options`, or drops them without a word.
///
/// What the role brings along already is not set again: behind a transaction pooler a setting would be somebody else's
/// at the next moment. Blanks and quotes in a list of schemas do not matter, and more of them may follow.
fn settle(settings: &[(String, String)]) -> String {
    let each = settings.iter().map(|(name, value)| {
        let (name, value) = (literal(name), literal(value));
        let list = |text: String| format!(r#"translate({text}, '" ', '') || ','"#);
        let (found, wanted) = (list(format!("current_setting({name}, true)")), list(value.clone()));
        format!("CASE WHEN position({wanted} in {found}) = 1 THEN '' ELSE set_config({name}, {value}, false) END")
    });
    format!("SELECT {}", each.collect::<Vec<_>>().join(", "))
}

/// For statements without parameters; backslashes are plain since Postgres 9.1.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Whether every other server and way would say the same.
fn is_final(error: &anyhow::Error) -> bool {
    let code = error
        .downcast_ref::<tokio_postgres::Error>()
        .and_then(tokio_postgres::Error::code);
    let told = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_CATALOG_NAME,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    code.is_some_and(|code| told.contains(code))
}
