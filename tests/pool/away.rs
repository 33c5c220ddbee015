//! A database that is away is told at once, and used at once when it is back.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use truegate::db::private::{Options, PrivatePostgres};

use super::*;
use crate::support::port::Port;

/// A directory that the account which runs Postgres for root can enter as well.
pub(super) fn directory() -> TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

/// Where the pool waits for a minute.
const AT_ONCE: Duration = Duration::from_secs(30);

pub(super) async fn start(
    dir: &Path,
    tcp_port: Option<u16>,
    settings: Vec<String>,
) -> PrivatePostgres {
    let options = Options {
        durable: false,
        max_connections: 20,
        tcp_port,
        settings,
        ..Options::new(dir)
    };
    tokio::task::spawn_blocking(move || PrivatePostgres::start(&options).unwrap())
        .await
        .unwrap()
}

async fn stop(postgres: PrivatePostgres) {
    tokio::task::spawn_blocking(move || postgres.stop().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn away_is_told_at_once_and_back_is_used_at_once() {
    let dir = directory();
    let free = Port::free();
    let port = free.port;
    let mut postgres = Some(start(dir.path(), Some(port), vec![]).await);
    let tcp = pool(
        &format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable"),
        &[],
    );
    let socket = pool(&postgres.as_ref().unwrap().url("postgres"), &[]);
    for pool in [&tcp, &socket] {
        // Some idle ones, which the stop will leave stale, and one at work.
        let idle = futures_util::future::join_all((0..5).map(|_| take(pool))).await;
        let mut busy = take(pool).await;
        drop(idle);
        if postgres.is_none() {
            postgres = Some(start(dir.path(), Some(port), vec![]).await);
            continue;
        }
        let working = ask_until_it_ends(&mut busy);
        let stopping = async {
            // It is working when others see it.
            let mut other = take(pool).await;
            let sleeps = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(500)%' AND state = 'active'";
            while ask(&mut other, sleeps).await.as_str() < "2" {}
            drop(other);
            stop(postgres.take().unwrap()).await;
        };
        let (ended, ()) = tokio::join!(working, stopping);
        assert!(matches!(Error::from(ended), Error::Unavailable(_)));

        for _ in 0..3 {
            let asked = Instant::now();
            let cause = cause_of_unavailable(pool.get().await.err().unwrap());
            assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
            assert!(
                cause.contains("onnect") || cause.contains("No such file"),
                "{cause}"
            );
        }
        postgres = Some(start(dir.path(), Some(port), vec![]).await);
        let back = Instant::now();
        futures_util::future::join_all((0..6).map(async |_| backend(&mut *take(pool).await).await))
            .await;
        assert!(back.elapsed() < AT_ONCE, "{:?}", back.elapsed());
    }
}

async fn ask_until_it_ends(conn: &mut Conn) -> diesel::result::Error {
    try_ask(conn, "SELECT 'x' FROM pg_sleep(500)")
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_host_that_says_nothing_holds_nobody_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let waited = |settings| async move {
        let pool = pool(&format!("postgres://{silent}/x"), settings);
        let asked = Instant::now();
        let cause = cause_of_unavailable(pool.get().await.err().unwrap());
        (asked.elapsed(), cause)
    };
    let (time, cause) = waited(&[("TRUEGATE_DB_WAIT", "100ms")]).await;
    assert!(time < AT_ONCE, "{time:?}");
    let told = [
        format!("{silent}: no answer in time"),
        "no connection to the database within 100ms".to_owned(),
    ];
    assert!(told.contains(&cause), "{cause}");

    // Where there is another host, it is tried in time.
    let dir = directory();
    let free = Port::free();
    let port = free.port;
    let _postgres = start(dir.path(), Some(port), vec![]).await;
    let pool = pool(
        &format!("postgres://postgres@{silent},127.0.0.1:{port}/postgres?sslmode=prefer"),
        &[("TRUEGATE_DB_WAIT", "10s")],
    );
    backend(&mut *take(&pool).await).await;
}

#[tokio::test]
async fn every_reason_is_told_and_no_password() {
    let pool = pool("postgres://u:hunter2@127.0.0.1:1,nowhere.invalid:2/x", &[]);
    let cause = cause_of_unavailable(pool.get().await.err().unwrap());
    assert!(cause.contains("127.0.0.1:1: Connection refused"), "{cause}");
    assert!(cause.contains("nowhere.invalid:2: "), "{cause}");
    assert!(!cause.contains("hunter2"), "{cause}");
}
