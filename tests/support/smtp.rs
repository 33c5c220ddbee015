//! A mail server that takes every mail and puts it into an outbox: where the server under test is a process.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use truegate::outside::mail::Sink as _;

use super::outbox::Outbox;

/// Listens until it is dropped.
pub struct Smtp {
    pub address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Smtp {
    pub async fn start(outbox: Outbox) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let outbox = outbox.clone();
                // A client that hangs up early is the client's affair.
                tokio::spawn(async move { converse(stream, outbox).await.ok() });
            }
        });
        Self { address, listening }
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn converse(stream: TcpStream, outbox: Outbox) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut recipients = Vec::new();
    let mut reply = "220 outbox";
    loop {
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        let line = read_line(&mut stream).await?;
        let line = String::from_utf8_lossy(&line);
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        reply = match verb.as_str() {
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                recipients.push(address.to_owned());
                "250 OK"
            }
            "DATA" => {
                stream.write_all(b"354 go ahead\r\n").await?;
                let data = read_data(&mut stream).await?;
                outbox.receive(&std::mem::take(&mut recipients), &data);
                "250 OK"
            }
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            "" => return Ok(()),
            _ => "250 OK",
        };
    }
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line).await?;
    Ok(line)
}

/// Up to the line with a single dot; doubled dots at the start of a line become one (RFC 5321 §4.5.2).
async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() || line == b".\r\n" {
            return Ok(data);
        }
        data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
