//! `truegate health`: what a container asks about its own server.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::config::Api;

/// How long connecting, and how long the answer, may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `/health` of the server that runs with these settings on this machine.
pub fn ask(api: &Api) -> Result<()> {
    let host = match api.host.trim_matches(['[', ']']) {
        "" | "0.0.0.0" | "::" => "localhost",
        host => host,
    };
    let addresses: Vec<SocketAddr> = (host, api.port)
        .to_socket_addrs()
        .with_context(|| format!("unknown host {host}"))?
        .collect();
    let connected = addresses
        .iter()
        .find_map(|address| TcpStream::connect_timeout(address, PATIENCE).ok());
    let mut stream =
        connected.with_context(|| format!("nobody listens on {host}, port {}", api.port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut status = String::new();
    BufReader::new(stream)
        .read_line(&mut status)
        .context("no answer")?;
    if status.split(' ').nth(1) != Some("200") {
        bail!("the server answered {:?}", status.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::Config;

    fn answered(answer: &'static str) -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map(Result::unwrap);
            assert_eq!(request.next().unwrap(), "GET /health HTTP/1.1");
            assert!(request.any(|line| line.is_empty()));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let required = [
            ("GOTRUE_SITE_URL", "http://x"),
            ("API_EXTERNAL_URL", "http://x"),
            ("GOTRUE_JWT_SECRET", "0123456789012345678901234567890123"),
            ("DATABASE_URL", "postgres://x/x"),
        ];
        let mut config = Config::from_pairs(required).unwrap();
        config.api.port = port;
        let result = ask(&config.api);
        server.join().unwrap();
        result
    }

    #[test]
    fn only_200_is_healthy() {
        answered("HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let error = answered("HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
        assert!(answered("").is_err());
    }
}
