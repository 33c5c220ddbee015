//! The one screen that `dev` prints: where everything is, and the keys.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::crypto::keys::Keys;
use crate::error::Result;

/// The last second of 2099. Fixed, as all else in the keys, so that every start prints the same ones.
const FAR: i64 = 4_102_444_799;

/// What supabase-js takes as its key, of the form that Supabase's have.
#[derive(Serialize)]
struct ApiKey<'a> {
    iss: &'a str,
    role: &'a str,
    exp: i64,
}

/// Makes the API key of a role.
pub fn api_key(keys: &Keys, role: &str) -> Result<String> {
    keys.sign(&ApiKey {
        iss: "truegate-dev",
        role,
        exp: FAR,
    })
}

/// What there is to know about a running `dev`.
#[derive(Debug)]
pub struct Screen {
    /// The API's port.
    pub api_port: u16,
    /// The inbox's port.
    pub inbox_port: u16,
    /// Key of browsers and apps.
    pub anon_key: String,
    /// Key of back ends.
    pub service_role_key: String,
    /// Where the data lies.
    pub data_dir: PathBuf,
    /// URL of the database, for psql.
    pub database_url: String,
}

impl fmt::Display for Screen {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            api_port,
            inbox_port,
            anon_key,
            service_role_key,
            data_dir,
            database_url,
        } = self;
        let version = env!("CARGO_PKG_VERSION");
        let data_dir = data_dir.display();
        write!(
            out,
            "
  Truegate {version} is running.

  API           http://localhost:{api_port}   (supabase-js finds it there, too)
  Try it out    http://localhost:{api_port}/swagger/
  Inbox         http://localhost:{inbox_port}   every mail and text message lands here, none goes out

  anon key, for browsers and apps:
{anon_key}

  service_role key, for your back end alone (it may do everything):
{service_role_key}

  Data          {data_dir}   (delete it to start afresh)
  Database      psql '{database_url}'

  Stop with Ctrl-C. Data and keys stay.

"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};

    #[test]
    fn keys_are_the_same_at_every_start_and_verify() {
        let keys = || {
            Keys::from_config("0123456789012345678901234567890123456789", "", None, &[]).unwrap()
        };
        let key = api_key(&keys(), "service_role").unwrap();
        assert_eq!(key, api_key(&keys(), "service_role").unwrap());
        let claims = keys().verify(&key, SystemClock.now()).unwrap();
        assert_eq!(claims.role, "service_role");
    }
}
