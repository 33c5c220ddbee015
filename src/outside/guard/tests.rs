//! Attack 90: every way to make us ask a machine that only we can reach. A real listener notices whoever gets through.

use std::io::ErrorKind;
use std::net::TcpListener;

use reqwest::{Method, Request};

use super::*;
use crate::outside::{Http, Manners};

/// Listens on this machine, and is never to be reached.
struct Inside {
    listeners: Vec<TcpListener>,
    port: u16,
}

impl Inside {
    fn listen() -> Self {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        // Not every machine has IPv6.
        let second = TcpListener::bind(format!("[::1]:{port}")).ok();
        let listeners: Vec<_> = std::iter::once(first).chain(second).collect();
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
        }
        Self { listeners, port }
    }

    fn was_reached(&self) -> bool {
        self.listeners
            .iter()
            .any(|listener| match listener.accept() {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    false
                }
            })
    }
}

async fn ask(http: &Http, url: &str) -> anyhow::Error {
    let request = Request::new(Method::GET, url.parse().unwrap());
    http.send(request).await.expect_err(url)
}

/// Whether the guard spoke, and not the network.
fn is_refused(error: &anyhow::Error) -> bool {
    error.is::<Refused>()
}

/// This machine in every notation that a URL has for it.
const THIS_MACHINE: [&str; 20] = [
    "127.0.0.1",
    "127.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "017700000001",
    "0177.0.0.1",
    "%31%32%37.0.0.1",
    "127。0。0。1",
    "0",
    "0.0.0.0",
    "[::1]",
    "[0:0::0:1]",
    "[::]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
];

#[tokio::test]
async fn attack_090_this_machine_in_any_notation() {
    let inside = Inside::listen();
    let http = Http::default().guarded([]);
    for host in THIS_MACHINE {
        let url = format!("https://{host}:{}/token", inside.port);
        let error = ask(&http, &url).await;
        assert!(is_refused(&error), "{url}: {error:#}");
        assert!(
            Guard::default().check(&url).await.is_err(),
            "{url} is stored"
        );
    }
    assert!(!inside.was_reached());
    // The listener would have noticed.
    let trusting = home().guarded([]);
    let error = ask(&trusting, &format!("https://127.0.0.1:{}", inside.port)).await;
    assert!(!is_refused(&error) && inside.was_reached(), "{error:#}");
}

#[tokio::test]
async fn attack_090_names_are_judged_by_the_addresses_that_are_connected_to() {
    // As when a name was public when the URL was stored, and leads inside now.
    let inside = Inside::listen();
    let http = Http::default().guarded([]);
    for host in ["localhost", "LOCALHOST"] {
        let url = format!("https://{host}:{}/token", inside.port);
        let error = ask(&http, &url).await;
        assert!(is_refused(&error), "{url}: {error:#}");
    }
    assert!(!inside.was_reached());
    // A row's own addresses are for those alone, and no name becomes one of them.
    let own = format!("https://127.0.0.1:{}", inside.port);
    let error = ask(
        &Http::default().guarded([&*own]),
        &own.replace("127.0.0.1", "localhost"),
    )
    .await;
    assert!(is_refused(&error), "{error:#}");
    assert!(!inside.was_reached());
}

#[tokio::test]
async fn attack_090_only_https() {
    let inside = Inside::listen();
    let http = home().guarded([]);
    for scheme in ["http", "ftp", "gopher", "unix", "ldap", "ws"] {
        let url = format!("{scheme}://127.0.0.1:{}/token", inside.port);
        let error = ask(&http, &url).await;
        assert_eq!(error.downcast::<Refused>().unwrap(), NOT_HTTPS, "{url}");
        assert_eq!(Guard::default().check(&url).await, Err(NOT_HTTPS), "{url}");
    }
    assert!(!inside.was_reached());
}

#[tokio::test]
async fn attack_090_a_row_reaches_its_own_literal_addresses_alone() {
    let (own, other) = (Inside::listen(), Inside::listen());
    let row = format!("https://127.0.0.1:{}/authorize", own.port);
    let http = Http::default().guarded([&*row, "not a url", "https://example.com"]);
    let error = ask(&http, &format!("https://127.0.0.1:{}/token", own.port)).await;
    assert!(!is_refused(&error) && own.was_reached(), "{error:#}");
    let elsewhere = [
        format!("https://127.0.0.1:{}/token", other.port),
        format!("https://127.0.0.2:{}/token", own.port),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://127.0.0.1/token".to_owned(),
    ];
    for url in elsewhere {
        let error = ask(&http, &url).await;
        assert!(is_refused(&error), "{url}: {error:#}");
    }
    assert!(!own.was_reached() && !other.was_reached());
}

