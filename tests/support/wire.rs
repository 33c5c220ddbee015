//! A wire between the server and Postgres on which round trips are counted: each time the server speaks
//! after Postgres has spoken. Statements that are sent together are one, and so is BEGIN alone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use url::Url;

/// Carries connections until it is dropped.
pub struct Wire {
    address: SocketAddr,
    round_trips: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Wire {
    /// A wire to the Postgres of this URL.
    pub async fn to(url: &str) -> Self {
        let postgres: tokio_postgres::Config = url.parse().unwrap();
        let host = postgres.get_hosts()[0].clone();
        let port = postgres.get_ports().first().copied().unwrap_or(5432);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let round_trips = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&round_trips);
        let listening = tokio::spawn(async move {
            loop {
                let (server, _) = listener.accept().await.unwrap();
                let count = Arc::clone(&count);
                let host = host.clone();
                tokio::spawn(async move {
                    // A connection that breaks off is its user's affair.
                    match host {
                        Host::Tcp(host) => {
                            carry(server, TcpStream::connect((host, port)).await?, &count).await
                        }
                        Host::Unix(folder) => {
                            let socket = folder.join(format!(".s.PGSQL.{port}"));
                            carry(server, UnixStream::connect(socket).await?, &count).await
                        }
                    }
                });
            }
        });
        Self {
            address,
            round_trips,
            listening,
        }
    }

    /// The same database, by this wire.
    pub fn url(&self, url: &str) -> String {
        let through = Url::parse(url).unwrap();
        let others = through
            .query_pairs()
            .filter(|(name, _)| name != "host" && name != "port");
        let others: Vec<_> = others
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let user = Some(through.username())
            .filter(|user| !user.is_empty())
            .map(|user| format!("{user}@"));
        let base = format!(
            "postgres://{}{}{}",
            user.unwrap_or_default(),
            self.address,
            through.path()
        );
        Url::parse_with_params(&base, others).unwrap().into()
    }

    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::SeqCst)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn carry(
    mut server: TcpStream,
    mut postgres: impl AsyncRead + AsyncWrite + Unpin,
    round_trips: &AtomicU64,
) -> std::io::Result<()> {
    server.set_nodelay(true)?;
    let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut postgres_spoke = true;
    loop {
        tokio::select! {
            read = server.read(&mut up) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                if std::mem::take(&mut postgres_spoke) {
                    round_trips.fetch_add(1, Ordering::SeqCst);
                }
                postgres.write_all(&up[..read]).await?;
            }
            read = postgres.read(&mut down) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                postgres_spoke = true;
                server.write_all(&down[..read]).await?;
            }
        }
    }
}
