//! What is logged, and where to.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

use super::settings::settings;
use super::value::Value;

settings! {
    /// What is logged, and where to.
    pub struct Log("GOTRUE_LOG_") {
        /// error, warn, info, debug or trace.
        level: LevelFilter = "info",
        /// File to append to; empty: standard error.
        file: Option<PathBuf> = "",
    }
}

/// GoTrue's names (logrus, in any case); its two levels above error are error here.
impl Value for LevelFilter {
    const FORM: &'static str = "error, warn, info, debug or trace";
    const MAY_BE_EMPTY: bool = true;

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "panic" | "fatal" | "error" => Some(Self::ERROR),
            "warn" | "warning" => Some(Self::WARN),
            "" | "info" => Some(Self::INFO),
            "debug" => Some(Self::DEBUG),
            "trace" => Some(Self::TRACE),
            _ => None,
        }
    }
}
