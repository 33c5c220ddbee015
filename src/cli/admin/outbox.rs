//! `truegate admin outbox`: the mails that did not reach the relay.

use anyhow::Result;
use clap::Subcommand;
use uuid::Uuid;

use crate::app::App;
use crate::cli::say;
use crate::clock::Timestamp;
use crate::error::{Error, Result as ActResult};
use crate::models::outbox::Waiting;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show the mails that wait or were given up, and why
    List,
    /// Send a mail now, or all that wait for their next attempt
    Retry {
        /// Which mail, as the list names it
        id: Option<Uuid>,
    },
    /// Throw away a mail, or all that were given up
    Drop {
        /// Which mail, as the list names it
        id: Option<Uuid>,
    },
}

impl Command {
    pub(super) async fn run(self, app: &App) -> Result<()> {
        let text = self.act(app).await.map_err(Error::into_cause)?;
        say(&text)
    }

    async fn act(self, app: &App) -> ActResult<String> {
        let mut conn = app.db.get().await?;
        Ok(match self {
            Self::List => table(&Waiting::all(&mut conn).await?),
            Self::Retry { id } => {
                let count = Waiting::retry(&mut conn, id, app.clock.now()).await?;
                format!(
                    "{}: a running server sends within a minute",
                    mails(count, "to be sent")
                )
            }
            Self::Drop { id } => mails(Waiting::drop(&mut conn, id).await?, "dropped"),
        })
    }
}

fn mails(count: usize, done: &str) -> String {
    match count {
        0 => format!("no mail {done}"),
        1 => format!("one mail {done}"),
        count => format!("{count} mails {done}"),
    }
}

fn table(mails: &[Waiting]) -> String {
    if mails.is_empty() {
        return "no mail waits".into();
    }
    let time = |time: Timestamp| time.format("%Y-%m-%d %H:%M:%SZ");
    let row = |mail: &Waiting| {
        let Waiting {
            id,
            kind,
            recipient,
            created_at,
            attempts,
            next_attempt_at,
            last_error,
            given_up_at,
        } = mail;
        let state = match given_up_at {
            Some(at) => format!("given up {} after {attempts} attempts", time(*at)),
            None if *attempts == 0 => "not tried yet".into(),
            None => format!("attempt {} at {}", attempts + 1, time(*next_attempt_at)),
        };
        let error = last_error
            .as_ref()
            .map_or_else(String::new, |error| format!("\n    {}", error.trim()));
        format!(
            "{id}  {}  {kind} to {recipient}: {state}{error}",
            time(*created_at)
        )
    };
    mails.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mail_tells_how_it_stands() {
        let at = |minute: i64| Timestamp::from_timestamp(minute * 60, 0).unwrap();
        let mail = |attempts, last_error: Option<&str>, given_up_at| Waiting {
            id: Uuid::nil(),
            kind: "recovery".into(),
            recipient: "a@example.com".into(),
            created_at: at(0),
            attempts,
            next_attempt_at: at(1),
            last_error: last_error.map(Into::into),
            given_up_at,
        };
        let mails = [
            mail(0, None, None),
            mail(1, Some("refused\n"), None),
            mail(10, Some("550 no such user"), Some(at(2))),
        ];
        assert_eq!(
            table(&mails),
            "\
00000000-0000-0000-0000-000000000000  1970-01-01 00:00:00Z  recovery to a@example.com: not tried yet
00000000-0000-0000-0000-000000000000  1970-01-01 00:00:00Z  recovery to a@example.com: attempt 2 at 1970-01-01 00:01:00Z
    refused
00000000-0000-0000-0000-000000000000  1970-01-01 00:00:00Z  recovery to a@example.com: given up 1970-01-01 00:02:00Z after 10 attempts
    550 no such user"
        );
    }
}
