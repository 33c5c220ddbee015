//! Where a stranger's URL may lead: to the public internet by https, and nowhere else (SSRF).
//!
//! URLs of the operator's configuration are trusted. URLs from the API, from the database or from somebody's answer are
//! not. They are judged when they are stored ([`Guard::check`]), for a clear message; and again whenever they are
//! asked, by the addresses that are really connected to: those of names by [`Guard::check_addresses`], so that a name
//! cannot lead elsewhere in between, and those that stand in the URL itself by [`Guard::check_literal`].

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::{Host, Url};

use crate::urls::GoUrl;

/// How long a name may take to be resolved when a URL is stored.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a URL is refused, in GoTrue's words (its `utilities/url_validator.go`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(Cow<'static, str>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    const fn because(words: &'static str) -> Self {
        Self(Cow::Borrowed(words))
    }

    fn of(kind: &'static str) -> Self {
        Self(format!("URL cannot resolve to {kind} addresses").into())
    }
}

const NO_URL: Refused = Refused::because("Invalid URL format");
const NOT_HTTPS: Refused = Refused::because("URL must use HTTPS");
const NO_HOST: Refused = Refused::because("URL must have a valid hostname");
const LOCAL: Refused = Refused::because("URL cannot point to localhost or loopback addresses");
const UNKNOWN: Refused = Refused::because("Unable to resolve hostname");

/// Who may be asked by a stranger's URL.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// The operator's own networks that may be asked (`TRUEGATE_PRIVATE_NETWORKS`).
    networks: Arc<[IpNet]>,
    /// Single places besides.
    places: Arc<[SocketAddr]>,
}

impl Guard {
    /// Lets only the public internet and these networks through.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self {
            networks: networks.into(),
            places: Arc::default(),
        }
    }

    /// Lets through besides what stands in these URLs as a literal address, with its port. They are the URLs of one row:
    /// our API stores no literal private address, so the owner of the database wrote it there.
    #[must_use]
    pub fn and_literals_of<'a>(&self, urls: impl IntoIterator<Item = &'a str>) -> Self {
        let place = |text: &str| {
            let url = Url::parse(text).ok()?;
            Some(SocketAddr::new(
                literal(&url)?,
                url.port_or_known_default()?,
            ))
        };
        Self {
            networks: self.networks.clone(),
            places: urls.into_iter().filter_map(place).collect(),
        }
    }

    /// Judges a URL that is about to be stored, as it resolves now.
    pub async fn check(&self, text: &str) -> Result<(), Refused> {
        let as_go = GoUrl::parse(text).map_err(|_| NO_URL)?;
        if as_go.scheme != "https" {
            return Err(NOT_HTTPS);
        }
        if as_go.hostname().is_empty() {
            return Err(NO_HOST);
        }
        // Our client has the last word on where it leads: `https://2130706433` is 127.0.0.1.
        let url = Url::parse(text).map_err(|_| NO_URL)?;
        let host = url.host_str().unwrap_or_default();
        let addresses = match literal(&url) {
            Some(ip) => vec![ip],
            None => resolve(host)
                .await
                .ok_or_else(|| if is_local(host) { LOCAL } else { UNKNOWN })?,
        };
        if is_local(host) && !addresses.iter().all(|ip| self.is_own(*ip)) {
            return Err(LOCAL);
        }
        addresses.into_iter().try_for_each(|ip| self.judge(ip))
    }

    /// Judges a URL that is about to be asked, as far as it names an address itself; names are for [`Self::check_addresses`].
    pub fn check_literal(&self, url: &Url) -> Result<(), Refused> {
        if url.scheme() != "https" {
            return Err(NOT_HTTPS);
        }
        let Some(ip) = literal(url) else {
            return Ok(());
        };
        let place = url
            .port_or_known_default()
            .map(|port| SocketAddr::new(ip, port));
        if place.is_some_and(|place| self.places.contains(&place)) {
            return Ok(());
        }
        self.judge(ip).map_err(|refused| {
            if is_local(&ip.to_string()) {
                LOCAL
            } else {
                refused
            }
        })
    }

    /// Judges the addresses of a name that is about to be connected to. One that is refused speaks against the whole name:
    /// there is no honest reason for a public name to lead inside as well.
    pub fn check_addresses(&self, found: &[SocketAddr]) -> Result<(), Refused> {
        found.iter().try_for_each(|found| self.judge(found.ip()))
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&ip))
    }

    fn judge(&self, ip: IpAddr) -> Result<(), Refused> {
        match kind(ip) {
            Some(kind) if !self.is_own(ip.to_canonical()) => Err(Refused::of(kind)),
            _ => Ok(()),
        }
    }
}

