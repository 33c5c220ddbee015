//! Where people may be sent after a mail link or a provider: GoTrue's redirect allow-list
//! (its `utilities/request.go`), and stricter where only an attacker could tell the difference:
//!
//! * a scheme that runs code or opens files or apps is refused unless a pattern spells it out, and script schemes always;
//! * a pattern's host ends where the URL's host ends ([`glob`]);
//! * user and password in a URL never help it match;
//! * the host that a browser reads in the text has to be the one that was compared.

pub mod glob;

use std::net::IpAddr;

use url::{Host, Url};

use crate::urls::GoUrl;
use glob::{Glob, Places};

/// `SITE_URL` and `URI_ALLOW_LIST`, compiled.
#[derive(Debug, Clone)]
pub struct RedirectRules {
    site_url: String,
    site: Option<GoUrl>,
    patterns: Vec<Glob>,
}

/// Never a place to send anybody.
const SCRIPT_SCHEMES: [&str; 7] = [
    "javascript",
    "data",
    "vbscript",
    "blob",
    "about",
    "filesystem",
    "view-source",
];

/// Only where a pattern spells them out.
const DELICATE_SCHEMES: [&str; 4] = ["file", "intent", "content", "jar"];

/// What browsers parse by the rules for `http`.
const WEB_SCHEMES: [&str; 5] = ["http", "https", "ws", "wss", "ftp"];

impl RedirectRules {
    /// Compiles the allow-list; the error names the pattern and its fault.
    pub fn new(site_url: &str, allow_list: &[String]) -> Result<Self, String> {
        let compile = |pattern: &String| {
            Glob::compile(pattern).map_err(|fault| format!("{pattern:?}: {fault}"))
        };
        Ok(Self {
            site_url: site_url.to_owned(),
            site: GoUrl::parse(site_url).ok(),
            patterns: allow_list.iter().map(compile).collect::<Result<_, _>>()?,
        })
    }

    /// The target of a request: its `redirect_to` header if there is one, else the query's; where that may not be,
    /// the Referer; else `SITE_URL`. Empty strings stand for what is absent.
    #[must_use]
    pub fn choose<'a>(&'a self, header: &'a str, query: &'a str, referer: &'a str) -> &'a str {
        let wish = if header.is_empty() { query } else { header };
        if self.allows(wish) {
            return wish;
        }
        if !wish.is_empty() {
            tracing::info!(
                reason = "redirect_rejected",
                "the redirect_to of a request is not on the allow-list"
            );
        }
        if self.allows(referer) {
            referer
        } else {
            &self.site_url
        }
    }

    /// Whether people may be sent there.
    #[must_use]
    pub fn allows(&self, text: &str) -> bool {
        let (Some(site), Ok(url)) = (&self.site, GoUrl::parse(text)) else {
            return false;
        };
        if url.scheme.is_empty()
            || SCRIPT_SCHEMES.contains(&&*url.scheme)
            || text.chars().any(char::is_control)
        {
            return false;
        }
        let is_web = WEB_SCHEMES.contains(&&*url.scheme);
        let host = url.hostname();
        if host == site.hostname()
            && url.scheme == site.scheme
            && (url.port() == site.port() || is_local(&host))
        {
            let seen = seen_by_browser(text);
            return !is_web || seen.is_some() && seen == seen_by_browser(&self.site_url);
        }
        let is_delicate = DELICATE_SCHEMES.contains(&&*url.scheme);
        if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_digit()) {
            return false;
        }
        if let Some(address) = url.ip() {
            return address.is_loopback() && !is_delicate;
        }
        if is_web {
            return is_regular(&host)
                && seen_by_browser(text) == Some(Host::Domain(host.to_ascii_lowercase()))
                && self
                    .patterns
                    .iter()
                    .any(|pattern| matches_web(pattern, text));
        }
        let before_fragment = text.split('#').next().unwrap_or_default();
        self.patterns.iter().any(|pattern| {
            (pattern.names_scheme() || pattern.is_everything() && !is_delicate)
                && pattern.matches(before_fragment)
        })
    }
}

/// Whether a web URL matches; one with a user has to match without it as well.
fn matches_web(pattern: &Glob, text: &str) -> bool {
    let text = text.split('#').next().unwrap_or_default();
    let Some((scheme, rest)) = text.split_once("://") else {
        return false;
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let Some((_, bare)) = authority.rsplit_once('@') else {
        return pattern.matches_url(text, &places(scheme, authority));
    };
    pattern.matches(text)
        && pattern.matches_url(&format!("{scheme}://{bare}{tail}"), &places(scheme, bare))
}

/// Where host and port stand in `scheme://authority..`.
fn places(scheme: &str, authority: &str) -> Places {
    let start = scheme.len() + "://".len();
    let host = authority.split(':').next().unwrap_or_default();
    Places {
        host: start..start + host.len(),
        authority_end: start + authority.len(),
    }
}

/// The host to which a browser would go.
fn seen_by_browser(text: &str) -> Option<Host<String>> {
    Url::parse(text)
        .ok()?
        .host()
        .map(|host| match host.to_owned() {
            Host::Ipv6(address) => match IpAddr::V6(address).to_canonical() {
                IpAddr::V4(address) => Host::Ipv4(address),
                IpAddr::V6(address) => Host::Ipv6(address),
            },
            host => host,
        })
}

/// Hosts whose port does not matter when they are `SITE_URL`'s: native apps listen where they can (RFC 8252 §7.3).
fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    matches!(&*host, "localhost" | "127.0.0.1" | "::1" | "0.0.0.0" | "::")
        || host.ends_with(".localhost")
}

/// GoTrue's `^[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?$`.
fn is_regular(host: &str) -> bool {
    let is_edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    is_edge(host.bytes().next())
        && is_edge(host.bytes().last())
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests;
