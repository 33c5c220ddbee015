//! `truegate serve`: the API, until told to stop.

use std::sync::Arc;

use anyhow::Result;

use super::{migrate, signals};
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::dev::swagger;
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
    serve(config).await
}

/// Serves until a signal comes, then lets requests under way end.
pub(super) async fn serve(config: Config) -> Result<()> {
    let stop = signals::stop()?;
    let listener = server::listen(&config.api.host, config.api.port).await?;
    let address = listener.local_addr()?;
    let app = App::build(config, Arc::new(SystemClock))?;
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
