//! `truegate admin`: accounts by hand, as GoTrue's command line has them, and the mails that wait.

use std::sync::Arc;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::say;
use crate::app::App;
use crate::auth::admin::cli::{self as act, NewUser};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::error::Error;

mod outbox;

#[derive(Args)]
pub(super) struct Admin {
    #[command(subcommand)]
    command: Command,

    /// The audience that accounts belong to [without it: that of the settings]
    #[arg(short, long, global = true)]
    aud: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Make an account
    #[command(name = "createuser")]
    CreateUser(CreateUser),
    /// Remove an account and all that belongs to it
    #[command(name = "deleteuser")]
    DeleteUser {
        /// Its e-mail address or id
        #[arg(value_name = "EMAIL_OR_ID")]
        account: String,
    },
    /// Look after the mails that did not reach the relay
    #[command(subcommand)]
    Outbox(outbox::Command),
}

#[derive(Args)]
struct CreateUser {
    /// Its e-mail address
    email: String,
    /// Its password
    password: String,
    /// Its role
    role: Option<String>,
    /// Confirm the address at once
    #[arg(long)]
    confirm: bool,
    /// Give it the role of admins, unless one is named
    #[arg(long)]
    admin: bool,
}

impl Admin {
    pub(super) async fn run(self, config: Config) -> Result<()> {
        let app = App::build(config, Arc::new(SystemClock))?;
        let aud = self.aud;
        match self.command {
            Command::CreateUser(CreateUser {
                email,
                password,
                role,
                confirm,
                admin,
            }) => {
                let new = NewUser {
                    email,
                    password,
                    role,
                    confirm,
                    admin,
                    aud,
                };
                let user = act::create_user(&app, new)
                    .await
                    .map_err(Error::into_cause)?;
                say(&format!("made user {}", user.id))
            }
            Command::Outbox(command) => command.run(&app).await,
            Command::DeleteUser { account } => {
                let id = act::delete_user(&app, &account, aud.as_deref())
                    .await
                    .map_err(Error::into_cause)?;
                say(&format!("removed user {id}"))
            }
        }
    }
}
