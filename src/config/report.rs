//! What is told about a configuration: mistakes, all at once, and warnings. Neither repeats a secret.

use std::fmt;

/// Something that keeps the server from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The variable, or the file.
    pub subject: String,
    /// What is wrong with it, and what it should be.
    pub fault: String,
}

/// Something that is probably not meant so; the server starts all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The variable, or the file.
    pub subject: String,
    /// What will happen.
    pub what: String,
}

/// All mistakes of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<Mistake>);

/// What reading a configuration finds.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub mistakes: Vec<Mistake>,
    pub warnings: Vec<Warning>,
}

impl Report {
    pub fn mistake(&mut self, subject: impl Into<String>, fault: impl Into<String>) {
        self.mistakes.push(Mistake {
            subject: subject.into(),
            fault: fault.into(),
        });
    }

    pub fn warn(&mut self, subject: impl Into<String>, what: impl Into<String>) {
        self.warnings.push(Warning {
            subject: subject.into(),
            what: what.into(),
        });
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.fault)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.what)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("one mistake in the configuration:")?,
            count => write!(f, "{count} mistakes in the configuration:")?,
        }
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
