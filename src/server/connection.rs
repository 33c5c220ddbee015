//! One connection: which protocol limits it has, and how long it may take to say what it wants.
//!
//! hyper's own header timeout would also close connections that idle between two requests, under the
//! hands of a gateway that keeps them open; GoTrue (`cmd/serve_cmd.go`) closes only those that have begun
//! a request and do not end its head. [`Patience`] does the same.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use http::Version;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tower::{Service, ServiceExt};

/// How long the head of a request may take: from the first byte on, and for the first request from the
/// connection's begin.
const HEAD: Duration = Duration::from_secs(2);

/// The longest head of a request, and of an HTTP/2 header list.
const MAX_HEAD: u32 = 64 << 10;

/// HTTP/2 requests under way on one connection.
const MAX_STREAMS: u32 = 128;

/// HTTP/2 connections are asked for a sign of life; HTTP/1.1 has the keep-alive of TCP.
const PING: Duration = Duration::from_secs(30);

/// HTTP/1.1 and h2c by what the client says first.
pub fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD)
        // Rapid reset: streams that are opened to be cancelled count against the connection.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128);
    builder
}

/// Answers one connection's requests until it ends or the server drains.
pub async fn serve<S>(
    http: Builder<TokioExecutor>,
    service: S,
    stream: TcpStream,
    peer: SocketAddr,
    drain: Watcher,
) where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    // Answers are small and written whole: waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let phase = Arc::new(Phase::default());
    let stream = Patience::new(stream, Arc::clone(&phase));
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        phase.request_began(request.version());
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = service.clone().oneshot(request);
        let phase = Arc::clone(&phase);
        async move {
            let answer = answer.await;
            phase.request_ended();
            answer
        }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = drain.watch(connection).await {
        // The client's doing, and no request of it is lost to us: of interest only when looking closely.
        tracing::debug!(%peer, error, "connection ended");
    }
}

/// What a connection is at, as far as patience goes.
#[derive(Debug, Default)]
struct Phase(AtomicU8);

impl Phase {
    /// A request's head is being read: not for long.
    const HEAD: u8 = 0;
    /// A request is being answered; the time limit of requests holds.
    const REQUEST: u8 = 1;
    /// Between two requests: as long as the client likes.
    const IDLE: u8 = 2;
    /// HTTP/2 has proved itself by a first request; its pings do the rest.
    const HTTP2: u8 = 3;

    fn request_began(&self, version: Version) {
        let phase = if version == Version::HTTP_2 {
            Self::HTTP2
        } else {
            Self::REQUEST
        };
        self.0.store(phase, Ordering::Relaxed);
    }

    fn request_ended(&self) {
        self.change(Self::REQUEST, Self::IDLE);
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    fn reads_a_head(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::HEAD
    }
}

/// A stream that fails when a request's head takes too long to arrive.
struct Patience<T> {
    stream: T,
    phase: Arc<Phase>,
    deadline: Instant,
    /// Made when a head does not come in one piece, which is rare.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Patience<T> {
    fn new(stream: T, phase: Arc<Phase>) -> Self {
        Self {
            stream,
            phase,
            deadline: Instant::now() + HEAD,
            timer: None,
        }
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patience<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            if buffer.filled().len() > before && self.phase.change(Phase::IDLE, Phase::HEAD) {
                self.deadline = Instant::now() + HEAD;
            }
            return Poll::Ready(read);
        }
        if self.phase.reads_a_head() {
            ready!(self.poll_deadline(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patience<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Reads until the stream fails or `patience` is over; the first read's phase is given.
    async fn read(phase: u8, send: &[u8]) -> Option<io::ErrorKind> {
        let (mut client, server) = duplex(64);
        let mut server = Patience::new(server, Arc::new(Phase(AtomicU8::new(phase))));
        server.deadline = Instant::now() + Duration::from_millis(20);
        client.write_all(send).await.unwrap();
        let mut arrived = vec![0; send.len()];
        server.read_exact(&mut arrived).await.unwrap();
        let next = tokio::time::timeout(Duration::from_millis(200), server.read_u8()).await;
        next.ok().map(|read| read.unwrap_err().kind())
    }

    #[tokio::test]
    async fn a_head_may_not_dawdle_and_an_idle_connection_may() {
        assert_eq!(read(Phase::HEAD, b"").await, Some(io::ErrorKind::TimedOut));
        assert_eq!(
            read(Phase::HEAD, b"GET / HTTP/1.1\r\n").await,
            Some(io::ErrorKind::TimedOut)
        );
        assert_eq!(read(Phase::IDLE, b"").await, None);
        assert_eq!(read(Phase::REQUEST, b"body").await, None);
        assert_eq!(read(Phase::HTTP2, b"frame").await, None);
    }

    #[tokio::test]
    async fn the_first_byte_after_a_pause_begins_a_head() {
        let (mut client, server) = duplex(64);
        let phase = Arc::new(Phase(AtomicU8::new(Phase::IDLE)));
        let mut server = Patience::new(server, Arc::clone(&phase));
        server.deadline = Instant::now();
        client.write_all(b"G").await.unwrap();
        let before = Instant::now();
        server.read_u8().await.unwrap();
        assert!(phase.reads_a_head());
        assert!(server.deadline > before + Duration::from_secs(1));
        phase.request_began(Version::HTTP_11);
        phase.request_ended();
        assert!(!phase.reads_a_head());
    }
}
