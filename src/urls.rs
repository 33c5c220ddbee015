//! URLs as Go's `net/url` reads and prints them: redirect targets are compared and extended by its
//! rules, and clients see the result. Pure. What a browser makes of the same text is the `url` crate's matter.

pub mod percent;
pub mod query;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use percent::{Part, escape, unescape};

/// Why a text is no URL to Go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// A URL split as `url.Parse` splits it; [`fmt::Display`] prints it as `URL.String` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoUrl {
    /// Lower case, without the colon; empty in a relative reference.
    pub scheme: String,
    /// What follows `scheme:` when that is no slash (`mailto:x`); then there is no host and no path.
    pub opaque: String,
    /// `user[:password]`, escaped for printing.
    pub user: Option<String>,
    /// Host with port, unescaped.
    pub host: Vec<u8>,
    /// Escaped for printing.
    pub path: String,
    /// As given, without `?`.
    pub query: String,
    /// Escaped for printing, without `#`.
    pub fragment: String,
    /// The only `?` stood at the end.
    force_query: bool,
    /// `scheme:/path`: there was no `//`.
    omit_host: bool,
}

impl GoUrl {
    /// Splits a URL or a relative reference (Go's `url.Parse`).
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        if rest.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return Err(Malformed("invalid control character in URL"));
        }
        let (scheme, rest) = split_scheme(rest)?;
        let (rest, query, force_query) = match rest.split_once('?') {
            Some((rest, "")) => (rest, "", true),
            Some((rest, query)) => (rest, query, false),
            None => (rest, "", false),
        };
        let mut url = Self {
            scheme: scheme.to_ascii_lowercase(),
            opaque: String::new(),
            user: None,
            host: Vec::new(),
            path: String::new(),
            query: query.to_owned(),
            fragment: printable(fragment, Part::Fragment)?.into_owned(),
            force_query,
            omit_host: false,
        };
        if !rest.starts_with('/') {
            if !scheme.is_empty() {
                rest.clone_into(&mut url.opaque);
                return Ok(url);
            }
            if rest
                .split('/')
                .next()
                .is_some_and(|segment| segment.contains(':'))
            {
                return Err(Malformed("first path segment in URL cannot contain colon"));
            }
        }
        let path = match rest.strip_prefix("//") {
            Some(rest) if !scheme.is_empty() || !rest.starts_with('/') => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (url.user, url.host) = parse_authority(&url.scheme, authority)?;
                path
            }
            _ => {
                url.omit_host = !scheme.is_empty() && rest.starts_with('/');
                rest
            }
        };
        url.path = printable(path, Part::Path)?.into_owned();
        Ok(url)
    }

    /// The host without port and brackets (Go's `Hostname`), in the case in which it was written.
    #[must_use]
    pub fn hostname(&self) -> Cow<'_, str> {
        let host = split_port(&self.host).0;
        let bare = host
            .strip_prefix(b"[")
            .and_then(|host| host.strip_suffix(b"]"));
        String::from_utf8_lossy(bare.unwrap_or(host))
    }

    /// The digits after the host's colon, empty if there are none (Go's `Port`).
    #[must_use]
    pub fn port(&self) -> &str {
        std::str::from_utf8(split_port(&self.host).1).unwrap_or_default()
    }

    /// The host as an address, if it is one in plain notation (Go's `net.ParseIP`: no leading zeros, no zone).
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.hostname()
            .parse()
            .ok()
            .map(|ip: IpAddr| ip.to_canonical())
    }

    /// Replaces the fragment by `text`, which is escaped (again) for printing.
    pub fn set_fragment(&mut self, text: &str) {
        self.fragment = escape(text.as_bytes(), Part::Fragment).into_owned();
    }
}

impl fmt::Display for GoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.scheme.is_empty() {
            write!(f, "{}:", self.scheme)?;
        }
        if self.opaque.is_empty() {
            self.fmt_hierarchy(f)?;
        } else {
            f.write_str(&self.opaque)?;
        }
        if self.force_query || !self.query.is_empty() {
            write!(f, "?{}", self.query)?;
        }
        if !self.fragment.is_empty() {
            write!(f, "#{}", self.fragment)?;
        }
        Ok(())
    }
}

