//! What pages of other origins may send.

use super::settings::settings;

settings! {
    /// What pages of other origins may send.
    pub struct Cors("GOTRUE_CORS_") {
        /// Request headers that are allowed besides the built-in ones.
        allowed_headers: Vec<String> = "",
    }
}
