//! From where a request comes (GoTrue's `utilities/request.go`, `sbff`): the address in sessions and hooks, and the
//! key by which limits tell clients apart.
//!
//! `X-Forwarded-For` is believed whoever sends it: GoTrue stands behind a gateway that sets it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap};

use crate::config::{RateLimits, Security};

/// The client's address: from `Sb-Forwarded-For` where that is switched on, else the first address in
/// `X-Forwarded-For`, else the other end of the connection.
#[must_use]
pub fn of(headers: &HeaderMap, extensions: &Extensions, security: &Security) -> Option<IpAddr> {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    sb_address(headers, security)
        .or_else(|| {
            first_line(headers, "x-forwarded-for")?
                .split(',')
                .find_map(address)
        })
        .or_else(|| Some(peer?.0.ip().to_canonical()))
}

/// By what limits know the client: its address from `Sb-Forwarded-For` where that is switched on, else the first
/// element of the header that `RATE_LIMIT_HEADER` names. Without either, limits do not count.
#[must_use]
pub fn limit_key(headers: &HeaderMap, limits: &RateLimits, security: &Security) -> Option<String> {
    if let Some(address) = sb_address(headers, security) {
        return Some(address.to_string());
    }
    let header = limits
        .header
        .as_deref()
        .filter(|header| !header.is_empty())?;
    let key = first_line(headers, header)
        .and_then(|line| line.split(',').next())
        .map(str::trim)
        .filter(|key| !key.is_empty());
    if key.is_none() {
        tracing::warn!(
            header,
            "request does not have a value for the rate limiting header, rate limiting is not applied"
        );
    }
    key.map(str::to_owned)
}

/// The first element of `Sb-Forwarded-For`, if that is switched on and an address.
fn sb_address(headers: &HeaderMap, security: &Security) -> Option<IpAddr> {
    first_line(headers, "sb-forwarded-for")
        .filter(|_| security.sb_forwarded_for_enabled)?
        .split(',')
        .next()
        .and_then(address)
}

/// The first of the header lines of this name, if it is text.
pub(super) fn first_line<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)
        .and_then(|line| std::str::from_utf8(line.as_bytes()).ok())
}

/// An address without port and zone.
fn address(text: &str) -> Option<IpAddr> {
    text.trim()
        .parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;
    use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

    use super::{limit_key, of};
    use crate::config::Config;

    fn config(more: &[(&str, &str)]) -> Config {
        let needed = [
            ("GOTRUE_SITE_URL", "https://app.example.com"),
            ("API_EXTERNAL_URL", "https://auth.example.com"),
            (
                "GOTRUE_JWT_SECRET",
                "super-secret-jwt-token-with-at-least-32-characters-long",
            ),
            ("DATABASE_URL", "postgres://localhost/postgres"),
        ];
        Config::from_pairs(needed.iter().chain(more).copied()).unwrap()
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        headers
    }

    fn seen(config: &Config, lines: &[(&'static str, &str)]) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo::<SocketAddr>(
            "[::ffff:127.0.0.1]:5".parse().unwrap(),
        ));
        of(&headers(lines), &extensions, &config.security)
            .unwrap()
            .to_string()
    }

    #[test]
    fn as_recorded() {
        let config = config(&[]);
        let cases = [
            ("203.0.113.12", "203.0.113.12"),
            ("203.0.113.12, 10.0.0.1", "203.0.113.12"),
            ("10.0.0.1, 203.0.113.12", "10.0.0.1"),
            ("unknown, é, 203.0.113.12", "203.0.113.12"),
            (" ,, 2001:DB8::1 ", "2001:db8::1"),
            ("::ffff:203.0.113.12", "203.0.113.12"),
            ("203.0.113.13:8080", "127.0.0.1"),
            ("[2001:db8::1]", "127.0.0.1"),
            ("fe80::1%eth0", "127.0.0.1"),
            ("010.0.0.1", "127.0.0.1"),
            ("1.2.3", "127.0.0.1"),
            ("", "127.0.0.1"),
        ];
        for (forwarded, expected) in cases {
            assert_eq!(
                seen(&config, &[("x-forwarded-for", forwarded)]),
                expected,
                "{forwarded}"
            );
        }
        assert_eq!(seen(&config, &[("x-real-ip", "203.0.113.15")]), "127.0.0.1");
        let lines = [("x-forwarded-for", "x"), ("x-forwarded-for", "203.0.113.1")];
        assert_eq!(
            seen(&config, &lines),
            "127.0.0.1",
            "only the first line is read"
        );
    }

    #[test]
    fn sb_forwarded_for_where_it_is_switched_on() {
        let on = config(&[("GOTRUE_SECURITY_SB_FORWARDED_FOR_ENABLED", "true")]);
        let sb = ("sb-forwarded-for", "203.0.113.9, 10.0.0.1");
        let other = ("x-forwarded-for", "203.0.113.10");
        assert_eq!(seen(&on, &[sb, other]), "203.0.113.9");
        assert_eq!(seen(&config(&[]), &[sb, other]), "203.0.113.10");
        assert_eq!(
            seen(&on, &[("sb-forwarded-for", "nonsense"), other]),
            "203.0.113.10"
        );
        assert_eq!(
            seen(&on, &[("sb-forwarded-for", "nonsense, 203.0.113.9")]),
            "127.0.0.1"
        );
        assert_eq!(
            seen(&on, &[("sb-forwarded-for", "2001:db8::1")]),
            "2001:db8::1"
        );
    }

    #[test]
    fn by_what_limits_know_a_client() {
        let key = |config: &Config, lines: &[_]| {
            limit_key(&headers(lines), &config.rate_limit, &config.security)
        };
        let on = config(&[("GOTRUE_RATE_LIMIT_HEADER", "X-Real-IP")]);
        assert_eq!(
            key(&on, &[("x-real-ip", " any text , 9.9.9.9")]).as_deref(),
            Some("any text")
        );
        for nobody in [
            &[][..],
            &[("x-real-ip", "")],
            &[("x-real-ip", ",1.2.3.4")],
            &[("x-forwarded-for", "1.2.3.4")],
        ] {
            assert_eq!(key(&on, nobody), None);
        }
        assert_eq!(key(&config(&[]), &[("x-real-ip", "1.2.3.4")]), None);

        let both = config(&[
            ("GOTRUE_RATE_LIMIT_HEADER", "X-Real-IP"),
            ("GOTRUE_SECURITY_SB_FORWARDED_FOR_ENABLED", "true"),
        ]);
        let real = ("x-real-ip", "1.2.3.4");
        assert_eq!(
            key(
                &both,
                &[("sb-forwarded-for", "203.0.113.9, 10.0.0.1"), real]
            )
            .as_deref(),
            Some("203.0.113.9")
        );
        assert_eq!(
            key(&both, &[("sb-forwarded-for", "nonsense"), real]).as_deref(),
            Some("1.2.3.4")
        );
    }
}
