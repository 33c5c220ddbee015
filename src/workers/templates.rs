//! Loads the operator's mail templates before they are too old (`GOTRUE_MAILER_TEMPLATE_RELOADING_ENABLED`).

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// Reloads until the server stops, as often as GoTrue does (`mailer/templatemailer`): four times in an interval
/// between attempts, at most once a second.
pub(super) async fn run(app: App, shutdown: CancellationToken) {
    let pause = (app.config.mailer.template_retry_interval / 4).max(Duration::from_secs(1));
    while !shutdown.is_cancelled() {
        app.templates.reload(app.clock.now()).await;
        #[expect(clippy::disallowed_methods, reason = "the next look is due then")]
        let pause = sleep(pause);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = pause => {}
        }
    }
}
