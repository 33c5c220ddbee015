//! Listens in on the bytes between us and Postgres, for two things that the libraries above do not tell:
//!
//! * whether everything that was asked has been answered, and no transaction left open: the request that asked may
//!   have been dropped half-way, and then the connection must not serve another one;
//! * the SQLSTATE of an error. diesel-async keeps what Diesel has a kind for and forgets the rest, such as the
//!   `PT403` of an application's trigger. So the bytes of an error that Diesel has no kind for are changed on their
//!   way up: the name of the routine in Postgres' source, which nobody reads, becomes a column name that is the
//!   SQLSTATE. [`crate::error::sqlstate()`] reads it back.
//!
//! It looks at the first five bytes of each message, and at more of errors only.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio_postgres::tls::{ChannelBinding, TlsStream};

/// How a connection is doing.
#[derive(Debug, Default)]
pub(in crate::db) struct Health {
    closed: AtomicBool,
    /// Requests for an answer: `Sync` and `Query`.
    asked: AtomicU64,
    /// `ReadyForQuery`
    answered: AtomicU64,
    /// Whether the last answer came from within a transaction.
    in_transaction: AtomicBool,
    news: Notify,
}

impl Health {
    pub(in crate::db) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.news.notify_waiters();
    }

    pub(in crate::db) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether everything has been answered, and no transaction is open.
    pub(in crate::db) fn is_idle(&self) -> bool {
        // The answer to the start-up is one that nothing was counted for.
        self.answered.load(Ordering::Acquire) > self.asked.load(Ordering::Acquire)
            && !self.in_transaction.load(Ordering::Acquire)
    }

    /// Waits for the last answer.
    pub(in crate::db) async fn settled(&self) {
        loop {
            let news = self.news.notified();
            if self.is_idle() || self.is_closed() {
                return;
            }
            news.await;
        }
    }

    fn answer(&self, status: u8) {
        self.in_transaction.store(status != b'I', Ordering::Release);
        self.answered.fetch_add(1, Ordering::AcqRel);
        self.news.notify_waiters();
    }
}

/// A stream to Postgres, listened in on.
pub(super) struct Wire<S> {
    stream: S,
    health: Arc<Health>,
    received: Frames,
    sent: Frames,
    error: ErrorFields,
}

