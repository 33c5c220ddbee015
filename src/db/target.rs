//! Where the database is and how it is reached: a postgres URL, read as GoTrue's driver (pgx) reads it.
//!
//! Not taken from it: `PGHOST` and the like, `~/.pgpass` and service files.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;
use url::form_urlencoded;

/// A parsed URL.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// Tried in this order.
    pub(super) hosts: Vec<Host>,
    pub(super) tls: Tls,
    /// What a server must be like.
    pub(super) role: Role,
    /// `connect_timeout`: for each host.
    pub(super) timeout: Option<Duration>,
    /// Who we are and what we ask for, without any host.
    pub(super) startup: tokio_postgres::Config,
    /// What a session is to have: `search_path`, and what the URL sets besides.
    pub(super) settings: Vec<(String, String)>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) address: Address,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A name or an IP address.
    Tcp(String),
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Tcp(name) => write!(f, "{name}:{}", self.port),
            Address::Unix(directory) => write!(f, "{}:{}", directory.display(), self.port),
        }
    }
}

/// `sslmode` and what belongs to it, with libpq's meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) mode: TlsMode,
    pub(super) roots: Roots,
    /// `sslcert` and `sslkey`: how the server knows us.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    /// `sslnegotiation=direct`: TLS from the first byte (Postgres 17).
    pub(super) direct: bool,
    /// `sslsni=0`: do not name the host in clear.
    pub(super) no_sni: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum TlsMode {
    Disable,
    /// Without, and with TLS if the server will not have that.
    Allow,
    /// With TLS to anybody, and without if the server has none.
    #[default]
    Prefer,
    /// With TLS to anybody.
    Require,
    /// The server has a certificate of somebody we trust.
    VerifyCa,
    /// That certificate is also for this host.
    VerifyFull,
}

/// Whom we trust, where the mode asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Roots {
    /// The machine's certificates and Mozilla's.
    #[default]
    System,
    /// `sslrootcert`
    File(PathBuf),
}

/// `target_session_attrs`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    /// A standby if there is one.
    PreferStandby,
}

