//! Looks once at how the stored passwords are hashed, so that from the first sign-in on a failing one takes the time
//! of the dearest.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::password;

/// How long to wait for a database that is away.
const AWAY: Duration = Duration::from_secs(5);

/// Ends when it has looked.
pub(super) async fn run(app: App, shutdown: CancellationToken) {
    while password::learn_hashes(&app).await.is_err() {
        #[expect(clippy::disallowed_methods, reason = "the database is away")]
        let pause = sleep(AWAY);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = pause => {}
        }
    }
}
