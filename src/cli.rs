//! The command line: what people type, and what they are told when it does not work.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::clock::SystemClock;
use crate::config::{Config, Environment, Sources};
use crate::dev;

mod admin;
mod explain;
mod health;
mod migrate;
mod serve;
mod signals;
mod telemetry;

const ABOUT: &str = "Users, sign-in and tokens for your application: an API that clients of GoTrue (Supabase Auth) already speak, \
                     on your own Postgres.";

const FIRST_STEPS: &str = "\
First steps:
  truegate dev        try it: brings its own database and mail inbox, needs no settings
  truegate            serve it: settings come from the environment or a file .env

Every setting is explained in .env.example. Existing GoTrue settings work unchanged.";

#[derive(Parser)]
#[command(name = "truegate", version, about = ABOUT, after_help = FIRST_STEPS)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    sources: SourceArgs,
}

#[derive(Args)]
struct SourceArgs {
    /// Read settings from this file; they win over the environment [without it: .env, if there is one]
    #[arg(short, long = "config", global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Read settings from all *.env and *.json files in this directory; they win over all others
    #[arg(short = 'd', long = "config-dir", global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Try it out: with a database, a mail inbox and keys of its own
    Dev(dev::Options),
    /// Serve the API (without a command: bring the database up to date first)
    Serve,
    /// Bring the database up to date, and say what was done
    Migrate,
    /// Do what otherwise only the API can
    Admin(admin::Admin),
    /// Ask the server that runs here whether it is well: exit status 0 or 1
    Health,
    /// Print the version
    Version,
}

/// Runs what the arguments ask for.
#[must_use]
pub fn main() -> ExitCode {
    // Two crates bring a TLS provider each; the choice is made before the first connection.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

impl Cli {
    fn run(self) -> Result<()> {
        match self.command {
            None => server()?.block_on(serve::migrate_and_serve(self.sources.load_for_service()?)),
            Some(Command::Serve) => {
                server()?.block_on(serve::serve(self.sources.load_for_service()?))
            }
            Some(Command::Dev(options)) => {
                let environment = self.sources.read()?;
                server()?.block_on(async {
                    let stop = signals::stop()?;
                    dev::run(options, environment, stop, telemetry::init_for_people).await
                })
            }
            Some(Command::Migrate) => single()?.block_on(migrate::run(&self.sources.load()?)),
            Some(Command::Admin(admin)) => single()?.block_on(admin.run(self.sources.load()?)),
            Some(Command::Health) => health::ask(&self.sources.load()?.api),
            Some(Command::Version) => say(env!("CARGO_PKG_VERSION")),
        }
    }
}

impl SourceArgs {
    fn read(&self) -> Result<Environment> {
        Ok(Environment::read(&Sources::of_process(
            self.config.clone(),
            self.dir.clone(),
        ))?)
    }

    fn load(&self) -> Result<Config> {
        let (config, warnings) = Config::from_environment(&self.read()?)?;
        for warning in warnings {
            eprintln!("warning: {warning}");
        }
        Ok(config)
    }

    /// Starts the log as well, and tells it the warnings.
    fn load_for_service(&self) -> Result<Config> {
        let (config, warnings) = Config::from_environment(&self.read()?)?;
        telemetry::init(&config.log, Arc::new(SystemClock))?;
        for warning in warnings {
            tracing::warn!(setting = warning.subject, "{}", warning.what);
        }
        Ok(config)
    }
}

/// Half of the cores serve requests, or as many as `TOKIO_WORKER_THREADS` says: the others are for hashing and for
/// Postgres, and a request that stays on one core costs less than one that is passed around.
fn server() -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        builder.worker_threads(cores.div_ceil(2));
    }
    builder.enable_all().build().context("starting the runtime")
}

fn single() -> Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}

/// Prints a line; nobody reading it is no reason to fail.
fn say(line: &str) -> Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// To a person, or into the log of a service.
fn report(error: &anyhow::Error) {
    if tracing::dispatcher::has_been_set() && !io::stderr().is_terminal() {
        tracing::error!("{error:#}");
        return;
    }
    eprintln!("truegate: {error:#}");
    if let Some(hint) = explain::next_step(error) {
        eprintln!("\n{hint}");
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_declared_well() {
        Cli::command().debug_assert();
    }

    #[test]
    fn reads_what_gotrues_command_line_reads() {
        for line in [
            "",
            "serve",
            "migrate",
            "version",
            "-c auth.env serve",
            "serve -c auth.env -d conf.d",
            "--config auth.env --config-dir conf.d",
            "admin createuser a@example.com secret",
            "admin createuser a@example.com secret role --confirm --admin -a aud",
            "admin --aud aud createuser a@example.com secret",
            "admin deleteuser a@example.com -a aud",
        ] {
            let arguments = ["truegate"].into_iter().chain(line.split_whitespace());
            if let Err(error) = Cli::try_parse_from(arguments) {
                panic!("{line}: {error}");
            }
        }
    }
}
