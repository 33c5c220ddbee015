//! Identity providers that administrators add while the server runs.

use url::Url;

use super::settings::settings;

settings! {
    /// Identity providers that administrators add by the API.
    pub struct CustomOauth("GOTRUE_CUSTOM_OAUTH_") {
        /// They may be added, and users may sign in by them.
        enabled: bool = "true",
        /// How many there may be; 0 or less: as many as are added.
        max_providers: i64 = "0",
        /// Public address of this server as these providers are told, where it is not `API_EXTERNAL_URL`.
        external_url: Option<Url> = "",
    }
}
