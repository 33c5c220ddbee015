//! The places on disk: the data directory, its locks, the socket's directory.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::account::Account;
use super::{STOP_LIMIT, is_root, poll};

/// The longest socket path that the operating system takes (`sun_path` without its NUL).
const SOCKET_PATH_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Another live process uses the data directory.
#[derive(Debug)]
pub struct InUse {
    data_dir: PathBuf,
    process: String,
}

impl std::fmt::Display for InUse {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { data_dir, process } = self;
        let data_dir = data_dir.display();
        write!(
            out,
            "{data_dir} is in use by another truegate (process {process}): stop that one, or choose another directory with --data"
        )
    }
}

impl std::error::Error for InUse {}

pub(super) fn make_data_dir(wanted: &Path) -> Result<PathBuf> {
    // Root's directory is entered by the account that runs Postgres; what is secret in it has its own mode.
    DirBuilder::new()
        .recursive(true)
        .mode(if is_root() { 0o755 } else { 0o700 })
        .create(wanted)
        .and_then(|()| wanted.canonicalize())
        .with_context(|| format!("cannot make the data directory {}", wanted.display()))
}

/// Locks the directory for this process.
pub(super) fn own(data_dir: &Path) -> Result<File> {
    let path = data_dir.join("truegate.lock");
    let mut file = open_private(&path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            file.read_to_string(&mut process)?;
            return Err(InUse {
                data_dir: data_dir.into(),
                process: process.trim().into(),
            }
            .into());
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(file)
}

/// Opens and locks the log, which every Postgres process inherits: once the lock is ours, none lives.
/// One of a run that died hard may still be stopping; where its leash was killed too, it is stopped here.
pub(super) fn take_log(data_dir: &Path, cluster: &Path) -> Result<File> {
    let path = data_dir.join("postgres.log");
    let log = open_private(&path)?;
    let mut asked = None;
    let ours = poll(STOP_LIMIT, || match log.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => {
            let orphan = postmaster(cluster);
            if orphan != asked {
                asked = orphan;
                orphan
                    .map_or(Ok(()), |pid| kill_process(pid, Signal::INT))
                    .ok();
            }
            Ok(None)
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    })?;
    if ours.is_none() {
        let process = asked.map_or_else(String::new, |pid| {
            format!(" (process {})", pid.as_raw_nonzero())
        });
        bail!(
            "a Postgres of an earlier run{process} still uses {} and does not stop: end it, then start again",
            data_dir.display()
        );
    }
    if log.metadata()?.len() > 1 << 20 {
        log.set_len(0)?;
    }
    Ok(log)
}

pub(super) fn postmaster(cluster: &Path) -> Option<Pid> {
    let file = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    Pid::from_raw(file.lines().next()?.trim().parse().ok()?)
}

/// A directory for the socket that only `account` (and root) may enter: in the data directory, or in /tmp
/// where the path would be too long or cannot be written in Postgres' list of directories.
pub(super) fn make_socket_dir(data_dir: &Path, account: Option<&Account>) -> Result<PathBuf> {
    let near = data_dir.join("socket");
    let path = near.as_os_str().as_bytes();
    let plain = path
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-+@ ".contains(byte));
    if plain && path.len() + "/.s.PGSQL.65535".len() <= SOCKET_PATH_LIMIT {
        return if take_socket_dir(&near, account)? {
            Ok(near)
        } else {
            bail!(
                "{} belongs to somebody else: remove it, then start again",
                near.display()
            )
        };
    }
    // The same name at every start, so that crashes leave one directory, not many. A name that
    // somebody else took, in a directory open to all, is passed over.
    let name = data_dir
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    for attempt in 0..16 {
        let short = PathBuf::from(format!("/tmp/truegate-{name:016x}-{attempt}"));
        if take_socket_dir(&short, account)? {
            return Ok(short);
        }
    }
    bail!("cannot make a directory for the socket in /tmp: all names are taken")
}

/// Makes `path`, or takes it over when it is a directory of the same account with mode 0700.
fn take_socket_dir(path: &Path, account: Option<&Account>) -> Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            if let Some(account) = account {
                account.give(path)?;
            }
            Ok(true)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(path)?;
            let uid = account.map_or_else(
                || rustix::process::geteuid().as_raw(),
                |account| account.uid,
            );
            Ok(found.is_dir() && found.uid() == uid && found.mode() & 0o777 == 0o700)
        }
        Err(error) => Err(error).with_context(|| format!("cannot make {}", path.display())),
    }
}

fn open_private(path: &Path) -> Result<File> {
    File::options()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

pub(super) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
