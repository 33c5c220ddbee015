//! Sees once to the indexes that lists of users are read from (`GOTRUE_INDEX_WORKER_..`).

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::db::indexes::{self, Outcome};

/// How long to wait for a database that is away.
const AWAY: Duration = Duration::from_secs(5);

/// Ends when they are there, or cannot be. An index that is being built when the server stops is finished by Postgres.
pub async fn run(app: App, shutdown: CancellationToken) {
    if !app.config.index_worker.is_on() {
        return;
    }
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = ensure(&app) => {}
    }
}

async fn ensure(app: &App) {
    let client = loop {
        match app.db.direct().await {
            Ok(client) => break client,
            Err(_) => away().await,
        }
    };
    match indexes::ensure(&client, app.config.index_worker.most_users()).await {
        Ok(Outcome::TooManyUsers) => tracing::info!(
            "indexes for lists of users are not built: there are more than GOTRUE_INDEX_WORKER_MAX_USERS_THRESHOLD"
        ),
        Ok(outcome) => tracing::debug!(?outcome, "indexes for lists of users"),
        Err(error) => {
            let error = anyhow::Error::from(error);
            tracing::warn!("indexes for lists of users are not built: {error:#}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the database is away")]
async fn away() {
    sleep(AWAY).await;
}
