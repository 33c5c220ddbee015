//! `truegate serve`: the API, until told to stop.

use std::sync::Arc;

use anyhow::{Result, bail};

use super::{migrate, signals};
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::db::migrations::{self, SchemaState};
use crate::dev::swagger;
use crate::error::Error;
use crate::faces::gotrue;
use crate::server::{self, Settings};
use crate::workers;

/// What GoTrue does without a command.
pub(super) async fn migrate_and_serve(config: Config) -> Result<()> {
    let report = migrate::apply(&config).await?;
    for step in &report.applied {
        tracing::info!(%step, "migration applied");
    }
    tracing::info!("{}", report.state);
    run(App::build(config, Arc::new(SystemClock))?).await
}

/// Serves a database that has been migrated.
pub(super) async fn serve(config: Config) -> Result<()> {
    let app = App::build(config, Arc::new(SystemClock))?;
    check_schema(&app).await?;
    run(app).await
}

/// Refuses a schema that cannot be served. A database that is away may come back: that is no reason not to start.
async fn check_schema(app: &App) -> Result<()> {
    let state = match app.db.direct().await {
        Ok(client) => migrations::check(&client, &app.config.db.db_namespace)
            .await
            .map_err(Error::into_cause)?,
        Err(error) => {
            let cause = error.into_cause();
            tracing::warn!("the database is away: {cause:#}");
            return Ok(());
        }
    };
    match state {
        SchemaState::UpToDate => {}
        SchemaState::Newer(_) => tracing::warn!("{state}"),
        SchemaState::Behind(_) | SchemaState::Incompatible { .. } => bail!("{state}"),
    }
    Ok(())
}

/// Serves until a signal comes, then lets requests under way end.
async fn run(app: App) -> Result<()> {
    let stop = signals::stop()?;
    let listener = server::listen(&app.config.api.host, app.config.api.port).await?;
    let address = listener.local_addr()?;
    let mut face = gotrue::router(app.clone());
    if app.config.truegate.swagger_enabled {
        face = face.merge(swagger::router());
    }
    let service = server::stack(&Settings::new(&app.config), face);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        "Truegate listens on {address}"
    );
    let workers = workers::start(&app);
    server::run(service, listener, stop.cancelled_owned()).await;
    workers.stop().await;
    app.db.close();
    Ok(())
}
