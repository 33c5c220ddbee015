//! Ports of this machine that nobody else has.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;

/// How many ports are tried, one after the other.
const TRIES: u16 = 100;

/// One port on every loopback address that the machine has: what `localhost` means differs between clients.
#[derive(Debug)]
pub struct Loopback {
    /// The port.
    pub port: u16,
    /// IPv4 and, if there is such a thing here, IPv6.
    pub listeners: Vec<TcpListener>,
}

/// Listens on exactly this port; 0 is any.
pub async fn exactly(port: u16) -> Result<Loopback> {
    match bind(port).await {
        Ok(Some(loopback)) => Ok(loopback),
        Ok(None) => bail!(
            "port {port} is taken: choose another with --port, or leave it out to get a free one"
        ),
        Err(error) => Err(error).with_context(|| format!("cannot listen on port {port}")),
    }
}

/// Listens on this port or the next one that is free.
pub async fn at_or_after(port: u16) -> Result<Loopback> {
    let last = port.saturating_add(TRIES);
    for port in port..=last {
        if let Some(loopback) = bind(port)
            .await
            .with_context(|| format!("cannot listen on port {port}"))?
        {
            return Ok(loopback);
        }
    }
    bail!("all ports from {port} to {last} are taken")
}

/// `None`: somebody has it, on one of the addresses at least.
async fn bind(port: u16) -> io::Result<Option<Loopback>> {
    let taken = |error: &io::Error| error.kind() == ErrorKind::AddrInUse;
    let v4 = match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Ok(listener) => listener,
        Err(error) if taken(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let port = v4.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(v6) => Ok(Some(Loopback {
            port,
            listeners: vec![v4, v6],
        })),
        Err(error) if taken(&error) => Ok(None),
        // A machine without IPv6.
        Err(_) => Ok(Some(Loopback {
            port,
            listeners: vec![v4],
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_passed_over() {
        let first = exactly(0).await.unwrap();
        let next = at_or_after(first.port).await.unwrap();
        assert!(next.port > first.port);
        let refused = exactly(first.port).await.unwrap_err().to_string();
        assert!(refused.contains("--port"), "{refused}");

        // Taken on IPv6 alone is taken.
        if let [_, v6] = &first.listeners[..] {
            let address = v6.local_addr().unwrap();
            let Loopback { port, listeners } = first;
            drop(listeners);
            let _v6 = TcpListener::bind(address).await.unwrap();
            assert!(at_or_after(port).await.unwrap().port > port);
        }
    }
}
