//! A private Postgres from the binaries installed on this machine, for `truegate dev` and the tests:
//! one directory holds the cluster, its log and its locks; nobody but its maker can reach its socket.
//!
//! It never outlives us. A small shell stands between us and Postgres, reading a pipe whose other end
//! is ours: when we end, however we end, the pipe closes and the shell stops Postgres. Whether something
//! of an earlier run still lives is told by a file lock that every Postgres process inherits, never by
//! a process id found in a file.

use std::fs::{self, DirBuilder, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, kill_process};

mod account;
mod binaries;
mod place;

use account::Account;
use binaries::Binaries;
pub use place::InUse;

/// How long a start may take: after a power cut Postgres replays its log first.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long a stop may take before it is forced.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Only names the socket file, unless [`Options::tcp_port`] says otherwise.
const DEFAULT_PORT: u16 = 5432;

/// Holds Postgres on a leash: `read` returns when the other end of the pipe is closed, by us or by the
/// kernel that buries us.
const LEASH: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -INT "$server"; } & leash=$!
exec 3<&-
wait "$server"; status=$?
kill "$leash" 2>/dev/null
exit "$status"
"#;

/// How a private Postgres is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Holds everything: `postgres/` (the cluster), `postgres.log`, `truegate.lock`. Made when absent.
    pub data_dir: PathBuf,
    /// Survives a power cut. Without it nothing waits for the disk, and a power cut costs the data: for tests.
    pub durable: bool,
    /// Postgres' `max_connections`.
    pub max_connections: u16,
    /// Also listen on 127.0.0.1, where every user of this machine may then connect without a password.
    pub tcp_port: Option<u16>,
    /// More settings for the server, each `name=value`; they win over ours.
    pub settings: Vec<String>,
}

impl Options {
    /// Durable, 50 connections, no TCP.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durable: true,
            max_connections: 50,
            tcp_port: None,
            settings: Vec::new(),
        }
    }

    fn arguments(&self, cluster: &Path, socket_dir: &Path) -> Vec<std::ffi::OsString> {
        let mut arguments = vec!["-D".into(), cluster.into(), "-k".into(), socket_dir.into()];
        let listen = if self.tcp_port.is_some() {
            "127.0.0.1"
        } else {
            ""
        };
        let mut settings = vec![
            format!("listen_addresses={listen}"),
            format!("port={}", self.tcp_port.unwrap_or(DEFAULT_PORT)),
            format!("max_connections={}", self.max_connections),
            // Small: an auth database of a developer fits into a few pages.
            "shared_buffers=16MB".into(),
            "max_wal_size=128MB".into(),
            // Nobody replicates it.
            "wal_level=minimal".into(),
            "max_wal_senders=0".into(),
            "max_logical_replication_workers=0".into(),
            "jit=off".into(),
            "logging_collector=off".into(),
            "log_destination=stderr".into(),
            "timezone=UTC".into(),
            "log_timezone=UTC".into(),
        ];
        if !self.durable {
            settings.extend(
                [
                    "fsync=off",
                    "synchronous_commit=off",
                    "full_page_writes=off",
                    "autovacuum=off",
                ]
                .map(String::from),
            );
        }
        for setting in settings.iter().chain(&self.settings) {
            arguments.extend(["-c".into(), setting.into()]);
        }
        arguments
    }
}

/// A running Postgres; dropping it stops it.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Child,
    cluster: PathBuf,
    socket_dir: PathBuf,
    port: u16,
    /// Ours alone, until we are gone and Postgres with us.
    _owner: File,
}

impl PrivatePostgres {
    /// Starts Postgres in `options.data_dir`, makes its cluster first where there is none, and returns when it
    /// takes connections. Blocks: from async code, call it in `spawn_blocking`.
    ///
    /// Fails with [`InUse`] (`error.is::<InUse>()`) where another live process has the directory, and with
    /// words for the person at the terminal in every other case.
    pub fn start(options: &Options) -> Result<Self> {
        let data_dir = place::make_data_dir(&options.data_dir)?;
        let cluster = data_dir.join("postgres");
        let owner = place::own(&data_dir)?;
        let account = Account::choose(&cluster)?;
        if let Some(account) = &account {
            account.can_reach(&data_dir)?;
        }

        let mut log = place::take_log(&data_dir, &cluster)?;
        let is_new = !cluster.join("PG_VERSION").exists();
        let binaries = if is_new {
            let binaries = Binaries::any()?;
            make_cluster(&binaries, account.as_ref(), &data_dir)?;
            binaries
        } else {
            Binaries::of_cluster(&cluster)?
        };
        // The lock says that nothing lives here, so this can only be a dead one's, and its process id
        // may be anybody's by now: Postgres would refuse to start on it.
        place::remove_if_there(&cluster.join("postmaster.pid"))?;
        let socket_dir = place::make_socket_dir(&data_dir, account.as_ref())?;

        let log_start = log.seek(SeekFrom::End(0))?;
        let server = as_account("/bin/sh".as_ref(), account.as_ref())
            .args(["-c", LEASH, "truegate-postgres"])
            .arg(binaries.postgres())
            .args(options.arguments(&cluster, &socket_dir))
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            // Ctrl-C at the terminal is for us; we stop Postgres when the last request is done.
            .process_group(0)
            .spawn()
            .context("starting Postgres")?;
        let port = options.tcp_port.unwrap_or(DEFAULT_PORT);
        let mut started = Self {
            server,
            cluster,
            socket_dir,
            port,
            _owner: owner,
        };
        started.wait_until_ready().with_context(|| {
            format!(
                "Postgres did not start; its log, {}, ends with:\n{}",
                data_dir.join("postgres.log").display(),
                tail(&mut log, log_start)
            )
        })?;
        if is_new && options.durable {
            // What initdb wrote reaches the disk behind the back of the person who waits for the first start.
            std::thread::spawn(rustix::fs::sync);
        }
        Ok(started)
    }