#[test]
fn attack_090_what_is_inside() {
    let inside = [
        (UNSPECIFIED, "0.0.0.0 0.1.2.3 ::"),
        (
            LOOPBACK,
            "127.0.0.1 127.9.9.9 ::1 ::ffff:127.0.0.1 64:ff9b::127.0.0.1 2002:7f00:1::1",
        ),
        (
            PRIVATE,
            "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.100.100.200 fd00::1 fc00:1::1 fec0::1 \
             fd00:ec2::254 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1::1",
        ),
        (
            LINK_LOCAL,
            "169.254.169.254 169.254.170.2 fe80::1 febf::1 224.0.0.1 ff02::1 ::ffff:169.254.169.254",
        ),
        (METADATA, "168.63.129.16"),
        (MULTICAST, "224.0.1.1 239.255.255.255 ff05::1 ff0e::1"),
        (
            RESERVED,
            "192.0.0.192 192.88.99.1 198.18.0.1 198.19.255.255 240.0.0.1 255.255.255.255 ::127.0.0.1 2001::1 \
             2001:10::1 64:ff9b:1::1 100::1 4000::1",
        ),
    ];
    for (expected, addresses) in inside {
        for address in addresses.split_whitespace() {
            assert_eq!(kind(address.parse().unwrap()), Some(expected), "{address}");
        }
    }
    let public = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 172.15.255.255 \
                  172.32.0.1 192.0.1.1 192.167.255.255 192.169.0.1 203.0.113.7 223.255.255.255 2606:4700::1111 2001:4860:4860::8888 \
                  ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1";
    for address in public.split_whitespace() {
        assert_eq!(kind(address.parse().unwrap()), None, "{address}");
    }
}

#[tokio::test]
async fn what_is_stored_is_refused_in_gotrues_words() {
    let cases = [
        ("https://exa mple.com", "Invalid URL format"),
        ("https://example.com:x", "Invalid URL format"),
        ("https://exa<mple.com", "Invalid URL format"),
        ("nope", "URL must use HTTPS"),
        ("", "URL must use HTTPS"),
        ("http://example.com", "URL must use HTTPS"),
        ("https://", "URL must have a valid hostname"),
        ("https:///path", "URL must have a valid hostname"),
        (
            "https://localhost",
            "URL cannot point to localhost or loopback addresses",
        ),
        (
            "https://a.localhost",
            "URL cannot point to localhost or loopback addresses",
        ),
        (
            "https://127.0.0.1/x",
            "URL cannot point to localhost or loopback addresses",
        ),
        (
            "https://[::1]/x",
            "URL cannot point to localhost or loopback addresses",
        ),
        (
            "https://0.0.0.0/x",
            "URL cannot point to localhost or loopback addresses",
        ),
        (
            "https://127.0.0.2/x",
            "URL cannot resolve to loopback addresses",
        ),
        (
            "https://10.0.0.1/x",
            "URL cannot resolve to private network addresses",
        ),
        (
            "https://169.254.169.254/x",
            "URL cannot resolve to link-local addresses",
        ),
        (
            "https://239.0.0.1/x",
            "URL cannot resolve to multicast addresses",
        ),
        // Too long for any name: no server has to be asked.
        (
            &*format!("https://{}.example/x", "a".repeat(64)),
            "Unable to resolve hostname",
        ),
    ];
    for (url, words) in cases {
        let refused = Guard::default().check(url).await;
        assert_eq!(
            refused.map_err(|refused| refused.to_string()),
            Err(words.to_owned()),
            "{url:?}"
        );
    }
    for url in [
        "https://203.0.113.7/x",
        "https://user@203.0.113.7:8443/x?y#z",
        "HTTPS://[2606:4700::1111]",
    ] {
        assert_eq!(Guard::default().check(url).await, Ok(()), "{url}");
    }
}

#[tokio::test]
async fn an_operator_may_open_a_network() {
    let networks = [
        "127.0.0.0/8".parse().unwrap(),
        "::1/128".parse().unwrap(),
        "10.1.0.0/16".parse().unwrap(),
    ];
    let guard = Guard::new(&networks);
    for url in [
        "https://127.0.0.1",
        "https://localhost",
        "https://10.1.2.3",
        "https://[::ffff:10.1.2.3]",
    ] {
        assert_eq!(guard.check(url).await, Ok(()), "{url}");
    }
    for url in ["https://10.2.0.1", "https://192.168.1.1", "https://0.0.0.0"] {
        assert!(guard.check(url).await.is_err(), "{url}");
    }
}

/// May be led home.
fn home() -> Http {
    Http::new(Manners {
        private_networks: vec!["127.0.0.0/8".parse().unwrap()],
        ..Manners::default()
    })
}
