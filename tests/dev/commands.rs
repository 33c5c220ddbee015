//! What people type besides `dev`: migrate, serve, health, admin, and what they are told when it does not work.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::database::Database;
use crate::support::port::Port;

/// Settings of a server on this database.
fn settings(database: &Database) -> Vec<(&'static str, String)> {
    vec![
        ("API_EXTERNAL_URL", "https://auth.example.com".into()),
        ("GOTRUE_SITE_URL", "https://app.example.com".into()),
        (
            "GOTRUE_JWT_SECRET",
            "a secret of thirty-two characters or more".into(),
        ),
        ("GOTRUE_API_HOST", "127.0.0.1".into()),
        ("DATABASE_URL", database.url.clone()),
    ]
}

fn truegate(settings: &[(&str, String)], arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_truegate"));
    // An empty directory: a `.env` of whoever runs the tests is not meant.
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).env_clear();
    command.envs(settings.iter().map(|(name, text)| (name, text)));
    command
        .args(arguments.split_whitespace())
        .stdin(Stdio::null());
    command
}

fn run(settings: &[(&str, String)], arguments: &str) -> Output {
    truegate(settings, arguments).output().unwrap()
}

/// Standard output of a command that succeeds.
fn told(settings: &[(&str, String)], arguments: &str) -> String {
    let output = run(settings, arguments);
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that fails.
fn refused(settings: &[(&str, String)], arguments: &str) -> String {
    let output = run(settings, arguments);
    assert!(!output.status.success(), "{arguments}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_set_up_by_hand() {
    let database = Database::empty().await;
    let settings = settings(&database);
    let first = told(&settings, "migrate");
    assert!(
        first.contains("applied ") && first.ends_with("The database schema is up to date.\n"),
        "{first}"
    );
    assert_eq!(
        told(&settings, "migrate"),
        "The database schema is up to date.\n"
    );

    let made = told(
        &settings,
        "admin createuser alice@example.com pass --confirm --admin -a team",
    );
    let id = made.strip_prefix("made user ").expect(&made).trim();
    let words = refused(&settings, "admin createuser alice@example.com pass -a team");
    assert_eq!(
        words,
        "truegate: A user with this email address has already been registered\n"
    );
    let row = database
        .connect()
        .await
        .query_one(
            "select role, aud, email_confirmed_at is not null from auth.users",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        (row.get(0), row.get(1), row.get(2)),
        ("admin", "team", true)
    );

    let words = refused(&settings, "admin deleteuser alice@example.com");
    assert!(
        words.contains("No user has the e-mail address or id"),
        "{words}"
    );
    assert_eq!(
        told(&settings, &format!("admin deleteuser {id} -a team")),
        format!("removed user {id}\n")
    );

    assert_eq!(told(&settings, "admin outbox list"), "no mail waits\n");
    assert!(told(&settings, "admin outbox retry").starts_with("no mail to be sent"));
    assert_eq!(told(&settings, "admin outbox drop"), "no mail dropped\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_command_it_migrates_serves_and_stops_when_told() {
    let database = Database::empty().await;
    let mut settings = settings(&database);
    let free = Port::free();
    settings.push(("GOTRUE_API_PORT", free.port.to_string()));
    assert!(refused(&settings, "health").contains("nobody listens"));

    let start = Instant::now();
    let mut server = truegate(&settings, "")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = BufReader::new(server.stderr.take().unwrap());
    let mut log = log.lines().map(|line| {
        serde_json::from_str::<serde_json::Value>(&line.unwrap()).expect("lines of JSON")
    });
    let listens = log
        .find(|line| line["msg"].as_str().unwrap().contains("listens"))
        .expect("it listens");
    assert_eq!(
        (&listens["level"], listens["time"].is_string()),
        (&"info".into(), true)
    );
    println!("listens after {:?} on an empty database", start.elapsed());
    let mut healthy = false;
    while !healthy && start.elapsed() < Duration::from_mins(1) {
        healthy = run(&settings, "health").status.success();
    }
    assert!(healthy);

    kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    assert!(server.wait().unwrap().success());
    assert!(log.any(|line| line["msg"] == "stopping"));
    assert!(!run(&settings, "health").status.success());

    // Nothing to migrate any more.
    let start = Instant::now();
    let mut server = truegate(&settings, "serve")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while !run(&settings, "health").status.success() {
        assert!(start.elapsed() < Duration::from_mins(1));
    }
    println!("healthy after {:?}, as seen by `health`", start.elapsed());
    kill_process(Pid::from_child(&server), Signal::INT).unwrap();
    assert!(server.wait().unwrap().success());
}

#[test]
fn mistakes_are_told_all_at_once_with_what_to_do() {
    let words = refused(&[], "serve");
    for name in [
        "GOTRUE_SITE_URL",
        "API_EXTERNAL_URL",
        "DATABASE_URL",
        "GOTRUE_JWT_SECRET",
        ".env.example",
        "truegate dev",
    ] {
        assert!(words.contains(name), "{name} is missing in: {words}");
    }
    let words = refused(&[], "-c there-is-no-such-file.env serve");
    assert!(words.contains("there-is-no-such-file.env"), "{words}");
    let words = refused(&[], "sevre");
    assert!(words.contains("serve"), "{words}");

    let unreachable = [
        ("API_EXTERNAL_URL", "https://auth.example.com".to_owned()),
        ("GOTRUE_SITE_URL", "https://app.example.com".to_owned()),
        (
            "GOTRUE_JWT_SECRET",
            "a secret of thirty-two characters or more".to_owned(),
        ),
        (
            "DATABASE_URL",
            "postgres://me:hush@127.0.0.1:1/none".to_owned(),
        ),
    ];
    for command in ["migrate", "admin outbox list", ""] {
        let words = refused(&unreachable, command);
        assert!(
            words.contains("database") && !words.contains("hush"),
            "{command}: {words}"
        );
    }
}

#[test]
fn help_and_version_need_nothing() {
    assert_eq!(
        told(&[], "version"),
        format!("{}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = told(&[], "--help");
    for command in [
        "dev",
        "serve",
        "migrate",
        "admin",
        "health",
        "version",
        "--config",
        "--config-dir",
    ] {
        assert!(help.contains(command), "{help}");
    }
}
