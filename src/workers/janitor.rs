//! Removes rows that nobody needs any more (`GOTRUE_DB_CLEANUP_ENABLED`). GoTrue does it a statement after each request
//! that has changed something; here no request is followed by it, and an idle server tidies up as well.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Config;
use crate::error::Result;
use crate::models::stale::Stale;

/// The pause after a round that left nothing.
const LOOK: Duration = Duration::from_mins(1);
/// After one that did, or failed, the pause is so many times as long as the round: Postgres has other things to do.
const REST: u32 = 3;

/// Tidies up until the server stops.
pub async fn run(app: App, shutdown: CancellationToken) {
    if !app.config.db.cleanup_enabled {
        return;
    }
    let tidy = async {
        loop {
            let since = Instant::now();
            let is_done = clean(&app).await.unwrap_or_else(|error| {
                tracing::warn!(?error, "stale rows are not removed");
                true
            });
            let rest = since.elapsed() * REST;
            #[expect(clippy::disallowed_methods, reason = "the next round is due then")]
            sleep(if is_done { rest.max(LOOK) } else { rest }).await;
        }
    };
    // A statement that is cut off has removed nothing.
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tidy => {}
    }
}

/// One round: some rows of each kind. Whether nothing is left to do.
pub async fn clean(app: &App) -> Result<bool> {
    let mut is_done = true;
    for stale in kinds(&app.config) {
        let mut conn = app.db.get().await?;
        is_done &= !stale.remove(&mut conn, app.clock.now()).await?;
    }
    Ok(is_done)
}

/// What is stale under these settings.
fn kinds(config: &Config) -> Vec<Stale> {
    let mut kinds = vec![
        Stale::RevokedTokens,
        Stale::TokensOfEndedSessions,
        Stale::EndedSessions,
        Stale::RelayStates,
        Stale::FlowStates,
        Stale::OauthClientStates,
        Stale::Challenges,
        Stale::UnverifiedFactors,
        Stale::PasskeyChallenges,
    ];
    if config.external.anonymous_users_enabled {
        kinds.push(Stale::AnonymousUsers);
    }
    let limit = |limit: Option<Duration>| limit.and_then(|limit| TimeDelta::from_std(limit).ok());
    if let Some(timebox) = limit(config.sessions.timebox) {
        kinds.push(Stale::OldSessions(timebox));
    }
    if let Some(timeout) = limit(config.sessions.inactivity_timeout) {
        kinds.extend([
            Stale::IdleSessions(timeout),
            Stale::IdleNewSessions(timeout),
        ]);
    }
    kinds
}