impl<S> Wire<S> {
    /// Before the first byte of the protocol.
    pub(super) fn new(stream: S, health: Arc<Health>) -> Self {
        // The start-up message has no type.
        let sent = Frames {
            missing: 4,
            ..Frames::default()
        };
        Self {
            stream,
            health,
            received: Frames::default(),
            sent,
            error: ErrorFields::default(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let mut rest = buf.filled_mut().get_mut(before..).unwrap_or_default();
        while !rest.is_empty() {
            let (piece, length) = this.received.step(rest);
            let (now, later) = rest.split_at_mut(length);
            match piece {
                Piece::Body(b'Z') => now.iter().for_each(|status| this.health.answer(*status)),
                Piece::Start(b'E') => this.error = ErrorFields::default(),
                Piece::Body(b'E') => now.iter_mut().for_each(|byte| this.error.pass(byte)),
                _ => {}
            }
            rest = later;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        let mut rest = buf.get(..written).unwrap_or_default();
        while !rest.is_empty() {
            let (piece, length) = this.sent.step(rest);
            if matches!(piece, Piece::Start(b'S' | b'Q')) {
                this.health.asked.fetch_add(1, Ordering::AcqRel);
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Wire<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// Finds the messages in a stream that comes in any pieces: a type, a length of four bytes, a body.
#[derive(Debug)]
struct Frames {
    kind: u8,
    length: u32,
    /// Of the five bytes in front of a body.
    missing: u8,
    body: usize,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            kind: 0,
            length: 0,
            missing: 5,
            body: 0,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// In the middle of a header.
    Header,
    /// The last byte of a header: a message of this type begins.
    Start(u8),
    /// Some bytes of the body.
    Body(u8),
}

impl Frames {
    /// What `bytes` begin with, and how many of them that is.
    fn step(&mut self, bytes: &[u8]) -> (Piece, usize) {
        if self.body > 0 {
            let length = self.body.min(bytes.len());
            self.body -= length;
            return (Piece::Body(self.kind), length);
        }
        let byte = bytes.first().copied().unwrap_or_default();
        if self.missing == 5 {
            (self.kind, self.length) = (byte, 0);
        } else {
            self.length = self.length << 8 | u32::from(byte);
        }
        self.missing -= 1;
        if self.missing > 0 {
            return (Piece::Header, 1);
        }
        // The length counts itself.
        *self = Self {
            kind: self.kind,
            body: (self.length as usize).saturating_sub(4),
            ..Self::default()
        };
        (Piece::Start(self.kind), 1)
    }
}

/// What Diesel has a kind for (diesel-async, `error_helper.rs`).
const KNOWN: [&[u8; 5]; 8] = [
    b"23505", b"23503", b"23001", b"23P01", b"40001", b"25006", b"23502", b"23514",
];

/// Where in an `ErrorResponse` we are: fields, each a letter and a text that ends with a zero byte.
#[derive(Debug, Default)]
struct ErrorFields {
    code: [u8; 5],
    field: Field,
}

#[derive(Debug, Default)]
enum Field {
    /// The letter comes next.
    #[default]
    Letter,
    /// `C`: this many letters of it have passed.
    Code(usize),
    /// `R`, which is being rewritten; so many letters have passed.
    Routine(usize),
    Other,
}

impl ErrorFields {
    fn pass(&mut self, byte: &mut u8) {
        self.field = match self.field {
            Field::Letter => match *byte {
                b'C' => Field::Code(0),
                b'R' if self.code != [0; 5] && !KNOWN.contains(&&self.code) => {
                    *byte = b'c';
                    Field::Routine(0)
                }
                _ => Field::Other,
            },
            _ if *byte == 0 => Field::Letter,
            Field::Code(at) => {
                if let Some(place) = self.code.get_mut(at) {
                    *place = *byte;
                }
                Field::Code(at + 1)
            }
            Field::Routine(at) => {
                *byte = self.code.get(at).copied().unwrap_or(b' ');
                Field::Routine(at + 1)
            }
            Field::Other => Field::Other,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    }

    fn error(code: &str) -> Vec<u8> {
        message(
            b'E',
            format!("SERROR\0VERROR\0C{code}\0Mno\0Fpl_exec.c\0L3911\0Rexec_stmt_raise\0\0")
                .as_bytes(),
        )
    }

    /// What comes up from these bytes, given in pieces of this size, and whether the connection is idle then.
    fn received(bytes: &[u8], size: usize) -> (Vec<u8>, bool) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(size);
            let health = Arc::new(Health::default());
            let mut wire = Wire::new(near, Arc::clone(&health));
            let mut up = Vec::new();
            let (_, sent) = tokio::join!(wire.read_to_end(&mut up), async {
                let sent = far.write_all(bytes).await;
                drop(far);
                sent
            });
            sent.unwrap();
            (up, health.is_idle())
        })
    }

    #[test]
    fn an_error_without_a_kind_tells_its_state_as_column() {
        for size in [1, 2, 3, 7, 1000] {
            for code in ["P0001", "PT403", "23000", "57P01"] {
                let bytes = [
                    message(b'D', b"Cxxxxx\0Ryy\0"),
                    error(code),
                    message(b'Z', b"I"),
                ]
                .concat();
                let (up, idle) = received(&bytes, size);
                let text = String::from_utf8(up).unwrap();
                assert!(
                    text.contains(&format!("L3911\0c{code}          \0\0")),
                    "{text:?}"
                );
                assert!(text.contains("Cxxxxx\0Ryy"), "only errors are changed");
                assert!(idle);
            }
            for code in ["23505", "23514", "40001"] {
                let bytes = error(code);
                assert_eq!(received(&bytes, size).0, bytes, "Diesel knows {code}");
            }
        }
    }

    #[tokio::test]
    async fn idle_is_when_all_is_answered() {
        let (near, mut far) = tokio::io::duplex(1000);
        let health = Arc::new(Health::default());
        let mut wire = Wire::new(near, Arc::clone(&health));
        let mut buffer = [0; 1000];
        assert!(!health.is_idle(), "before the start-up is answered");
        // A start-up message whose bytes look like others.
        wire.write_all(b"\0\0\0\x0cQ\0\0\x04S\0\0\x04")
            .await
            .unwrap();
        far.write_all(&[message(b'R', b"\0\0\0\0"), message(b'Z', b"I")].concat())
            .await
            .unwrap();
        assert!(wire.read(&mut buffer).await.unwrap() > 0);
        assert!(health.is_idle());
        let asked = [
            message(b'P', b"..S"),
            message(b'S', b""),
            message(b'B', b"Q"),
            message(b'E', b""),
            message(b'S', b""),
        ]
        .concat();
        wire.write_all(&asked).await.unwrap();
        assert!(!health.is_idle());
        for idle in [false, true] {
            far.write_all(&[message(b'D', b"Z"), message(b'Z', b"I")].concat())
                .await
                .unwrap();
            assert!(wire.read(&mut buffer).await.unwrap() > 0);
            assert_eq!(health.is_idle(), idle);
        }
        wire.write_all(&message(b'Q', b"begin\0")).await.unwrap();
        assert!(!health.is_idle());
        far.write_all(&message(b'Z', b"T")).await.unwrap();
        assert!(wire.read(&mut buffer).await.unwrap() > 0);
        assert!(!health.is_idle(), "a transaction is open");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_change_length(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..50) {
            let (up, _) = received(&bytes, size);
            prop_assert_eq!(up.len(), bytes.len());
        }
    }
}
