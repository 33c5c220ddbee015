//! Who runs Postgres: it refuses to run as root, so root hands it to an account without rights.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::{as_account, is_root};

/// A user of this machine.
#[derive(Debug)]
pub(super) struct Account {
    name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// Nobody in particular (`None`) unless we are root; then whom an existing cluster belongs to,
    /// else `postgres`, else `nobody`.
    pub(super) fn choose(cluster: &Path) -> Result<Option<Self>> {
        let found = fs::metadata(cluster).ok();
        let owner = found.as_ref().map(MetadataExt::uid);
        let me = rustix::process::geteuid().as_raw();
        if !is_root() {
            if owner.is_some_and(|owner| owner != me) {
                bail!(
                    "{} belongs to another user: start as that user, or choose another data directory",
                    cluster.display()
                );
            }
            return Ok(None);
        }
        match found {
            Some(found) if found.uid() == me => {
                bail!("{} belongs to root, and Postgres does not run as root: give it to another user with chown -R", cluster.display())
            }
            Some(found) => Ok(Some(Self { name: found.uid().to_string(), uid: found.uid(), gid: found.gid() })),
            None => ["postgres", "nobody"]
                .into_iter()
                .find_map(Self::named)
                .map(Some)
                .context("Postgres does not run as root, and this machine has neither a user postgres nor nobody: start as a normal user"),
        }
    }

    fn named(name: &str) -> Option<Self> {
        // `id` asks whatever the machine keeps its users in, where reading /etc/passwd would not.
        let ask = |flag| {
            let answer = Command::new("id")
                .args([flag, name])
                .stderr(Stdio::null())
                .output()
                .ok()?;
            String::from_utf8(answer.stdout).ok()?.trim().parse().ok()
        };
        Some(Self {
            name: name.into(),
            uid: ask("-u")?,
            gid: ask("-g")?,
        })
    }

    /// Makes `path` belong to this account.
    pub(super) fn give(&self, path: &Path) -> Result<()> {
        chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("cannot give {} to user {}", path.display(), self.name))
    }

    /// Refuses a directory that this account cannot enter, and names the parent that bars the way.
    pub(super) fn can_reach(&self, dir: &Path) -> Result<()> {
        let entered = as_account("/bin/sh".as_ref(), Some(self))
            .args(["-c", "cd -- \"$0\""])
            .arg(dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("running /bin/sh")?;
        if entered.success() {
            return Ok(());
        }
        let closed = |path: &&Path| {
            fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o001 == 0)
        };
        let barrier = dir.ancestors().filter(closed).last().unwrap_or(dir);
        bail!(
            "Postgres does not run as root but as user {}, who cannot enter {}: choose another data directory, or allow it with chmod o+x {}",
            self.name,
            barrier.display(),
            barrier.display(),
        )
    }
}
