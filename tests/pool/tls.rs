//! Each `sslmode` against servers with, without and with other certificates.
//!
//! `certificates/` holds an authority, a server's certificate for `localhost` and a client's for the user `postgres`
//! that it signed, and one for `localhost` that signed itself; all valid until 2126. `openssl req -x509` and
//! `openssl x509 -req` made them.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use super::away::{directory, start};
use super::*;
use crate::support::port::Port;

fn certificate(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pool/certificates")
        .join(name)
}

/// Who may come how.
const RULES: &str = "
local all all trust
hostssl certified postgres 127.0.0.1/32 cert
host certified all 127.0.0.1/32 reject
host all postgres 127.0.0.1/32 trust
hostssl all only_tls 127.0.0.1/32 trust
hostnossl all only_plain 127.0.0.1/32 trust
hostssl all by_password 127.0.0.1/32 scram-sha-256
";

/// Gives Postgres its own copy of a file, which must belong to it and nobody else.
fn give(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let cluster = fs::metadata(dir.join("postgres")).unwrap();
    let path = dir.join("postgres").join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    chown(&path, Some(cluster.uid()), Some(cluster.gid())).unwrap();
    path.to_str().unwrap().to_owned()
}

fn settings(dir: &Path, name: &str) -> Vec<String> {
    let read = |ending: &str| fs::read(certificate(&format!("{name}.{ending}"))).unwrap();
    let authority = fs::read(certificate("authority.pem")).unwrap();
    vec![
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", give(dir, "server.pem", read("pem"))),
        format!("ssl_key_file={}", give(dir, "server.key", read("key"))),
        format!("ssl_ca_file={}", give(dir, "authority.pem", authority)),
        format!("hba_file={}", give(dir, "rules", RULES)),
    ]
}

struct Server {
    port: u16,
}

impl Server {
    /// Whether the connection to this host with these parameters has TLS, or why there is none.
    async fn reach(&self, host: &str, database: &str, parameters: &str) -> Result<bool, String> {
        let port = self.port;
        let pool = pool(
            &format!("postgres:///{database}?host={host}&port={port}&{parameters}"),
            &[],
        );
        let conn = pool.get().await;
        let mut conn = conn.map_err(cause_of_unavailable)?;
        Ok(ask(
            &mut conn,
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        )
        .await
            == "true")
    }

    /// The same for the user postgres on localhost.
    async fn local(&self, parameters: &str) -> Result<bool, String> {
        self.reach(
            "localhost",
            "postgres",
            &format!("user=postgres&{parameters}"),
        )
        .await
    }
}

#[track_caller]
fn refused(reached: Result<bool, String>, because: &str) {
    let cause = reached.unwrap_err();
    assert!(cause.contains(because), "{cause}");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "each server is started once")]
