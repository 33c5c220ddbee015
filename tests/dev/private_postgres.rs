//! The private Postgres: starts, stops, survives the death of its owner, disturbs nobody.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process, test_kill_process};
use tempfile::TempDir;
use truegate::db::private::{InUse, Options, PrivatePostgres};

use crate::support::port::Port;

/// Tells [`hold`] where.
const HOLD_DIR: &str = "TRUEGATE_TEST_HOLD_DIR";

/// A directory that the account which runs Postgres for root can enter as well.
pub fn directory() -> TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

/// The same with a cluster in it: making one takes most of a second, copying it does not.
pub fn directory_with_cluster() -> TempDir {
    static MADE: LazyLock<TempDir> = LazyLock::new(|| {
        let dir = directory();
        PrivatePostgres::start(&fast(dir.path())).unwrap();
        dir
    });
    let dir = directory();
    let copied = Command::new("cp")
        .arg("-a")
        .args([MADE.path().join("postgres"), dir.path().into()])
        .status();
    assert!(copied.unwrap().success());
    dir
}

fn fast(dir: &Path) -> Options {
    Options {
        durable: false,
        max_connections: 10,
        ..Options::new(dir)
    }
}

async fn ask(postgres: &PrivatePostgres, sql: &str) -> String {
    let (client, connection) =
        tokio_postgres::connect(&postgres.url("postgres"), tokio_postgres::NoTls)
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let answer = client.simple_query(sql).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    answer
        .iter()
        .find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .unwrap_or_default()
}

pub fn postmaster(dir: &Path) -> Option<Pid> {
    let file = fs::read_to_string(dir.join("postgres/postmaster.pid")).ok()?;
    Pid::from_raw(file.lines().next()?.parse().ok()?)
}

fn parent(process: Pid) -> Pid {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).unwrap();
    let parent = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(1)
        .unwrap();
    Pid::from_raw(parent.parse().unwrap()).unwrap()
}

fn lives(process: Pid) -> bool {
    test_kill_process(process).is_ok()
}

pub fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(
            start.elapsed() < Duration::from_mins(1),
            "{what}: not within a minute"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Not a test: another process that holds a Postgres until its standard input ends, for the tests to kill.
#[test]
#[ignore = "run by other tests"]
fn hold() {
    let dir = std::env::var_os(HOLD_DIR).expect("the directory to hold");
    let postgres = PrivatePostgres::start(&fast(dir.as_ref())).unwrap();
    println!("\nready");
    std::io::read_to_string(std::io::stdin()).unwrap();
    drop(postgres);
}

fn another_process(dir: &Path, user: Option<u32>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--ignored",
        "--exact",
        "--nocapture",
        "dev::private_postgres::hold",
    ]);
    command
        .env(HOLD_DIR, dir)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    let mut child = command.spawn().unwrap();
    let mut lines =
        std::io::BufRead::lines(std::io::BufReader::new(child.stdout.as_mut().unwrap()));
    assert!(
        lines.any(|line| line.unwrap() == "ready"),
        "the other process failed"
    );
    child
}

#[tokio::test]
async fn starts_keeps_its_data_and_leaves_nothing_running() {
    let dir = directory();
    let postgres = PrivatePostgres::start(&Options::new(dir.path())).unwrap();
    ask(&postgres, "create table kept as select 'here' as word").await;
    let process = postmaster(dir.path()).unwrap();
    postgres.stop().unwrap();
    assert!(!lives(process));
    assert!(
        !dir.path().join("postgres/postmaster.pid").exists(),
        "stopped in good order"
    );

    // What a power cut leaves: the file of a dead postmaster, whose process id is somebody else's by now.
    let stale = format!(
        "{}\n{}\n1\n5432\n/tmp\n\n\nready\n",
        std::process::id(),
        dir.path().join("postgres").display()
    );
    fs::write(dir.path().join("postgres/postmaster.pid"), stale).unwrap();
    let postgres = PrivatePostgres::start(&Options::new(dir.path())).unwrap();
    assert_eq!(ask(&postgres, "select word from kept").await, "here");
    assert_eq!(ask(&postgres, "show fsync").await, "on");
    assert_eq!(ask(&postgres, "show server_encoding").await, "UTF8");
    assert_eq!(ask(&postgres, "show listen_addresses").await, "");
    let process = postmaster(dir.path()).unwrap();
    drop(postgres);
    assert!(!lives(process), "dropping stops it as well");
}