impl Target {
    /// Reads a URL. Sessions look for tables in `namespace`, then in what the URL's own `search_path` names besides.
    ///
    /// The error is for the operator's terminal and never repeats the URL: it holds a password.
    pub(super) fn parse(url: &str, namespace: &str) -> Result<Self, String> {
        let rest = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        let rest = rest.ok_or("the database URL must start with postgres://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = authority
            .rsplit_once('@')
            .map_or((None, authority), |(user, hosts)| (Some(user), hosts));

        let mut parameters = Parameters::default();
        if let Some(credentials) = credentials {
            let (user, password) = credentials
                .split_once(':')
                .map_or((credentials, None), |(user, word)| (user, Some(word)));
            parameters.set("user", decode(user)?)?;
            if let Some(password) = password {
                parameters.set("password", decode(password)?)?;
            }
        }
        let (names, ports) = split_hosts(hosts)?;
        parameters.hosts = names;
        parameters.ports = ports;
        if !database.is_empty() {
            parameters.set("dbname", decode(database)?)?;
        }
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            parameters.set(&name, value.into_owned())?;
        }
        parameters.finish(namespace)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Parameters {
    hosts: Vec<String>,
    ports: Vec<String>,
    mode: Option<TlsMode>,
    root_cert: Option<String>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    direct: bool,
    no_sni: bool,
    role: Role,
    timeout: Option<Duration>,
    application_name: Option<String>,
    search_path: Option<String>,
    settings: Vec<(String, String)>,
    startup: tokio_postgres::Config,
}

impl Parameters {
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "user" => drop(self.startup.user(value)),
            "password" => drop(self.startup.password(value)),
            "dbname" | "database" => drop(self.startup.dbname(value)),
            "host" => self.hosts = value.split(',').map(str::to_owned).collect(),
            "port" => self.ports = value.split(',').map(str::to_owned).collect(),
            "connect_timeout" => {
                let seconds: u64 = value.parse().map_err(
                    |_| "connect_timeout in the database URL must be a number of seconds",
                )?;
                self.timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "sslmode" => {
                self.mode = Some(match value.as_str() {
                    "disable" => TlsMode::Disable,
                    "allow" => TlsMode::Allow,
                    "prefer" => TlsMode::Prefer,
                    "require" => TlsMode::Require,
                    "verify-ca" => TlsMode::VerifyCa,
                    "verify-full" => TlsMode::VerifyFull,
                    _ => return Err("sslmode in the database URL must be disable, allow, prefer, require, verify-ca or verify-full".into()),
                });
            }
            "sslrootcert" => self.root_cert = Some(value).filter(|path| !path.is_empty()),
            "sslcert" => self.cert = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            "sslpassword" => return Err(
                "sslpassword in the database URL is not supported: give a key without a password"
                    .into(),
            ),
            "sslnegotiation" => self.direct = value == "direct",
            "sslsni" => self.no_sni = value == "0",
            "channel_binding" => {
                let binding = match value.as_str() {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => return Err(
                        "channel_binding in the database URL must be disable, prefer or require"
                            .into(),
                    ),
                };
                self.startup.channel_binding(binding);
            }
            "target_session_attrs" => {
                self.role = match value.as_str() {
                    "any" => Role::Any,
                    "read-write" => Role::ReadWrite,
                    "read-only" => Role::ReadOnly,
                    "primary" => Role::Primary,
                    "standby" => Role::Standby,
                    "prefer-standby" => Role::PreferStandby,
                    _ => {
                        return Err("target_session_attrs in the database URL must be any, read-write, read-only, primary, standby \
                                    or prefer-standby"
                            .into());
                    }
                };
            }
            "application_name" => self.application_name = Some(value),
            "search_path" => self.search_path = Some(value),
            "options" => drop(self.startup.options(value)),
            // For pools and drivers, not for the server.
            "statement_cache_mode"
            | "statement_cache_capacity"
            | "description_cache_capacity"
            | "default_query_exec_mode"
            | "prefer_simple_protocol"
            | "min_read_buffer_size"
            | "passfile"
            | "service"
            | "servicefile"
            | "krbspn"
            | "krbsrvname"
            | "gssencmode"
            | "fallback_application_name" => {}
            pool if pool.starts_with("pool_") => {}
            // As in pgx, everything else is a setting of the session.
            setting if is_setting(setting) => self.settings.push((setting.to_owned(), value)),
            _ => return Err(format!("{name:?} in the database URL is no parameter")),
        }
        Ok(())
    }

    fn finish(mut self, namespace: &str) -> Result<Target, String> {
        let path = search_path(namespace, self.search_path.as_deref().unwrap_or_default());
        self.settings.insert(0, ("search_path".to_owned(), path));
        let name = self
            .application_name
            .unwrap_or_else(|| "truegate".to_owned());
        self.startup.application_name(name);

        if self.hosts.is_empty() {
            let socket = PathBuf::from("/var/run/postgresql");
            self.hosts.push(if socket.is_dir() {
                socket.to_string_lossy().into_owned()
            } else {
                "localhost".to_owned()
            });
        }
        let default = "5432".to_owned();
        let first = self.ports.first().unwrap_or(&default);
        let hosts = self.hosts.iter().enumerate().map(|(index, host)| {
            let port = self.ports.get(index).unwrap_or(first);
            let port = if port.is_empty() {
                Ok(5432)
            } else {
                port.parse()
            };
            let port = port
                .ok()
                .filter(|port| *port > 0)
                .ok_or("a port in the database URL is not a number from 1 to 65535")?;
            let address = if host.starts_with('/') {
                Address::Unix(host.into())
            } else {
                Address::Tcp(host.clone())
            };
            Ok(Host { address, port })
        });
        let hosts = hosts.collect::<Result<_, String>>()?;

        let mut mode = self.mode.unwrap_or_default();
        let roots = match self.root_cert {
            None => Roots::System,
            // Postgres 16: trusting everybody's authorities is only sensible with the name checked.
            Some(system) if system == "system" => {
                mode = TlsMode::VerifyFull;
                Roots::System
            }
            Some(file) => {
                if mode == TlsMode::Require {
                    mode = TlsMode::VerifyCa;
                }
                Roots::File(file.into())
            }
        };
        let identity = match (self.cert, self.key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => return Err("the database URL needs both sslcert and sslkey, or neither".into()),
        };
        let tls = Tls {
            mode,
            roots,
            identity,
            direct: self.direct,
            no_sni: self.no_sni,
        };
        Ok(Target {
            hosts,
            tls,
            role: self.role,
            timeout: self.timeout,
            startup: self.startup,
            settings: self.settings,
        })
    }
}

/// `host:port,host,[::1]:port,%2Fdirectory` in two lists of one length.
fn split_hosts(hosts: &str) -> Result<(Vec<String>, Vec<String>), String> {
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => {
                let (name, port) = rest
                    .split_once(']')
                    .ok_or("an IPv6 address in the database URL lacks its ]")?;
                (name, port.strip_prefix(':').unwrap_or_default())
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(decode(name)?);
        ports.push(port.to_owned());
    }
    // `postgres://:5433/` names a port only.
    names.retain(|name| !name.is_empty());
    Ok((names, ports))
}

fn decode(text: &str) -> Result<String, String> {
    const FAULT: &str = "the database URL is not correctly percent-encoded";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(FAULT.into());
        };
        bytes.push(u8::try_from(high * 16 + low).map_err(|_| FAULT)?);
    }
    String::from_utf8(bytes).map_err(|_| FAULT.into())
}

fn is_setting(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))
}

/// The namespace first; then what `given` names besides, as it is written there.
fn search_path(namespace: &str, given: &str) -> String {
    let quoted = format!("\"{}\"", namespace.replace('"', "\"\""));
    let others = given
        .split(',')
        .map(str::trim)
        .filter(|schema| !schema.is_empty() && *schema != namespace && **schema != quoted);
    std::iter::once(quoted.as_str())
        .chain(others)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests;