async fn each_mode_means_what_it_means_in_libpq() {
    let dir = directory();
    let free = Port::free();
    let port = free.port;
    let server = Server { port };
    let (authority, other) = (certificate("authority.pem"), certificate("self-signed.pem"));
    let (authority, other) = (authority.display(), other.display());

    // A server without TLS.
    let postgres = start(dir.path(), Some(port), vec![]).await;
    let client = pool(&postgres.url("postgres"), &[]).direct().await.unwrap();
    let setup = "CREATE ROLE only_tls LOGIN; CREATE ROLE only_plain LOGIN; CREATE ROLE by_password LOGIN PASSWORD 'right';";
    client.batch_execute(setup).await.unwrap();
    client
        .batch_execute("CREATE DATABASE certified")
        .await
        .unwrap();
    for mode in ["disable", "allow", "prefer"] {
        assert_eq!(
            server.local(&format!("sslmode={mode}")).await,
            Ok(false),
            "{mode}"
        );
    }
    assert_eq!(server.local("").await, Ok(false));
    refused(
        server.local("sslmode=require").await,
        "the server has no TLS",
    );
    refused(
        server
            .local(&format!("sslmode=verify-full&sslrootcert={authority}"))
            .await,
        "the server has no TLS",
    );
    drop((client, postgres));

    // With a certificate of the authority, for localhost.
    let postgres = start(dir.path(), Some(port), settings(dir.path(), "server")).await;
    for (mode, tls) in [
        ("disable", false),
        ("allow", false),
        ("prefer", true),
        ("require", true),
    ] {
        assert_eq!(
            server.local(&format!("sslmode={mode}")).await,
            Ok(tls),
            "{mode}"
        );
    }
    assert_eq!(server.local("").await, Ok(true));
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(
            server
                .local(&format!("sslmode={mode}&sslrootcert={authority}"))
                .await,
            Ok(true)
        );
        refused(
            server
                .local(&format!("sslmode={mode}&sslrootcert={other}"))
                .await,
            "certificate",
        );
        refused(
            server.local(&format!("sslmode={mode}")).await,
            "certificate",
        );
    }
    refused(
        server
            .local(&format!("sslmode=require&sslrootcert={other}"))
            .await,
        "certificate",
    );
    assert_eq!(
        server
            .local(&format!("sslmode=prefer&sslrootcert={other}"))
            .await,
        Ok(true)
    );
    refused(server.local("sslrootcert=system").await, "certificate");
    let by_address = |mode| format!("user=postgres&sslmode={mode}&sslrootcert={authority}");
    assert_eq!(
        server
            .reach("127.0.0.1", "postgres", &by_address("verify-ca"))
            .await,
        Ok(true)
    );
    refused(
        server
            .reach("127.0.0.1", "postgres", &by_address("verify-full"))
            .await,
        "certificate",
    );

    // What the server's rules want decides where the mode leaves a choice.
    let as_user = |user: &str, mode: &str| {
        let parameters = format!("user={user}&sslmode={mode}");
        async move {
            Server { port }
                .reach("127.0.0.1", "postgres", &parameters)
                .await
        }
    };
    assert_eq!(as_user("only_tls", "allow").await, Ok(true));
    assert_eq!(as_user("only_tls", "prefer").await, Ok(true));
    refused(as_user("only_tls", "disable").await, "no encryption");
    assert_eq!(as_user("only_plain", "prefer").await, Ok(false));
    assert_eq!(as_user("only_plain", "allow").await, Ok(false));
    refused(as_user("only_plain", "require").await, "pg_hba.conf");

    // Passwords, bound to the channel.
    let password = |word: &str| {
        let parameters =
            format!("user=by_password&password={word}&sslmode=prefer&channel_binding=require");
        async move {
            Server { port }
                .reach("127.0.0.1", "postgres", &parameters)
                .await
        }
    };
    assert_eq!(password("right").await, Ok(true));
    let cause = password("hunter2").await.unwrap_err();
    assert!(
        cause.contains("password authentication failed") && !cause.contains("hunter2"),
        "{cause}"
    );
    assert!(!cause.contains(';'), "one answer is enough: {cause}");

    // Certificates of ours.
    let identity = format!(
        "user=postgres&sslcert={}&sslkey={}",
        certificate("client.pem").display(),
        certificate("client.key").display()
    );
    assert_eq!(
        server
            .reach(
                "127.0.0.1",
                "certified",
                &format!("sslmode=require&{identity}")
            )
            .await,
        Ok(true)
    );
    refused(
        server
            .reach("127.0.0.1", "certified", "sslmode=require&user=postgres")
            .await,
        "certificate",
    );
    drop(postgres);

    // A certificate that signed itself is its own authority.
    let _postgres = start(dir.path(), Some(port), settings(dir.path(), "self-signed")).await;
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(
            server
                .local(&format!("sslmode={mode}&sslrootcert={other}"))
                .await,
            Ok(true)
        );
        refused(
            server
                .local(&format!("sslmode={mode}&sslrootcert={authority}"))
                .await,
            "certificate",
        );
    }
    let by_address = format!("user=postgres&sslmode=verify-full&sslrootcert={other}");
    refused(
        server.reach("127.0.0.1", "postgres", &by_address).await,
        "certificate",
    );
}

#[test]
fn certificates_that_are_not_there_are_told_at_start() {
    let fault = |parameters: &str| {
        let url = format!("postgres://u:hunter2@h/d?{parameters}");
        let config = Config::from_pairs([
            (
                "GOTRUE_JWT_SECRET",
                "super-secret-jwt-token-with-at-least-32-characters-long",
            ),
            ("GOTRUE_SITE_URL", "http://localhost:3000"),
            ("API_EXTERNAL_URL", "http://localhost:9999"),
            ("DATABASE_URL", &url),
        ]);
        format!("{:#}", Pool::new(&config.unwrap()).err().unwrap())
    };
    assert!(
        fault("sslmode=verify-full&sslrootcert=/nowhere")
            .starts_with("DATABASE_URL: sslrootcert /nowhere: ")
    );
    let empty = certificate("client.key");
    assert!(
        fault(&format!(
            "sslmode=verify-ca&sslrootcert={}",
            empty.display()
        ))
        .contains("there is no certificate in it")
    );
    assert!(
        fault("sslcert=/nowhere&sslkey=/nowhere").starts_with("DATABASE_URL: sslcert /nowhere: ")
    );
    assert!(!fault("sslmode=x").contains("hunter2"));
}
