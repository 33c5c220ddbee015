//! Access tokens: their keys and what stands in them.

use secrecy::{ExposeSecret, SecretString};

use super::report::Report;
use super::settings::settings;
use super::value::Seconds;

settings! {
    /// Access tokens: their keys and what stands in them.
    pub struct Jwt("GOTRUE_JWT_") {
        /// Signs access tokens (HS256), unless KEYS are given: `openssl rand -hex 32` makes a good one.
        secret: SecretString => "what-openssl-rand-hex-32-says",
        /// How long an access token is valid, in seconds.
        exp: Seconds = "3600",
        /// Audience of users, where a request names none.
        aud: String = "",
        /// Role of users that are made with `admin createuser --admin`.
        admin_group_name: String = "admin",
        /// Roles whose tokens may use /admin.
        admin_roles: Vec<String> = "service_role,supabase_admin",
        /// Role of new users.
        default_group_name: String = "",
        /// Claim iss, and base of the discovery documents; empty: none.
        issuer: Option<String> = "",
        /// Key id of the secret.
        key_id: Option<String> = "",
        /// JSON array of JWKs with their private parts, of which one has "sign" in `key_ops`; empty: the secret.
        keys: Option<SecretString> = "",
        /// Algorithms that are accepted; empty: those of the keys.
        valid_methods: Vec<String> = "",
    }
}

impl Jwt {
    pub(super) fn settle(&mut self, report: &mut Report) {
        /// RFC 7518 §3.2: no shorter than the hash.
        const SHORTEST: usize = 32;

        if self.exp.is_zero() {
            self.exp = Seconds::new(3600);
        }
        // GoTrue, too, goes back to the secret where the array is empty.
        let no_keys = |keys: &mut SecretString| keys.expose_secret().replace(' ', "") == "[]";
        self.keys.take_if(no_keys);
        if self.admin_group_name.is_empty() {
            "admin".clone_into(&mut self.admin_group_name);
        }
        if self.admin_roles.is_empty() {
            self.admin_roles = vec!["service_role".to_owned(), "supabase_admin".to_owned()];
        }
        if self.secret.expose_secret().len() < SHORTEST {
            report.warn(
                "GOTRUE_JWT_SECRET",
                format!(
                    "it is shorter than {SHORTEST} bytes: whoever has one token can try to guess it"
                ),
            );
        }
    }
}
