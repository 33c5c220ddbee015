//! A port that nobody listens on.

use tokio::net::TcpSocket;

/// Nobody else is given it while this lives: it is bound, and not listened on, so that whoever reuses addresses (as
/// servers do) may listen on it.
pub struct Port {
    pub port: u16,
    _held: TcpSocket,
}

impl Port {
    pub fn free() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let port = held.local_addr().unwrap().port();
        Self { port, _held: held }
    }
}
