use proptest::prelude::*;

use super::*;

fn parse(url: &str) -> Target {
    Target::parse(url, "auth").unwrap()
}

fn tcp(host: &str, port: u16) -> Host {
    Host {
        address: Address::Tcp(host.to_owned()),
        port,
    }
}

fn unix(path: &str, port: u16) -> Host {
    Host {
        address: Address::Unix(path.into()),
        port,
    }
}

#[test]
fn the_usual_url() {
    let target = parse("postgres://auth:p%40ss%2Fword@db.example.com:6543/app?sslmode=require");
    assert_eq!(target.hosts, [tcp("db.example.com", 6543)]);
    assert_eq!(target.tls.mode, TlsMode::Require);
    assert_eq!(target.startup.get_user(), Some("auth"));
    assert_eq!(target.startup.get_password(), Some(&b"p@ss/word"[..]));
    assert_eq!(target.startup.get_dbname(), Some("app"));
    assert_eq!(target.startup.get_application_name(), Some("truegate"));
    assert_eq!(target.startup.get_options(), None);
    assert_eq!((target.role, target.timeout), (Role::Any, None));
    assert_eq!(parse("postgresql://h/d").hosts, [tcp("h", 5432)]);
}

#[test]
fn many_hosts_and_sockets() {
    let hosts = |url: &str| parse(url).hosts;
    assert_eq!(
        hosts("postgres://u@a:1,b,c:3/d"),
        [tcp("a", 1), tcp("b", 5432), tcp("c", 3)]
    );
    assert_eq!(hosts("postgres://a,b/d?port=7"), [tcp("a", 7), tcp("b", 7)]);
    assert_eq!(
        hosts("postgres:///d?host=a,b&port=1,2"),
        [tcp("a", 1), tcp("b", 2)]
    );
    assert_eq!(
        hosts("postgres://ignored/d?host=/tmp/pg"),
        [unix("/tmp/pg", 5432)]
    );
    assert_eq!(
        hosts("postgres:///d?host=%2Ftmp%2Fpg&port=5433"),
        [unix("/tmp/pg", 5433)]
    );
    assert_eq!(
        hosts("postgres://%2Frun%2Fpostgresql:5433/d"),
        [unix("/run/postgresql", 5433)]
    );
    assert_eq!(
        hosts("postgres://[::1]:5433,[fe80::1]/d"),
        [tcp("::1", 5433), tcp("fe80::1", 5432)]
    );
    assert_eq!(hosts("postgres://u:p@:5433/d?host=h"), [tcp("h", 5433)]);
    assert_eq!(hosts("postgres:///d").len(), 1);
}

#[test]
fn all_of_sslmode() {
    let tls = |query: &str| parse(&format!("postgres://h/d?{query}")).tls;
    let mode = |query: &str| tls(query).mode;
    assert_eq!(mode(""), TlsMode::Prefer);
    for (name, expected) in [
        ("disable", TlsMode::Disable),
        ("allow", TlsMode::Allow),
        ("prefer", TlsMode::Prefer),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ] {
        assert_eq!(mode(&format!("sslmode={name}")), expected);
    }
    let with_root = tls("sslmode=require&sslrootcert=/ca.pem");
    assert_eq!(
        (with_root.mode, with_root.roots),
        (TlsMode::VerifyCa, Roots::File("/ca.pem".into()))
    );
    assert_eq!(mode("sslmode=prefer&sslrootcert=/ca.pem"), TlsMode::Prefer);
    let system = tls("sslrootcert=system");
    assert_eq!(
        (system.mode, system.roots),
        (TlsMode::VerifyFull, Roots::System)
    );
    assert_eq!(
        tls("sslcert=/c&sslkey=/k").identity,
        Some(("/c".into(), "/k".into()))
    );
    assert!(tls("sslnegotiation=direct").direct && tls("sslsni=0").no_sni);
}

#[test]
fn unknown_parameters_are_settings_of_the_session() {
    let settings = |query: &str, namespace: &str| {
        let target = Target::parse(&format!("postgres://h/d?{query}"), namespace).unwrap();
        let settings = target
            .settings
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"));
        settings.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        settings("search_path=auth", "auth"),
        r#"search_path="auth""#
    );
    assert_eq!(
        settings("search_path=auth,%20extensions,public", "auth"),
        r#"search_path="auth",extensions,public"#
    );
    assert_eq!(
        settings("search_path=public", "my auth"),
        r#"search_path="my auth",public"#
    );
    assert_eq!(settings("", r#"a"b\c"#), r#"search_path="a""b\c""#);
    assert_eq!(
        settings("statement_timeout=5s&lock_timeout=1+s&my.guc=1", "auth"),
        r#"search_path="auth" statement_timeout=5s lock_timeout=1 s my.guc=1"#
    );
    // What is for others.
    assert_eq!(
        settings(
            "pool_max_conns=5&statement_cache_mode=describe&gssencmode=disable",
            "auth"
        ),
        r#"search_path="auth""#
    );
    let target = parse("postgres://h/d?options=-c%20geqo%3Doff&application_name=x");
    assert_eq!(target.startup.get_options(), Some("-c geqo=off"));
    assert_eq!(target.startup.get_application_name(), Some("x"));
}

#[test]
fn timeouts_and_roles() {
    assert_eq!(
        parse("postgres://h/d?connect_timeout=3").timeout,
        Some(Duration::from_secs(3))
    );
    assert_eq!(parse("postgres://h/d?connect_timeout=0").timeout, None);
    for (name, role) in [
        ("any", Role::Any),
        ("read-write", Role::ReadWrite),
        ("read-only", Role::ReadOnly),
        ("primary", Role::Primary),
        ("standby", Role::Standby),
        ("prefer-standby", Role::PreferStandby),
    ] {
        assert_eq!(
            parse(&format!("postgres://h/d?target_session_attrs={name}")).role,
            role
        );
    }
}

#[test]
fn faults_are_named_without_the_password() {
    for (url, fault) in [
        ("mysql://u:hunter2@h/d", "must start with postgres://"),
        ("host=h password=hunter2", "must start with postgres://"),
        ("postgres://u:hunter2%@h/d", "percent-encoded"),
        ("postgres://u:hunter2%ff@h/d", "percent-encoded"),
        ("postgres://u:hunter2@h:x/d", "a port"),
        ("postgres://u:hunter2@h:0/d", "a port"),
        ("postgres://u:hunter2@h:65536/d", "a port"),
        ("postgres://u:hunter2@[::1/d", "IPv6"),
        ("postgres://u:hunter2@h/d?sslmode=on", "sslmode"),
        (
            "postgres://u:hunter2@h/d?connect_timeout=soon",
            "connect_timeout",
        ),
        (
            "postgres://u:hunter2@h/d?target_session_attrs=best",
            "target_session_attrs",
        ),
        (
            "postgres://u:hunter2@h/d?sslcert=/c",
            "both sslcert and sslkey",
        ),
        ("postgres://u:hunter2@h/d?-c=x", "is no parameter"),
    ] {
        let said = Target::parse(url, "auth").unwrap_err();
        assert!(said.contains(fault), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

proptest! {
    #[test]
    fn no_url_panics(rest in ".{0,80}", query in "[a-z_=&%,./0-9]{0,60}") {
        let _ = Target::parse(&rest, "auth");
        let _ = Target::parse(&format!("postgres://{rest}"), "auth");
        let _ = Target::parse(&format!("postgres://h/d?{query}"), "auth");
    }
}
