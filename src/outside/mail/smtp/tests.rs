//! What the settings make of a relay, and TLS from the first byte.

use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;

use super::*;
use crate::clock::SystemClock;
use crate::dev::mailbox::Mailbox;
use crate::dev::smtp_sink;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail");

fn relay(host: &str, port: u16, ca: &str) -> anyhow::Result<Relay> {
    let port = port.to_string();
    let settings = [
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        (
            "GOTRUE_JWT_SECRET",
            "a-secret-of-the-tests-with-more-than-32-characters",
        ),
        ("DATABASE_URL", "postgres://localhost/x"),
        ("GOTRUE_SMTP_PORT", &port),
        ("TRUEGATE_SMTP_CA_FILE", ca),
    ];
    let pairs = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Relay::new(&Config::from_pairs(pairs).unwrap(), host)
}

#[test]
fn port_465_is_tls_from_the_first_byte_and_this_machine_is_local() {
    for (port, implicit) in [(465, true), (587, false), (25, false)] {
        assert_eq!(
            relay("relay.example.com", port, "").unwrap().implicit,
            implicit
        );
    }
    for (host, local) in [
        ("localhost", true),
        ("127.0.0.2", true),
        ("[::1]", true),
        ("10.0.0.1", false),
        ("localhost.example.com", false),
    ] {
        assert_eq!(relay(host, 587, "").unwrap().local, local, "{host}");
    }
}

#[test]
fn what_is_no_certificate_is_told_at_the_start() {
    for file in ["no-such-file.pem", "localhost.key"] {
        let error = relay("localhost", 587, &format!("{FOLDER}/{file}"))
            .err()
            .unwrap();
        assert!(
            format!("{error:#}").starts_with("TRUEGATE_SMTP_CA_FILE: "),
            "{error:#}"
        );
    }
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    let chain = certificates(Path::new(&format!("{FOLDER}/localhost.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(format!("{FOLDER}/localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let tls = tls
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mailbox = Arc::new(Mailbox::new(Arc::new(SystemClock)));
    let kept = Arc::clone(&mailbox);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        smtp_sink::converse(acceptor.accept(stream).await.unwrap(), &kept)
            .await
            .unwrap();
    });

    let mut relay = relay("localhost", port, &format!("{FOLDER}/ca.pem")).unwrap();
    relay.implicit = true;
    let (from, to) = (
        "a@example.com".parse().unwrap(),
        ["b@example.com".parse().unwrap()],
    );
    relay
        .send(&from, &to, b"Subject: dots\r\n\r\n.\r\n..\r\n")
        .await
        .unwrap();
    assert_eq!(
        mailbox.find("latest").unwrap().mail.raw.as_slice(),
        b"Subject: dots\r\n\r\n.\r\n..\r\n"
    );
    relay.close().await;
}
