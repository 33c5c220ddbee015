//! What runs beside requests.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;

mod hashes;
pub mod indexes;
pub mod janitor;
pub mod outbox;
mod templates;

/// Workers at work.
#[derive(Debug)]
pub struct Workers {
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

/// Starts all workers.
#[must_use]
pub fn start(app: &App) -> Workers {
    let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
    tasks.spawn(outbox::run(app.clone(), shutdown.clone()));
    tasks.spawn(hashes::run(app.clone(), shutdown.clone()));
    tasks.spawn(indexes::run(app.clone(), shutdown.clone()));
    tasks.spawn(janitor::run(app.clone(), shutdown.clone()));
    if app.config.mailer.template_reloading_enabled {
        tasks.spawn(templates::run(app.clone(), shutdown.clone()));
    }
    Workers { shutdown, tasks }
}

impl Workers {
    /// Lets them finish what they have begun. To be called when no request is under way any more: its mail is sent yet.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
