//! What `dev` keeps: where, and the secret that signs its tokens.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::config::Environment;
use crate::crypto::secrets;

/// The data directory where none is named: root's is for the whole machine, all others' are their own.
pub fn default_dir(environment: &Environment) -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/truegate".into());
    }
    // The XDG Base Directory Specification: relative paths are invalid and to be ignored.
    let absolute = |name| {
        environment
            .get(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("truegate"))
        .context("HOME is not set: say where the data may lie with --data DIR")
}

/// The secret in `data_dir`, made at the first start, so that keys and sessions outlive restarts.
/// Nobody else may hold the directory meanwhile.
pub fn secret(data_dir: &Path) -> Result<String> {
    let path = data_dir.join("secret");
    match fs::read_to_string(&path) {
        Ok(secret) => return Ok(secret.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let secret = secrets::generate_text::<48>();
    // Whole or not at all, whatever happens in between.
    let new = data_dir.join("secret.new");
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| writeln!(file, "{secret}"))
        .and_then(|()| fs::rename(&new, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_secret_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let made = secret(dir.path()).unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(secret(dir.path()).unwrap(), made);
        let found = fs::metadata(dir.path().join("secret"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(found & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn data_lies_where_xdg_says() {
        if rustix::process::geteuid().is_root() {
            assert_eq!(
                default_dir(&Environment::default()).unwrap(),
                Path::new("/var/lib/truegate")
            );
            return;
        }
        let dir = |pairs: &[(&str, &str)]| {
            default_dir(&Environment::from_pairs(pairs.iter().copied())).ok()
        };
        assert_eq!(
            dir(&[("HOME", "/home/me")]),
            Some("/home/me/.local/share/truegate".into())
        );
        assert_eq!(
            dir(&[("HOME", "/home/me"), ("XDG_DATA_HOME", "/data")]),
            Some("/data/truegate".into())
        );
        assert_eq!(
            dir(&[("HOME", "/home/me"), ("XDG_DATA_HOME", "data")]),
            Some("/home/me/.local/share/truegate".into())
        );
        assert_eq!(dir(&[]), None);
    }
}
