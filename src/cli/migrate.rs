//! `truegate migrate`: brings the database up to date and says what it did.

use anyhow::Result;

use super::say;
use crate::config::Config;
use crate::db::Pool;
use crate::db::migrations::{self, Patience, Report};
use crate::error::Error;

/// Migrates, and prints what was done.
pub(super) async fn run(config: &Config) -> Result<()> {
    say(&apply(config).await?.to_string())
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