    /// The URL of a database in this cluster, for the superuser `postgres`, over the socket.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let port = match self.port {
            DEFAULT_PORT => String::new(),
            port => format!("&port={port}"),
        };
        let database = percent_encoded(database.as_bytes());
        let host = percent_encoded(self.socket_dir.as_os_str().as_bytes());
        format!("postgres:///{database}?host={host}{port}&user=postgres")
    }

    /// Stops Postgres, as dropping does, and says when that went wrong.
    pub fn stop(mut self) -> Result<()> {
        self.halt()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let ready = poll(START_LIMIT, || {
            if let Some(status) = self.server.try_wait()? {
                bail!("Postgres ended at once ({status})");
            }
            // What pg_ctl waits for as well: Postgres writes its state into the eighth line.
            let state = fs::read_to_string(self.cluster.join("postmaster.pid")).unwrap_or_default();
            Ok(state
                .lines()
                .nth(7)
                .is_some_and(|state| state.trim() == "ready")
                .then_some(()))
        })?;
        ready.with_context(|| format!("not ready within {} seconds", START_LIMIT.as_secs()))
    }

    fn halt(&mut self) -> Result<()> {
        drop(self.server.stdin.take());
        if poll(STOP_LIMIT, || Ok(self.server.try_wait()?))?.is_none() {
            if let Some(postmaster) = place::postmaster(&self.cluster) {
                kill_process(postmaster, Signal::QUIT)?;
            }
            self.server.wait()?;
        }
        if !self
            .socket_dir
            .starts_with(self.cluster.parent().unwrap_or(&self.cluster))
        {
            let _ = fs::remove_dir(&self.socket_dir);
        }
        Ok(())
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let _ = self.halt();
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `program`, run by `account`, from a directory that everybody may read and free of what the
/// caller's environment would tell Postgres.
fn as_account(program: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env("LC_ALL", "C");
    for name in ["PGDATA", "PGPORT", "PGDATESTYLE", "PGCLIENTENCODING"] {
        command.env_remove(name);
    }
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

/// `initdb` beside the final place, then a rename: a cluster is there whole or not at all.
fn make_cluster(binaries: &Binaries, account: Option<&Account>, data_dir: &Path) -> Result<()> {
    let [new, cluster] = ["postgres.new", "postgres"].map(|name| data_dir.join(name));
    if new.exists() {
        fs::remove_dir_all(&new).with_context(|| format!("cannot clear {}", new.display()))?;
    }
    DirBuilder::new()
        .mode(0o700)
        .create(&new)
        .with_context(|| format!("cannot make {}", new.display()))?;
    if let Some(account) = account {
        account.give(&new)?;
    }
    let mut initdb = as_account(&binaries.initdb(), account);
    initdb.arg("-D").arg(&new);
    initdb.args([
        "-U",
        "postgres",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
        "--no-sync",
    ]);
    let output = initdb
        .stdin(Stdio::null())
        .output()
        .context("running initdb")?;
    if !output.status.success() {
        bail!(
            "initdb failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    fs::rename(&new, &cluster).with_context(|| format!("cannot rename {}", new.display()))
}

/// The last lines that were written to `log` after `start`.
fn tail(log: &mut File, start: u64) -> String {
    let mut text = Vec::new();
    let read = log
        .seek(SeekFrom::Start(start))
        .and_then(|_| log.read_to_end(&mut text));
    let text = read.map_or_else(
        |error| error.to_string(),
        |_| String::from_utf8_lossy(&text).into_owned(),
    );
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(10)..)
        .unwrap_or_default()
        .join("\n")
}

/// For the path and the query of a URL; `/` stays readable.
fn percent_encoded(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let encode = |byte: &u8| {
        if plain(*byte) {
            char::from(*byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    bytes.iter().map(encode).collect()
}

/// Looks every few milliseconds until there is something, or until `limit` has passed.
fn poll<T>(limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if start.elapsed() > limit {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(4));
    }
}
