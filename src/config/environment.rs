//! Where the variables come from: the process, `-c FILE` or `./.env`, `-d DIR`, in GoTrue's order of
//! precedence (its `confload/loader.go`). Nothing is written back into the process environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::report::{ConfigErrors, Report, Warning};
use super::{dotenv, spelling};

/// Where to look for variables.
#[derive(Debug, Clone)]
pub struct Sources {
    /// `-c FILE`: its values win over the process environment; it has to exist.
    pub file: Option<PathBuf>,
    /// `-d DIR`: all `*.env` and `*.json` files in it, in the order of their names, win over everything.
    pub dir: Option<PathBuf>,
    /// Read when there is no `-c FILE`: `./.env`. It may be missing, and only fills in what is not set.
    pub dotenv: PathBuf,
    /// The process environment.
    pub environment: Vec<(OsString, OsString)>,
}

impl Sources {
    /// The environment of this process, and the files that its command line names.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, dir: Option<PathBuf>) -> Self {
        Self {
            file,
            dir,
            dotenv: ".env".into(),
            environment: std::env::vars_os().collect(),
        }
    }
}

/// The variables of all sources, merged.
#[derive(Default)]
pub struct Environment {
    variables: BTreeMap<String, Variable>,
    pub(super) warnings: Vec<Warning>,
}

struct Variable {
    text: String,
    /// The file that it stands in, if any.
    file: Option<PathBuf>,
}

impl Environment {
    /// Reads all sources.
    pub fn read(sources: &Sources) -> Result<Self, ConfigErrors> {
        let mut this = Self::default();
        let mut report = Report::default();
        this.add_process(&sources.environment, &mut report);
        match &sources.file {
            Some(file) => match read_file(file) {
                Ok(variables) => this.overwrite(file, variables),
                Err(error) => report.mistake(file.display().to_string(), error.to_string()),
            },
            None => match read_file(&sources.dotenv) {
                Ok(variables) => this.fill_in(&sources.dotenv, variables),
                Err(FileError::Io(error)) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    report.mistake(sources.dotenv.display().to_string(), error.to_string());
                }
            },
        }
        if let Some(dir) = &sources.dir {
            this.add_dir(dir, &mut report);
        }
        this.warnings = report.warnings;
        if report.mistakes.is_empty() {
            Ok(this)
        } else {
            Err(ConfigErrors(report.mistakes))
        }
    }

    /// An environment of just these variables.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let mut this = Self::default();
        for (name, text) in pairs {
            this.variables.insert(
                name.into(),
                Variable {
                    text: text.into(),
                    file: None,
                },
            );
        }
        this
    }

    /// The text of a variable. Mind that some settings have two names.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(|variable| variable.text.as_str())
    }

    /// Gives a variable a text, unless it has one.
    pub fn set_default(&mut self, name: &str, text: impl Into<String>) {
        self.variables
            .entry(name.to_owned())
            .or_insert_with(|| Variable {
                text: text.into(),
                file: None,
            });
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// The name as an error shows it: with the file that it stands in.
    pub(super) fn locate(&self, name: &str) -> String {
        match self
            .variables
            .get(name)
            .and_then(|variable| variable.file.as_ref())
        {
            Some(file) => format!("{name} (in {})", file.display()),
            None => name.to_owned(),
        }
    }

    fn add_process(&mut self, pairs: &[(OsString, OsString)], report: &mut Report) {
        for (name, text) in pairs {
            let Some(name) = name.to_str() else { continue };
            match text.to_str() {
                Some(text) => {
                    self.variables.insert(
                        name.into(),
                        Variable {
                            text: text.into(),
                            file: None,
                        },
                    );
                }
                None if spelling::is_ours(name) => {
                    report.mistake(name, "its value is not UTF-8 text");
                }
                None => {}
            }
        }
    }

    /// GoTrue only logs what is wrong with the directory, and keeps what it has read so far.
    fn add_dir(&mut self, dir: &Path, report: &mut Report) {
        let files = match files_of(dir) {
            Ok(files) => files,
            Err(error) => {
                let error = FileError::Io(error);
                report.warn(
                    dir.display().to_string(),
                    format!("{error}; none of its files is used"),
                );
                return;
            }
        };
        for file in files {
            match read_file(&file) {
                Ok(variables) => self.overwrite(&file, variables),
                Err(error) => {
                    let what = format!("{error}; neither it nor the files after it are used");
                    report.warn(file.display().to_string(), what);
                    return;
                }
            }
        }
    }

    fn overwrite(&mut self, file: &Path, variables: Vec<(String, String)>) {
        for (name, text) in variables {
            self.variables.insert(
                name,
                Variable {
                    text,
                    file: Some(file.to_owned()),
                },
            );
        }
    }

    fn fill_in(&mut self, file: &Path, mut variables: Vec<(String, String)>) {
        variables.retain(|(name, _)| !self.variables.contains_key(name));
        self.overwrite(file, variables);
    }
}

/// The `*.env` and `*.json` files of a directory, by name; of `x.env` and `x.json` only the latter.
fn files_of(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in dir.read_dir()? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            files.push(entry.path());
        }
    }
    files.retain(|file| is_env(file) || is_json(file));
    files.sort();
    let twins: Vec<_> = files
        .iter()
        .filter(|file| is_json(file))
        .map(|file| file.with_extension("env"))
        .collect();
    files.retain(|file| !twins.contains(file));
    Ok(files)
}

/// Also a file that is called just `.env`.
fn is_env(file: &Path) -> bool {
    file.as_os_str().as_encoded_bytes().ends_with(b".env")
}

fn is_json(file: &Path) -> bool {
    file.as_os_str().as_encoded_bytes().ends_with(b".json")
}

enum FileError {
    Io(std::io::Error),
    Syntax(String),
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::Syntax(fault) => f.write_str(fault),
        }
    }
}

fn read_file(file: &Path) -> Result<Vec<(String, String)>, FileError> {
    let text = std::fs::read_to_string(file).map_err(FileError::Io)?;
    if !is_json(file) {
        return dotenv::parse(&text).map_err(FileError::Syntax);
    }
    // A null is the empty text, as in Go.
    let object: BTreeMap<String, Option<String>> =
        serde_json::from_str(&text).map_err(|error| {
            // Not the error's own words: they may repeat a secret.
            let (line, column) = (error.line(), error.column());
            FileError::Syntax(format!(
                "line {line}, column {column}: not a JSON object of texts"
            ))
        })?;
    Ok(object
        .into_iter()
        .map(|(name, text)| (name, text.unwrap_or_default()))
        .collect())
}
