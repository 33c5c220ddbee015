//! What to do next, where a failure's own words do not say it.

use crate::config::ConfigErrors;

/// What to try after this failure.
pub(super) fn next_step(error: &anyhow::Error) -> Option<&'static str> {
    error.is::<ConfigErrors>().then_some(
        "Settings come from the environment, or from a file .env; each is explained in .env.example.\n\
         To try Truegate without any: truegate dev",
    )
}
