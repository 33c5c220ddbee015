//! `truegate migrate`: brings the database up to date and says what it did.

use anyhow::Result;

use super::say;
use crate::app::manners;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::db::Pool;
use crate::db::migrations::{self, Patience, Report};
use crate::error::Error;
use crate::outside::Http;
use crate::outside::templates::Templates;

/// Migrates, and prints what was done, and what would be wrong with the mails of these settings.
pub(super) async fn run(config: &Config) -> Result<()> {
    say(&apply(config).await?.to_string())?;
    let templates = Templates::new(config, Http::new(manners(config)));
    for problem in templates.check(SystemClock.now()).await {
        say(&format!("warning: {problem}"))?;
    }
    Ok(())
}

/// Migrates the configured database.
pub(super) async fn apply(config: &Config) -> Result<Report> {
    let mut client = Pool::new(config)?
        .direct()
        .await
        .map_err(Error::into_cause)?;
    let migrated =
        migrations::migrate(&mut client, &config.db.db_namespace, &Patience::default()).await;
    migrated.map_err(Error::into_cause)
}
