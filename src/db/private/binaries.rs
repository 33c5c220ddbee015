//! Finds the Postgres that is installed here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Where packages put `initdb` and `postgres` when not on the PATH; `*` is one version.
const PLACES: [&str; 8] = [
    "/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
    "/usr/pgsql-*/bin",                                   // Red Hat, from postgresql.org
    "/usr/libexec/postgresql*",                           // Alpine
    "/usr/lib/postgresql*/bin",                           // SUSE
    "/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew on Apple silicon
    "/usr/local/opt/postgresql@*/bin",                    // Homebrew on Intel
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew on Linux
    "/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
];

/// One installation: `initdb` and `postgres` of the same version.
#[derive(Debug)]
pub(super) struct Binaries {
    /// Empty: on the PATH.
    dir: PathBuf,
    /// 15 of 15.14.
    major: u32,
}

impl Binaries {
    /// The installation to make a new cluster with.
    pub(super) fn any() -> Result<Self> {
        installed().next().with_context(|| {
            format!(
                "found no PostgreSQL on this machine. Install it, then start again:\n  {}",
                install_command(None)
            )
        })
    }

    /// The installation that made `cluster`: another major version cannot read it.
    pub(super) fn of_cluster(cluster: &Path) -> Result<Self> {
        let path = cluster.join("PG_VERSION");
        let version =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let major: u32 = version
            .trim()
            .parse()
            .with_context(|| format!("{} holds no version", path.display()))?;
        let mut others = Vec::new();
        for found in installed() {
            if found.major == major {
                return Ok(found);
            }
            others.push(found.major.to_string());
        }
        let found = if others.is_empty() {
            "none".to_owned()
        } else {
            others.join(", ")
        };
        bail!(
            "{} was made by PostgreSQL {major}; installed here: {found}. Install version {major}, or choose another data directory:\n  {}",
            cluster.display(),
            install_command(Some(major)),
        )
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    fn in_dir(dir: PathBuf) -> Option<Self> {
        let major = major_version(&dir.join("initdb"))?;
        (major_version(&dir.join("postgres"))? == major).then_some(Self { dir, major })
    }
}

/// Every installation, best first; looked for as far as asked.
fn installed() -> impl Iterator<Item = Binaries> {
    let on_path = std::iter::once_with(PathBuf::new);
    let in_places = PLACES.into_iter().flat_map(expand);
    let by_pg_config = std::iter::once_with(|| {
        output(Command::new("pg_config").arg("--bindir")).map(|dir| dir.trim().into())
    })
    .flatten();
    on_path
        .chain(in_places)
        .chain(by_pg_config)
        .filter_map(Binaries::in_dir)
}

/// The directories that match `pattern`, newest version first.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return Vec::new();
    };
    let Some((parent, prefix)) = before.rsplit_once('/') else {
        return Vec::new();
    };
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let version = name
                .to_str()?
                .strip_prefix(prefix)?
                .split('.')
                .next()?
                .parse()
                .ok()?;
            Some((
                version,
                Path::new(parent)
                    .join(&name)
                    .join(after.trim_start_matches('/')),
            ))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// Asks a program: `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_version(program: &Path) -> Option<u32> {
    parse_version(&output(Command::new(program).arg("--version"))?)
}

fn parse_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL) ")?.1;
    version
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn output(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).ok())?
}

/// The line to type, for the package manager of this machine.
fn install_command(major: Option<u32>) -> String {
    let exists = |path: &str| Path::new(path).exists();
    let version =
        |separator: &str| major.map_or_else(String::new, |major| format!("{separator}{major}"));
    if exists("/usr/bin/apt-get") {
        format!("sudo apt-get install postgresql{}", version("-"))
    } else if exists("/usr/bin/dnf") {
        format!("sudo dnf install postgresql{}-server", version(""))
    } else if exists("/sbin/apk") {
        format!("sudo apk add postgresql{}", version(""))
    } else if exists("/usr/bin/pacman") {
        "sudo pacman -S postgresql".into()
    } else if exists("/usr/bin/zypper") {
        format!("sudo zypper install postgresql{}-server", version(""))
    } else {
        format!("brew install postgresql@{}", major.unwrap_or(17))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_as_programs_tell_them() {
        assert_eq!(
            parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(parse_version("initdb (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_version("something else 15"), None);
    }

    #[test]
    fn newest_version_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "16", "notes"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let root = dir.path().display();
        let found = expand(&format!("{root}/*/bin"));
        let names: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["16/bin", "15/bin", "9.6/bin"]);
    }
}
