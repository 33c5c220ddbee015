//! The configuration as a whole: names, defaults, checks, mistakes.

mod sources;
mod told;

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::ExposeSecret;
use tracing::level_filters::LevelFilter;

use super::settings::Definition;
use super::*;

const REQUIRED: [(&str, &str); 4] = [
    ("API_EXTERNAL_URL", "https://auth.example.com"),
    ("DATABASE_URL", "postgres://auth:hush-1@db/app"),
    ("GOTRUE_JWT_SECRET", "hush-2-hush-2-hush-2-hush-2-hush-2"),
    ("GOTRUE_SITE_URL", "https://app.example.com"),
];

fn read(pairs: &[(&str, &str)]) -> Result<(Config, Vec<Warning>), ConfigErrors> {
    Config::from_environment(&Environment::from_pairs(
        REQUIRED.iter().chain(pairs).copied(),
    ))
}

#[track_caller]
fn config(pairs: &[(&str, &str)]) -> Config {
    read(pairs).unwrap().0
}

/// The mistakes, one a line.
#[track_caller]
fn mistakes(pairs: &[(&str, &str)]) -> String {
    let ConfigErrors(mistakes) = read(pairs).unwrap_err();
    mistakes
        .iter()
        .map(Mistake::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

#[track_caller]
fn warnings(pairs: &[(&str, &str)]) -> String {
    let (_, warnings) = read(pairs).unwrap();
    warnings
        .iter()
        .map(Warning::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn example() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example");
    if std::env::var_os("UPDATE_EXAMPLE").is_some() {
        std::fs::write(path, super::example()).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == super::example(),
        ".env.example is out of date: UPDATE_EXAMPLE=1 cargo test --lib config::tests::example"
    );
}

/// What stands in `.env.example` is what happens without it.
#[test]
fn the_example_changes_nothing() {
    let text: String = super::example()
        .lines()
        .filter_map(|line| line.strip_prefix("# ")?.split_once('='))
        .filter(|(name, text)| !name.contains(' ') && !text.is_empty())
        .map(|(name, text)| [name, "=", text, "\n"].concat())
        .collect();
    let example = Config::from_pairs(dotenv::parse(&text).unwrap()).unwrap();
    let defaults = config(&[("API_EXTERNAL_URL", "https://auth.example.com")]);
    assert_eq!(format!("{example:?}"), format!("{defaults:?}"));
}

#[test]
fn every_name_of_gotrue_is_known_once() {
    let definitions = definitions();
    let read: Vec<_> = definitions.iter().flat_map(Definition::names).collect();
    let distinct: BTreeSet<_> = read.iter().collect();
    assert_eq!(read.len(), distinct.len());

    let known: BTreeSet<_> = read.into_iter().chain(later::names()).collect();
    let gotrue = known
        .iter()
        .filter(|name| name.starts_with("GOTRUE_"))
        .count();
    // 482 in its structs, and GOTRUE_INTERNAL_HTTP_TIMEOUT.
    assert_eq!(gotrue, 483);
    let aliases: Vec<_> = known
        .iter()
        .filter(|name| !spelling::is_ours(name))
        .collect();
    assert_eq!(
        aliases,
        [
            "API_EXTERNAL_URL",
            "DATABASE_URL",
            "DB_NAMESPACE",
            "PORT",
            "REQUEST_ID_HEADER"
        ]
    );
}

#[test]
fn defaults_are_those_of_gotrue() {
    let config = config(&[]);
    assert_eq!((config.api.host.as_str(), config.api.port), ("", 8081));
    assert_eq!(config.api.max_request_duration, seconds(10));
    assert_eq!(config.api.request_id_header, None);
    assert_eq!(
        config.api.external_url.as_str(),
        "https://auth.example.com/"
    );
    assert_eq!(config.site_url, "https://app.example.com");
    assert!(config.uri_allow_list.is_empty() && !config.disable_signup);
    assert_eq!(config.db.db_namespace, "auth");
    assert_eq!((config.db.max_pool_size, config.db.conn_percentage), (0, 0));
    assert_eq!(*config.jwt.exp, seconds(3600));
    assert_eq!(config.jwt.admin_roles, ["service_role", "supabase_admin"]);
    assert_eq!(config.jwt.admin_group_name, "admin");
    assert!(
        config.jwt.issuer.is_none() && config.jwt.keys.is_none() && config.jwt.key_id.is_none()
    );
    assert_eq!(config.log.level, LevelFilter::INFO);
    assert_eq!(
        (*config.mailer.otp_exp, config.mailer.otp_length),
        (seconds(86400), 6)
    );
    assert!(config.mailer.secure_email_change_enabled && !config.mailer.autoconfirm);
    assert_eq!(config.mailer.template_max_size, 1_000_000);
    assert_eq!(config.password.min_length, 6);
    assert_eq!(config.rate_limit.email_sent, Rate::Hourly(30.0));
    assert!((config.rate_limit.token_refresh - 150.0).abs() < f64::EPSILON);
    assert!(config.security.refresh_token_rotation_enabled && !config.security.captcha_enabled);
    assert!(config.security.refresh_token_reuse_interval.is_zero());
    assert_eq!(config.sessions.timebox, None);
    assert_eq!(
        (*config.sms.otp_exp, config.sms.otp_length),
        (seconds(60), 6)
    );
    assert_eq!(config.sms.template, "Your code is {{ .Code }}");
    assert_eq!(
        (config.smtp.port, config.smtp.max_frequency),
        (587, seconds(60))
    );
    assert!(config.external.email_enabled && config.external.email_magic_link_enabled);
    assert!(!config.external.phone_enabled && !config.external.anonymous_users_enabled);
    assert_eq!(config.external.flow_state_expiry_duration, seconds(300));
    assert_eq!(config.truegate.password_hash, PasswordHash::Argon2id);
    assert_eq!(config.truegate.argon2_memory_kib, 19456);
    assert!(config.truegate.hash_threads > 0);
    assert_eq!(
        config.truegate.hash_queue,
        config.truegate.hash_threads * 64
    );
    assert_eq!(config.truegate.db_wait, seconds(2));
    assert_eq!(warnings(&[]), "");
}

/// What GoTrue makes of values that it does not like.
#[test]
fn values_are_made_effective() {
    let config = config(&[
        ("GOTRUE_DB_CONN_PERCENTAGE", "500"),
        ("GOTRUE_EXTERNAL_FLOW_STATE_EXPIRY_DURATION", "1s"),
        ("GOTRUE_JWT_ADMIN_GROUP_NAME", ""),
        ("GOTRUE_JWT_ADMIN_ROLES", ""),
        ("GOTRUE_JWT_EXP", "0"),
        ("GOTRUE_JWT_KEYS", "[ ]"),
        ("GOTRUE_MAILER_OTP_EXP", "0"),
        ("GOTRUE_MAILER_OTP_LENGTH", "11"),
        ("GOTRUE_MAILER_URLPATHS_INVITE", ""),
        ("GOTRUE_PASSWORD_MIN_LENGTH", "2"),
        ("GOTRUE_SMS_MAX_FREQUENCY", "0"),
        ("GOTRUE_SMS_OTP_EXP", "0"),
        ("GOTRUE_SMS_OTP_LENGTH", "5"),
        ("GOTRUE_SMS_TEMPLATE", ""),
        ("GOTRUE_SMTP_MAX_FREQUENCY", "0s"),
        ("TRUEGATE_PATH_PREFIX", "/auth/v1/"),
    ]);
    assert_eq!(config.db.conn_percentage, 100);
    assert_eq!(config.external.flow_state_expiry_duration, seconds(300));
    assert_eq!(config.jwt.admin_group_name, "admin");
    assert_eq!(config.jwt.admin_roles, ["service_role", "supabase_admin"]);
    assert_eq!(*config.jwt.exp, seconds(3600));
    assert!(config.jwt.keys.is_none());
    assert_eq!(
        (*config.mailer.otp_exp, config.mailer.otp_length),
        (seconds(86400), 6)
    );
    assert_eq!(config.mailer.urlpath(MailKind::Invite), "/verify");
    assert_eq!(config.password.min_length, 6);
    assert_eq!(config.sms.max_frequency, seconds(60));
    assert_eq!(
        (*config.sms.otp_exp, config.sms.otp_length),
        (seconds(60), 6)
    );
    assert_eq!(config.sms.template, "Your code is {{ .Code }}");
    assert_eq!(config.smtp.max_frequency, seconds(60));
    assert_eq!(config.truegate.path_prefix.as_deref(), Some("/auth/v1"));
}

#[test]
fn values_are_read() {
    let config = config(&[
        ("GOTRUE_CORS_ALLOWED_HEADERS", "X-One, X-Two,"),
        ("GOTRUE_DISABLE_SIGNUP", "T"),
        (
            "GOTRUE_EXPERIMENTAL_PROVIDERS_WITH_OWN_LINKING_DOMAIN",
            "github,gitlab",
        ),
        (
            "GOTRUE_EXPERIMENTAL_PROVIDER_LINKING_DOMAINS",
            "github=work",
        ),
        ("GOTRUE_JWT_EXP", "0x78"),
        ("GOTRUE_LOG_LEVEL", "Warning"),
        (
            "GOTRUE_MAILER_EMAIL_VALIDATION_BLOCKED_MX",
            r#"["mx.example.com"]"#,
        ),
        ("GOTRUE_MAILER_OTP_LENGTH", "8"),
        ("GOTRUE_RATE_LIMIT_OTP", "0.1"),
        ("GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL", "10"),
        ("GOTRUE_SESSIONS_TIMEBOX", "1h30m"),
        ("GOTRUE_SMS_TEST_OTP", "+1 5550001:123456"),
        (
            "GOTRUE_SMS_TEST_OTP_VALID_UNTIL",
            "2027-01-01T00:00:00+01:00",
        ),
        ("GOTRUE_SMTP_HEADERS", r#"{"x-kind":["$messageType"]}"#),
        ("GOTRUE_SMTP_HOST", "mail.example.com"),
        ("GOTRUE_URI_ALLOW_LIST", " "),
        ("TRUEGATE_PASSWORD_HASH", "bcrypt"),
    ]);
    assert_eq!(config.cors.allowed_headers, ["X-One", " X-Two", ""]);
    assert!(config.disable_signup);
    let domains: Vec<_> = config
        .experimental
        .provider_linking_domains
        .iter()
        .collect();
    assert_eq!(
        domains,
        [
            (&"github".into(), &"work".into()),
            (&"gitlab".to_owned(), &"gitlab".to_owned())
        ]
    );
    assert_eq!(*config.jwt.exp, seconds(120));
    assert_eq!(config.log.level, LevelFilter::WARN);
    assert_eq!(
        *config.mailer.email_validation_blocked_mx,
        ["mx.example.com"]
    );
    assert_eq!(config.mailer.otp_length, 8);
    assert!((config.rate_limit.otp - 0.1).abs() < f64::EPSILON);
    assert_eq!(*config.security.refresh_token_reuse_interval, seconds(10));
    assert_eq!(config.sessions.timebox, Some(seconds(5400)));
    assert_eq!(
        config
            .sms
            .test_otp("15550001", "2026-12-31T22:59:59Z".parse().unwrap()),
        Some("123456")
    );
    assert_eq!(
        config
            .sms
            .test_otp("15550001", "2026-12-31T23:00:00Z".parse().unwrap()),
        None
    );
    assert_eq!(
        config
            .sms
            .test_otp("15550002", "2026-12-31T22:59:59Z".parse().unwrap()),
        None
    );
    assert_eq!(config.smtp.headers["x-kind"], ["$messageType"]);
    assert_eq!(config.smtp.host.as_deref(), Some("mail.example.com"));
    assert!(config.uri_allow_list.is_empty());
    assert_eq!(config.truegate.password_hash, PasswordHash::Bcrypt);
}

#[test]
fn short_names_are_read_and_long_ones_win() {
    let long = [
        ("GOTRUE_API_PORT", "1"),
        ("GOTRUE_API_API_EXTERNAL_URL", "https://long.example.com"),
        ("GOTRUE_API_REQUEST_ID_HEADER", "x-long"),
        ("GOTRUE_DB_DATABASE_URL", "postgres://long"),
        ("GOTRUE_DB_DB_NAMESPACE", "long"),
        ("GOTRUE_EXTERNAL_REDIRECTURL", "https://long.example.com"),
    ];
    let short = [
        ("PORT", "2"),
        ("API_EXTERNAL_URL", "https://short.example.com"),
        ("REQUEST_ID_HEADER", "x-short"),
        ("DATABASE_URL", "postgres://short"),
        ("DB_NAMESPACE", "short"),
    ];
    let config = config(&short);
    assert_eq!(config.api.port, 2);
    assert_eq!(
        config.api.external_url.host_str(),
        Some("short.example.com")
    );
    assert_eq!(config.api.request_id_header.as_deref(), Some("x-short"));
    assert_eq!(config.db.database_url.expose_secret(), "postgres://short");
    assert_eq!(config.db.db_namespace, "short");
    assert_eq!(config.external.redirect_url, None);

    let config = super::tests::config(&[long.as_slice(), short.as_slice()].concat());
    assert_eq!(config.api.port, 1);
    assert_eq!(config.api.external_url.host_str(), Some("long.example.com"));
    assert_eq!(config.api.request_id_header.as_deref(), Some("x-long"));
    assert_eq!(config.db.database_url.expose_secret(), "postgres://long");
    assert_eq!(config.db.db_namespace, "long");
    assert_eq!(
        config.external.redirect_url.as_deref(),
        Some("https://long.example.com")
    );
}

#[test]
fn empty_texts_and_lists_count_as_not_set() {
    let names: Vec<_> = definitions()
        .iter()
        .flat_map(|definition| {
            definition
                .settings
                .iter()
                .filter(|s| s.may_be_empty())
                .map(|s| definition.names_of(s))
        })
        .flatten()
        .filter(|name| {
            !["DB_NAMESPACE", "GOTRUE_DB_DB_NAMESPACE", "GOTRUE_SITE_URL"].contains(&name.as_str())
        })
        .collect();
    let pairs: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let empty = format!("{:?}", config(&pairs));
    let unset = format!("{:?}", config(&[]));
    // Empty texts that have a default keep being empty.
    let unset = unset.replace("driver: \"postgres\"", "driver: \"\"");
    let unset = unset.replace("captcha_provider: \"hcaptcha\"", "captcha_provider: \"\"");
    let unset = unset.replace(
        "hibp_user_agent: \"https://github.com/supabase/gotrue\"",
        "hibp_user_agent: \"\"",
    );
    assert_eq!(empty, unset);
}

#[test]
fn a_captcha_secret_is_trimmed() {
    let config = config(&[
        ("GOTRUE_SECURITY_CAPTCHA_ENABLED", "1"),
        ("GOTRUE_SECURITY_CAPTCHA_SECRET", " s\n"),
    ]);
    assert_eq!(config.security.captcha_secret.unwrap().expose_secret(), "s");
}

#[test]
fn each_kind_of_mail_has_its_settings() {
    for kind in MailKind::ALL {
        let name = kind.as_str().to_uppercase();
        let pairs = [
            (format!("GOTRUE_MAILER_SUBJECTS_{name}"), "Hello"),
            (format!("GOTRUE_MAILER_TEMPLATES_{name}"), "/hello"),
            (format!("GOTRUE_MAILER_URLPATHS_{name}"), "/path"),
        ];
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, text)| (name.as_str(), *text))
            .collect();
        let (config, warnings) = read(&pairs).unwrap();
        assert_eq!(warnings, []);
        for other in MailKind::ALL {
            let same = kind == other;
            assert_eq!(config.mailer.subject(other), same.then_some("Hello"));
            assert_eq!(config.mailer.template(other), same.then_some("/hello"));
            if other != MailKind::MagicLink {
                assert_eq!(
                    config.mailer.urlpath(other),
                    if same { "/path" } else { "/verify" }
                );
            }
        }
    }
    let config = config(&[
        ("GOTRUE_MAILER_URLPATHS_RECOVERY", "/path"),
        ("GOTRUE_MAILER_URLPATHS_MAGIC_LINK", "/not"),
    ]);
    assert_eq!(config.mailer.urlpath(MailKind::MagicLink), "/path");
}

#[test]
fn each_notification_has_its_switch() {
    let none = config(&[]);
    for kind in MailKind::ALL {
        let Some(what) = kind.as_str().strip_suffix("_notification") else {
            assert!(none.mailer.notification_enabled(kind));
            continue;
        };
        assert!(!none.mailer.notification_enabled(kind));
        let name = format!(
            "GOTRUE_MAILER_NOTIFICATIONS_{}_ENABLED",
            what.to_uppercase()
        );
        let (config, warnings) = read(&[(&name, "true")]).unwrap();
        assert!(config.mailer.notification_enabled(kind) && warnings.is_empty());
    }
}

#[test]
fn each_provider_has_its_switch() {
    let none = config(&[]);
    for (provider, prefix) in PROVIDERS {
        assert!(!none.external.provider_enabled(provider));
        let name = format!("{prefix}ENABLED");
        assert!(
            config(&[(&name, "true")])
                .external
                .provider_enabled(provider)
        );
    }
}

#[test]
fn user_indexes_are_built_unless_gotrue_would_not() {
    const ENSURE: &str = "GOTRUE_INDEX_WORKER_ENSURE_USER_SEARCH_INDEXES_EXIST";
    const MOST: (&str, &str) = ("GOTRUE_INDEX_WORKER_MAX_USERS_THRESHOLD", "1000");
    let told = |pairs| {
        let worker = config(pairs).index_worker;
        worker.is_on().then(|| worker.most_users())
    };
    assert_eq!(told(&[]), Some(None));
    assert_eq!(told(&[(ENSURE, "false")]), None);
    assert_eq!(told(&[MOST]), Some(Some(1000)));
    assert_eq!(told(&[(ENSURE, "false"), MOST]), Some(Some(1000)));
    assert_eq!(told(&[(ENSURE, "true"), MOST]), Some(None));
}

#[test]
fn private_networks_are_networks_or_addresses() {
    let networks = |text| {
        config(&[("TRUEGATE_PRIVATE_NETWORKS", text)])
            .truegate
            .private_networks
    };
    assert!(networks("").is_empty());
    let listed = networks("10.1.0.0/16, fd00::/8,192.0.2.1");
    let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["10.1.0.0/16", "fd00::/8", "192.0.2.1/32"]);
    assert_eq!(
        mistakes(&[("TRUEGATE_PRIVATE_NETWORKS", "10.1.0.0/16,intranet")]),
        "TRUEGATE_PRIVATE_NETWORKS: \"10.1.0.0/16,intranet\" is not a list of networks such as 10.0.0.0/8,fd00::/8"
    );
}
