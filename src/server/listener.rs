//! Where the server listens.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Context;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted; the system caps it (`net.core.somaxconn`).
const BACKLOG: u32 = 4096;

/// When TCP asks an idle client for a sign of life, and how long between two questions.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Listens on a host and port as GoTrue does: an empty host is every address, and `SO_REUSEPORT` lets a new
/// process start before the old one has stopped.
pub async fn listen(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    if host.is_empty() {
        // One socket for IPv6 and IPv4, where the machine has both.
        let every = SocketAddr::from(([0u16; 8], port));
        return bind(every)
            .or_else(|_| bind(SocketAddr::from(([0u8; 4], port))))
            .with_context(|| format!("cannot listen on port {port}"));
    }
    let mut addresses = tokio::net::lookup_host((host.trim_matches(['[', ']']), port))
        .await
        .with_context(|| format!("the host to listen on, {host:?}, is not known"))?;
    let address = addresses
        .next()
        .with_context(|| format!("the host to listen on, {host:?}, has no address"))?;
    bind(address).with_context(|| format!("cannot listen on {address}"))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    // Accepted connections inherit these.
    socket.set_keepalive(true)?;
    sockopt::set_tcp_keepidle(socket.as_fd(), KEEP_ALIVE)?;
    sockopt::set_tcp_keepintvl(socket.as_fd(), KEEP_ALIVE)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether a failed accept says nothing about the next one.
pub fn is_about_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}