impl GoUrl {
    fn fmt_hierarchy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let no_authority = self.host.is_empty() && self.user.is_none();
        if !(no_authority && (self.scheme.is_empty() || self.omit_host || self.path.is_empty())) {
            f.write_str("//")?;
            if let Some(user) = &self.user {
                write!(f, "{user}@")?;
            }
            f.write_str(&escape(&self.host, Part::Host))?;
        }
        f.write_str(&self.path)
    }
}

/// Splits `scheme:rest`; the scheme is empty in a relative reference.
fn split_scheme(text: &str) -> Result<(&str, &str), Malformed> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Ok(("", text));
    };
    let mut bytes = scheme.bytes();
    match bytes.next() {
        None => Err(Malformed("missing protocol scheme")),
        Some(first)
            if first.is_ascii_alphabetic()
                && bytes.all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
                }) =>
        {
            Ok((scheme, rest))
        }
        Some(_) => Ok(("", text)),
    }
}

/// What `URL.String` prints for a raw path or fragment: the raw text where it is well escaped, else escaped anew.
fn printable(raw: &str, part: Part) -> Result<Cow<'_, str>, Malformed> {
    let plain = unescape(raw, part)?;
    if raw.bytes().all(|byte| {
        matches!(byte, b'!' | b'\'' | b'(' | b')' | b'*' | b'[' | b']' | b'%') || part.keeps(byte)
    }) {
        return Ok(Cow::Borrowed(raw));
    }
    Ok(Cow::Owned(escape(&plain, part).into_owned()))
}

fn parse_authority(scheme: &str, authority: &str) -> Result<(Option<String>, Vec<u8>), Malformed> {
    let Some((user, host)) = authority.rsplit_once('@') else {
        return Ok((None, parse_host(scheme, authority)?));
    };
    let host = parse_host(scheme, host)?;
    if !user
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte))
    {
        return Err(Malformed("net/url: invalid userinfo"));
    }
    let again = |text| Ok(escape(&unescape(text, Part::User)?, Part::User).into_owned());
    let user = match user.split_once(':') {
        Some((name, password)) => format!("{}:{}", again(name)?, again(password)?),
        None => again(user)?,
    };
    Ok((Some(user), host))
}

fn parse_host(scheme: &str, host: &str) -> Result<Vec<u8>, Malformed> {
    match host.rfind('[') {
        Some(0) => return parse_bracketed(host),
        Some(_) => return Err(Malformed("invalid IP-literal")),
        None => {}
    }
    // Other schemes may list several hosts with ports.
    let colon = if matches!(scheme, "http" | "https") {
        host.find(':')
    } else {
        host.rfind(':')
    };
    if let Some((_, port)) = colon.and_then(|colon| host.split_at_checked(colon))
        && !is_optional_port(port.as_bytes())
    {
        return Err(Malformed("invalid port after host"));
    }
    Ok(unescape(host, Part::Host)?.into_owned())
}

/// `[IPv6]`, `[IPv6%25zone]`, each with an optional port.
fn parse_bracketed(host: &str) -> Result<Vec<u8>, Malformed> {
    let (inner, port) = host
        .strip_prefix('[')
        .and_then(|host| host.rsplit_once(']'))
        .ok_or(Malformed("missing ']' in host"))?;
    if !is_optional_port(port.as_bytes()) {
        return Err(Malformed("invalid port after host"));
    }
    let (address, zone) = inner.split_at(inner.find("%25").unwrap_or(inner.len()));
    let address = unescape(address, Part::Host)?;
    let zone = unescape(zone, Part::Zone)?;
    let known =
        std::str::from_utf8(&address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok());
    if !known || zone.len() == 1 {
        return Err(Malformed("invalid host"));
    }
    Ok([b"[", &*address, &*zone, b"]", port.as_bytes()].concat())
}

/// Splits `host:port`; the port is empty where there is none.
fn split_port(host: &[u8]) -> (&[u8], &[u8]) {
    let colon = host.iter().rposition(|&byte| byte == b':');
    match colon.and_then(|colon| host.split_at_checked(colon)) {
        Some((host, [_, port @ ..])) if port.iter().all(u8::is_ascii_digit) => (host, port),
        _ => (host, &[]),
    }
}

fn is_optional_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
