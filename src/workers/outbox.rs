//! Delivers what acts have written into the outbox: at once after their commit, again and later where that failed.
//!
//! A mail is claimed by moving its next attempt behind a lease, in a statement that skips what others claim: replicas
//! share the work, and a mail whose holder died is somebody else's after the lease. Each process delivers what its
//! own acts wrote; what other replicas left behind is looked for once a minute, so that an idle server rests.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::App;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Result, UNEXPECTED_FAILURE, failed};
use crate::models::outbox::Outbox;
use crate::outside::mail::{Failure, Message, Sender, Sink};

/// How long a mail is its holder's: longer than the longest dialogue with a relay.
pub const LEASE: Duration = Duration::from_mins(10);
/// How many mails are under way at the same time: relays limit their clients, too.
const PARALLEL: usize = 4;
/// How often somebody looks for what other replicas left behind.
const LOOK: Duration = Duration::from_mins(1);
/// The shortest pause between two looks: another replica may hold a due mail's row at this moment.
const BREATH: Duration = Duration::from_millis(200);
/// How long to wait for a database that is away.
const AWAY: Duration = Duration::from_secs(5);
/// How long mails may take that are due when the server stops.
const DRAIN: Duration = Duration::from_secs(20);
/// Until the second attempt; each further pause is three times as long ..
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// .. up to this.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Delivers mails.
pub struct Mailer {
    sender: Sender,
    work: Notify,
}

impl Mailer {
    /// Through the relay of the settings. Opens no connection; the error is for the operator's terminal.
    pub fn from_config(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            sender: Sender::from_config(config)?,
            work: Notify::new(),
        })
    }

    /// Into memory, for tests; nowhere where the settings name no relay.
    pub fn in_memory(config: &Config, sink: Arc<dyn Sink>) -> anyhow::Result<Self> {
        Ok(Self {
            sender: Sender::in_memory(config, sink)?,
            work: Notify::new(),
        })
    }

    /// Whether there is no relay, so that nothing need be queued.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.sender.is_off()
    }

    /// From when on workers may take a mail that is queued now: where its act waits for it, it is the act's own.
    #[must_use]
    pub fn due(&self, config: &Config, now: Timestamp) -> Timestamp {
        if waits(config) { now + LEASE } else { now }
    }

    /// Tells the worker that something was committed.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Delivers what an act has queued and committed. The answer does not wait for it, unless settings say so; then
    /// the first failure is the act's, and the mail is tried again all the same.
    pub async fn deliver(&self, app: &App, mails: Vec<Uuid>) -> Result<()> {
        if !waits(&app.config) {
            self.wake();
            return Ok(());
        }
        let app = app.clone();
        // On its own: whose request ends early must not leave the relay with half a mail.
        let delivery = tokio::spawn(async move {
            for mail in mails {
                let mut conn = app.db.get().await?;
                let claimed = Outbox::claim(&mut conn, mail, app.clock.now() + LEASE).await?;
                drop(conn);
                if let Some(mail) = claimed {
                    let sent = deliver(&app, mail).await?;
                    sent.map_err(|failure| failed(UNEXPECTED_FAILURE, anyhow!(failure.reason)))?;
                }
            }
            Ok(())
        });
        delivery
            .await
            .map_err(|error| failed(UNEXPECTED_FAILURE, error))?
    }

    /// Delivers all that is due, and returns when that is done. How many mails were delivered.
    pub async fn deliver_due(&self, app: &App) -> Result<usize> {
        let mut delivered = 0;
        loop {
            let mut conn = app.db.get().await?;
            let claimed = claim(app, &mut conn, PARALLEL).await?;
            drop(conn);
            if claimed.is_empty() {
                return Ok(delivered);
            }
            for outcome in join_all(claimed.into_iter().map(|mail| deliver(app, mail))).await {
                delivered += usize::from(outcome?.is_ok());
            }
        }
    }
}

fn waits(config: &Config) -> bool {
    config.truegate.mail_wait && !config.mailer.email_background_sending
}

