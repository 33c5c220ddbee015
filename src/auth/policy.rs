//! Which passwords are good enough.

use crate::app::App;
use crate::crypto::password::{MAX_LENGTH, Rules, TOO_LONG, Weak, check_strength};
use crate::error::{Code, Details, Error, Result, unprocessable};
use crate::outside::pwned;

/// Refuses a password that is too long, too weak, or known to be stolen.
pub async fn check_password(app: &App, password: &str) -> Result<()> {
    match assess(app, password).await? {
        None => Ok(()),
        Some(weak) => Err(refusal(weak)),
    }
}

/// Says why a password is weak, if it is. Passwords that are too long are refused.
pub async fn assess(app: &App, password: &str) -> Result<Option<Weak>> {
    if password.len() > MAX_LENGTH {
        return Err(super::invalid(TOO_LONG));
    }
    let config = &app.config.password;
    let rules = Rules {
        min_length: config.min_length,
        required_characters: &config.required_characters,
    };
    let mut weak = check_strength(password, rules).err();
    if config.hibp_enabled && pwned::is_known(&app.http, config, password).await? {
        weak.get_or_insert_default().add_pwned();
    }
    Ok(weak)
}

fn refusal(weak: Weak) -> Error {
    unprocessable(Code::WeakPassword, weak.message)
        .with_details(Details::WeakPassword(weak.reasons))
}