async fn resolve(host: &str) -> Option<Vec<IpAddr>> {
    let found = timeout(PATIENCE, lookup_host((host, 0))).await.ok()?.ok()?;
    let found: Vec<IpAddr> = found.map(|found| found.ip()).collect();
    (!found.is_empty()).then_some(found)
}

/// The address that stands in a URL, in any notation (`0x7f.1`, `[::ffff:127.0.0.1]`).
fn literal(url: &Url) -> Option<IpAddr> {
    Some(match url.host()? {
        Host::Ipv4(ip) => ip.into(),
        Host::Ipv6(ip) => IpAddr::from(ip).to_canonical(),
        Host::Domain(_) => return None,
    })
}

/// The hosts that GoTrue refuses by their names.
fn is_local(host: &str) -> bool {
    let host = host
        .trim_end_matches('.')
        .trim_matches(['[', ']'])
        .to_ascii_lowercase();
    matches!(
        host.as_str(),
        "localhost" | "127.0.0.1" | "::1" | "0.0.0.0" | "::"
    ) || host.ends_with(".localhost")
}

const LOOPBACK: &str = "loopback";
const PRIVATE: &str = "private network";
const LINK_LOCAL: &str = "link-local";
const METADATA: &str = "cloud metadata";
const MULTICAST: &str = "multicast";
const UNSPECIFIED: &str = "unspecified";
const RESERVED: &str = "reserved";

/// What is not the public internet. The ranges for documentation are let through, as in GoTrue: nothing is there.
const INSIDE: [(Ipv4Net, &str); 14] = [
    (net(0, 0, 0, 0, 8), UNSPECIFIED),
    (net(10, 0, 0, 0, 8), PRIVATE),
    (net(100, 64, 0, 0, 10), PRIVATE),
    (net(127, 0, 0, 0, 8), LOOPBACK),
    // Azure's.
    (net(168, 63, 129, 16, 32), METADATA),
    (net(169, 254, 0, 0, 16), LINK_LOCAL),
    (net(172, 16, 0, 0, 12), PRIVATE),
    (net(192, 0, 0, 0, 24), RESERVED),
    (net(192, 88, 99, 0, 24), RESERVED),
    (net(192, 168, 0, 0, 16), PRIVATE),
    (net(198, 18, 0, 0, 15), RESERVED),
    (net(224, 0, 0, 0, 24), LINK_LOCAL),
    (net(224, 0, 0, 0, 4), MULTICAST),
    (net(240, 0, 0, 0, 4), RESERVED),
];

const fn net(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// The same for IPv6, where it says more than "not global unicast".
const INSIDE_V6: [(Ipv6Net, &str); 6] = [
    (net6(0xfc00, 0, 7), PRIVATE),
    (net6(0xfe80, 0, 10), LINK_LOCAL),
    (net6(0xfec0, 0, 10), PRIVATE),
    (net6(0xff02, 0, 16), LINK_LOCAL),
    (net6(0xff00, 0, 8), MULTICAST),
    // Teredo and other protocols' own.
    (net6(0x2001, 0, 23), RESERVED),
];

const fn net6(first: u16, second: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), prefix)
}

/// Of what kind an address is that is not public; none for those that are.
fn kind(ip: IpAddr) -> Option<&'static str> {
    match ip.to_canonical() {
        IpAddr::V4(ip) => kind_v4(ip),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Some(LOOPBACK),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(UNSPECIFIED),
        IpAddr::V6(ip) => kind_v6(ip),
    }
}

fn kind_v4(ip: Ipv4Addr) -> Option<&'static str> {
    INSIDE
        .iter()
        .find_map(|(network, kind)| network.contains(&ip).then_some(*kind))
}

fn kind_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if let Some(within) = embedded(ip) {
        return kind_v4(within);
    }
    INSIDE_V6
        .iter()
        .find_map(|(network, kind)| network.contains(&ip).then_some(*kind))
        // Only 2000::/3 is global unicast.
        .or((ip.segments()[0] >> 13 != 1).then_some(RESERVED))
}

/// The IPv4 address that a gateway sends packets for this one to: NAT64 (RFC 6052) and 6to4 (RFC 3056).
fn embedded(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        | [0x20, 0x02, a, b, c, d, ..] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