/// Delivers until `shutdown`, then what is due by then, for up to twenty seconds.
pub async fn run(app: App, shutdown: CancellationToken) {
    if app.mailer.is_off() {
        return;
    }
    let mut under_way = JoinSet::new();
    while !shutdown.is_cancelled() {
        let pause = begin_due(&app, &mut under_way).await;
        #[expect(clippy::disallowed_methods, reason = "the next mail is due then")]
        let pause = sleep(pause);
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = app.mailer.work.notified() => {}
            Some(_) = under_way.join_next() => {}
            () = pause => {}
        }
    }
    let drained = timeout(DRAIN, async {
        loop {
            begin_due(&app, &mut under_way).await;
            if under_way.join_next().await.is_none() {
                break;
            }
        }
        app.mailer.sender.close().await;
    });
    if drained.await.is_err() {
        tracing::warn!(
            mails = under_way.len(),
            "stopped with mails under way; they are sent again after their lease"
        );
    }
}

/// Begins with what is due, as far as hands are free. After how long it makes sense to look again, if nothing happens.
async fn begin_due(app: &App, under_way: &mut JoinSet<()>) -> Duration {
    let free = PARALLEL.saturating_sub(under_way.len());
    if free == 0 {
        return LOOK;
    }
    let begun: Result<Duration> = async {
        let mut conn = app.db.get().await?;
        let claimed = claim(app, &mut conn, free).await?;
        let all_busy = claimed.len() == free;
        for mail in claimed {
            let app = app.clone();
            under_way.spawn(async move {
                if let Err(error) = deliver(&app, mail).await {
                    tracing::error!(
                        ?error,
                        "what became of a mail could not be noted; it may be sent twice"
                    );
                }
            });
        }
        if all_busy {
            return Ok(LOOK);
        }
        let next = Outbox::next_due(&mut conn).await?;
        let pause = next.map_or(LOOK, |next| {
            (next - app.clock.now()).to_std().unwrap_or_default()
        });
        Ok(pause.clamp(BREATH, LOOK))
    }
    .await;
    begun.unwrap_or_else(|error| {
        tracing::warn!(?error, "the outbox cannot be read");
        AWAY
    })
}

async fn claim(app: &App, conn: &mut Conn, limit: usize) -> Result<Vec<Outbox>> {
    let now = app.clock.now();
    Ok(Outbox::claim_due(conn, limit, now, now + LEASE).await?)
}

/// Sends a claimed mail, and notes what became of it.
async fn deliver(app: &App, mail: Outbox) -> Result<Result<(), Failure>> {
    let (id, kind, attempts) = (mail.id, mail.kind.clone(), mail.attempts);
    let now = app.clock.now();
    let sent = if is_stale(&app.config, &mail, now) {
        Err(Failure {
            reason: "its code has expired meanwhile".to_owned(),
            permanent: true,
        })
    } else {
        app.mailer.sender.send(&message(&mail), now).await
    };
    let now = app.clock.now();
    let mut conn = app.db.get().await?;
    match &sent {
        Ok(()) => mail.delivered(&mut conn).await?,
        Err(Failure { reason, permanent }) => {
            let last = i64::from(attempts) >= i64::from(app.config.truegate.mail_max_attempts);
            if *permanent || last {
                tracing::error!(mail = %id, kind, attempts, reason, "mail given up");
                mail.give_up(&mut conn, reason, now).await?;
            } else {
                tracing::warn!(mail = %id, kind, attempts, reason, "mail not sent yet; it is tried again");
                mail.postpone(&mut conn, reason, now + pause_after(attempts))
                    .await?;
            }
        }
    }
    Ok(sent)
}

/// Codes do not outlive the relay's absence, notices do.
fn is_stale(config: &Config, mail: &Outbox, now: Timestamp) -> bool {
    !mail.kind.ends_with("_notification") && mail.created_at + *config.mailer.otp_exp < now
}

fn message(mail: &Outbox) -> Message {
    Message {
        id: mail.id,
        kind: mail.kind.clone(),
        to: mail.recipient.clone(),
        subject: mail.subject.clone(),
        html: mail.html.clone(),
        text: mail.plain.clone(),
    }
}

fn pause_after(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or_default();
    FIRST_PAUSE
        .saturating_mul(3_u32.saturating_pow(doublings))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_an_hour() {
        let pauses: Vec<_> = (1..=8)
            .map(|attempts| pause_after(attempts).as_secs())
            .collect();
        assert_eq!(pauses, [10, 30, 90, 270, 810, 2430, 3600, 3600]);
        assert_eq!(pause_after(i32::MAX), LONGEST_PAUSE);
    }
}
