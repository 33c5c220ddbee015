//! HTTP: the listener, and what we ask of others.

use std::time::Duration;

use url::Url;

use super::settings::settings;

settings! {
    /// HTTP: the listener, and what we ask of others.
    pub struct Api("GOTRUE_API_") {
        /// Address to listen on; empty: all of them.
        host: String = "",
        /// Port to listen on.
        port("GOTRUE_API_PORT", "PORT"): u16 = "8081",
        /// Public address of this server, without which no link in a mail works.
        external_url("GOTRUE_API_API_EXTERNAL_URL", "API_EXTERNAL_URL"): Url => "https://auth.example.com",
        /// How long one request may take in all before it is answered 504; 0: for ever.
        max_request_duration: Duration = "10s",
        /// Request header whose value becomes the request id; empty: ids are made here.
        request_id_header("GOTRUE_API_REQUEST_ID_HEADER", "REQUEST_ID_HEADER"): Option<String> = "",
        /// How long another server (a provider, who sends text messages) may take to answer; 0 means 10s.
        http_timeout("GOTRUE_INTERNAL_HTTP_TIMEOUT"): Duration = "10s",
    }
}

impl Api {
    pub(super) fn settle(&mut self) {
        if self.http_timeout.is_zero() {
            self.http_timeout = Duration::from_secs(10);
        }
    }
}