#[tokio::test]
async fn two_run_side_by_side_but_not_in_one_directory() {
    let dirs = [directory_with_cluster(), directory_with_cluster()];
    let [one, two] = dirs.each_ref().map(|dir| {
        let path = dir.path().to_owned();
        tokio::task::spawn_blocking(move || PrivatePostgres::start(&fast(&path)).unwrap())
    });
    let (one, two) = (one.await.unwrap(), two.await.unwrap());

    let refused = PrivatePostgres::start(&fast(dirs[0].path())).unwrap_err();
    assert!(refused.is::<InUse>(), "{refused:#}");
    assert!(
        refused
            .to_string()
            .contains(&format!("(process {})", std::process::id())),
        "{refused}"
    );

    ask(&one, "create database mine").await;
    drop(one);
    assert_eq!(
        ask(
            &two,
            "select count(*) from pg_database where datname = 'mine'"
        )
        .await,
        "0"
    );
    assert_eq!(ask(&two, "show fsync").await, "off");
}

#[tokio::test]
async fn a_killed_owner_leaves_no_process_and_loses_nothing() {
    let dir = directory_with_cluster();
    let mut owner = another_process(dir.path(), None);
    let process = postmaster(dir.path()).unwrap();
    let refused = PrivatePostgres::start(&fast(dir.path())).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains(&format!("(process {})", owner.id())),
        "{refused}"
    );
    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until("Postgres follows its owner", || !lives(process));
    let postgres = PrivatePostgres::start(&fast(dir.path())).unwrap();
    ask(&postgres, "create table kept as select 1").await;
    drop(postgres);

    // Now the leash dies as well, so that Postgres lives on alone: the next start stops it.
    let mut owner = another_process(dir.path(), None);
    let orphan = postmaster(dir.path()).unwrap();
    let leash = parent(orphan);
    let watchers = fs::read_to_string(format!(
        "/proc/{0}/task/{0}/children",
        leash.as_raw_nonzero()
    ))
    .unwrap();
    for process in watchers
        .split_whitespace()
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
    {
        if process != orphan {
            kill_process(process, Signal::KILL).unwrap();
        }
    }
    kill_process(leash, Signal::KILL).unwrap();
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(lives(orphan));
    let postgres = PrivatePostgres::start(&fast(dir.path())).unwrap();
    assert_ne!(postmaster(dir.path()), Some(orphan));
    assert_eq!(ask(&postgres, "select count(*) from kept").await, "1");
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_gets_a_short_one_elsewhere() {
    let dir = directory();
    let long = dir.path().join("a long name, with a comma".repeat(5));
    let postgres = PrivatePostgres::start(&fast(&long)).unwrap();
    assert_eq!(ask(&postgres, "select 1").await, "1");
    let socket_dir = ask(&postgres, "show unix_socket_directories").await;
    assert!(socket_dir.starts_with("/tmp/truegate-"), "{socket_dir}");
    assert_eq!(
        fs::metadata(&socket_dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    drop(postgres);
    assert!(!Path::new(&socket_dir).exists());
}

#[tokio::test]
async fn listens_on_tcp_when_asked() {
    let dir = directory_with_cluster();
    let free = Port::free();
    let port = free.port;
    let options = Options {
        tcp_port: Some(port),
        settings: vec!["log_statement=all".into()],
        ..fast(dir.path())
    };
    let postgres = PrivatePostgres::start(&options).unwrap();
    assert_eq!(ask(&postgres, "show log_statement").await, "all");
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
}

#[test]
fn says_what_to_do_when_it_cannot_start() {
    let dir = directory();
    fs::create_dir(dir.path().join("postgres")).unwrap();
    fs::write(dir.path().join("postgres/PG_VERSION"), "8\n").unwrap();
    if geteuid().is_root() {
        let refused = PrivatePostgres::start(&fast(dir.path()))
            .unwrap_err()
            .to_string();
        assert!(refused.contains("chown -R"), "{refused}");
        std::os::unix::fs::chown(dir.path().join("postgres"), Some(65534), Some(65534)).unwrap();

        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).unwrap();
        let refused = PrivatePostgres::start(&fast(dir.path()))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains(&format!("chmod o+x {}", dir.path().display())),
            "{refused}"
        );
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    }
    let refused = PrivatePostgres::start(&fast(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("was made by PostgreSQL 8") && refused.contains("install"),
        "{refused}"
    );

    let options = Options {
        settings: vec!["shared_buffers=nonsense".into()],
        ..fast(&dir.path().join("new"))
    };
    let refused = format!("{:#}", PrivatePostgres::start(&options).unwrap_err());
    assert!(
        refused.contains("invalid value for parameter \"shared_buffers\""),
        "{refused}"
    );
}

#[test]
fn a_normal_user_needs_nobodys_help() {
    if !geteuid().is_root() {
        return; // every other test here shows it
    }
    let nobody = 65534;
    let dir = directory();
    std::os::unix::fs::chown(dir.path(), Some(nobody), Some(nobody)).unwrap();
    let data_dir = dir.path().join("data");
    let mut owner = another_process(&data_dir, Some(nobody));
    let process = postmaster(&data_dir).unwrap();
    assert_eq!(
        fs::metadata(&data_dir).unwrap().permissions().mode() & 0o777,
        0o700
    );
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());
    assert!(!lives(process));
}
