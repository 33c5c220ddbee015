//! What is told about a configuration: mistakes, warnings, and no secret.

use super::*;

#[test]
fn all_mistakes_are_told_at_once() {
    let pairs = [
        ("GOTRUE_API_MAX_REQUEST_DURATION", "10"),
        ("GOTRUE_MAILER_AUTOCONFIRM", "yes"),
        ("GOTRUE_MAILER_NOTIFICATIONS_EMAIL_CHANGED_ENABLED", "on"),
        ("GOTRUE_RATE_LIMIT_EMAIL_SENT", "1.5/1h"),
        ("GOTRUE_SMTP_PORT", "70000"),
        ("GOTRUE_SMTP_MAX_FREQUENCY", ""),
        (
            "GOTRUE_SMTP_LOGGING_ENABLED",
            "a very long text that somebody has put into the wrong variable by mistake",
        ),
        ("PORT", "http"),
        ("TRUEGATE_PASSWORD_HASH", "md5"),
    ];
    let errors = Config::from_pairs(pairs).unwrap_err();
    insta::assert_snapshot!(errors, @r#"
    13 mistakes in the configuration:
      GOTRUE_SITE_URL: it is required; for example https://app.example.com
      PORT: "http" is not a whole number from 0 to 65535
      API_EXTERNAL_URL: it is required; for example https://auth.example.com
      GOTRUE_API_MAX_REQUEST_DURATION: "10" is not a duration: numbers with units, such as 300ms, 90s or 1h30m
      DATABASE_URL: it is required; for example postgres://auth:password@localhost:5432/app
      GOTRUE_JWT_SECRET: it is required; for example what-openssl-rand-hex-32-says
      GOTRUE_MAILER_AUTOCONFIRM: "yes" is not true or false (1, t, 0 and f will do)
      GOTRUE_RATE_LIMIT_EMAIL_SENT: "1.5/1h" is not a number per hour such as 30, or a burst such as 10/1m
      GOTRUE_SMTP_PORT: "70000" is not a whole number from 0 to 65535
      GOTRUE_SMTP_MAX_FREQUENCY: it is set, but empty; remove it, or make it a duration: numbers with units, such as 300ms, 90s or 1h30m
      GOTRUE_SMTP_LOGGING_ENABLED: "a very long text that somebody has put into the wrong variab".. is not true or false (1, t, 0 and f will do)
      TRUEGATE_PASSWORD_HASH: "md5" is not argon2id or bcrypt
      GOTRUE_MAILER_NOTIFICATIONS_EMAIL_CHANGED_ENABLED: "on" is not true or false (1, t, 0 and f will do)
    "#);
}

#[test]
fn what_is_set_must_not_be_empty() {
    for name in [
        "PORT",
        "DATABASE_URL",
        "DB_NAMESPACE",
        "API_EXTERNAL_URL",
        "GOTRUE_JWT_SECRET",
        "GOTRUE_DISABLE_SIGNUP",
        "GOTRUE_JWT_EXP",
        "GOTRUE_MAILER_NOTIFICATIONS_EMAIL_CHANGED_ENABLED",
        "GOTRUE_RATE_LIMIT_EMAIL_SENT",
        "GOTRUE_RATE_LIMIT_OTP",
        "GOTRUE_SESSIONS_TIMEBOX",
        "GOTRUE_SMTP_MAX_FREQUENCY",
        "TRUEGATE_PASSWORD_HASH",
    ] {
        let mistakes = mistakes(&[(name, "")]);
        assert!(
            mistakes.starts_with(&format!("{name}: it is set, but empty")),
            "{mistakes}"
        );
    }
}

#[test]
fn settings_that_contradict_each_other_are_mistakes() {
    insta::assert_snapshot!(mistakes(&[
        ("GOTRUE_DB_DRIVER", "mysql"),
        ("GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS", "true"),
        ("GOTRUE_MAILER_AUTOCONFIRM", "true"),
        ("GOTRUE_SECURITY_CAPTCHA_ENABLED", "true"),
        ("GOTRUE_SECURITY_CAPTCHA_PROVIDER", ""),
        ("GOTRUE_SECURITY_CAPTCHA_SECRET", " "),
        ("GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION", "3"),
        ("GOTRUE_SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE", "101"),
        ("GOTRUE_SESSIONS_ALLOW_LOW_AAL", "0"),
        ("GOTRUE_SESSIONS_INACTIVITY_TIMEOUT", "0s"),
        ("GOTRUE_SESSIONS_TIMEBOX", "0h"),
        ("TRUEGATE_ARGON2_ITERATIONS", "0"),
        ("TRUEGATE_ARGON2_LANES", "4"),
        ("TRUEGATE_ARGON2_MEMORY_KIB", "31"),
        ("TRUEGATE_MAIL_MAX_ATTEMPTS", "0"),
        ("TRUEGATE_PATH_PREFIX", "auth"),
    ]), @r#"
    GOTRUE_DB_DRIVER: "mysql" is not served; it is postgres
    GOTRUE_MAILER_ALLOW_UNVERIFIED_EMAIL_SIGN_INS: it cannot be on together with GOTRUE_MAILER_AUTOCONFIRM
    GOTRUE_SECURITY_CAPTCHA_PROVIDER: "" is not hcaptcha or turnstile
    GOTRUE_SECURITY_CAPTCHA_SECRET: it is required, as GOTRUE_SECURITY_CAPTCHA_ENABLED is on
    GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION: it is not 0, 1 or 2
    GOTRUE_SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE: it is not between 0 and 100
    GOTRUE_SESSIONS_TIMEBOX: it is 0; remove it where no limit is meant
    GOTRUE_SESSIONS_INACTIVITY_TIMEOUT: it is 0; remove it where no limit is meant
    GOTRUE_SESSIONS_ALLOW_LOW_AAL: it is 0; remove it where no limit is meant
    TRUEGATE_PATH_PREFIX: it is not a path such as /auth/v1
    TRUEGATE_ARGON2_ITERATIONS: it is 0; make it 1 or more
    TRUEGATE_MAIL_MAX_ATTEMPTS: it is 0; make it 1 or more
    TRUEGATE_ARGON2_MEMORY_KIB: it is less than 8 per lane: 32
    "#);
    // The same is fine where captcha is off, and postgres has two names.
    config(&[
        ("GOTRUE_SECURITY_CAPTCHA_PROVIDER", ""),
        ("GOTRUE_SECURITY_CAPTCHA_SECRET", " "),
    ]);
    config(&[("GOTRUE_DB_DRIVER", "")]);
    config(&[("GOTRUE_DB_DRIVER", "postgresql")]);
}

#[test]
fn a_public_address_has_to_be_a_url() {
    for text in [
        "auth.example.com",
        "/foo",
        "localhost:9999",
        "ftp://auth.example.com",
        "http://",
    ] {
        let mistakes = mistakes(&[("API_EXTERNAL_URL", text)]);
        assert_eq!(
            mistakes,
            format!("API_EXTERNAL_URL: {text:?} is not a URL such as https://auth.example.com")
        );
    }
}

#[test]
fn what_is_probably_not_meant_is_warned_about() {
    insta::assert_snapshot!(warnings(&[
        ("GOTRUE_EXTERNAL_APPLE_ENABLED", "false"),
        ("GOTRUE_EXTERNAL_GITHUB_CLIENT_ID", "id"),
        ("GOTRUE_HOOK_SEND_EMAIL_ENABLED", "true"),
        ("GOTRUE_DB_AUTOMIGRATE", "true"),
        ("GOTRUE_JWT_SECRET", "short"),
        ("GOTRUE_MAILER_EMAIL_VALIDATION_BLOCKED_MX", "{}"),
        ("GOTRUE_MAILER_EMAIL_VALIDATION_SERVICE_HEADERS", "hush-3"),
        ("GOTRUE_OPERATOR_TOKEN", "token"),
        ("GOTRUE_SAML_ENABLED", "true"),
        ("GOTRUE_SITE_URL", "app.example.com"),
        ("GOTRUE_SMTP_HEADERS", r#"{"x":"hush-5"}"#),
        ("GOTRUE_SMTP_HOST", "mail"),
        ("GOTRUE_SMTP_PAS", "hush-6"),
        ("TRUEGATE_SWAGER_ENABLED", "1"),
        ("SMTP_HOST", "not ours"),
    ]), @r#"
    GOTRUE_SITE_URL: "app.example.com" is not an absolute URL, so redirects to it will not work
    GOTRUE_JWT_SECRET: it is shorter than 32 bytes: whoever has one token can try to guess it
    GOTRUE_MAILER_EMAIL_VALIDATION_SERVICE_HEADERS: it is not JSON of the expected form, and is ignored
    GOTRUE_MAILER_EMAIL_VALIDATION_BLOCKED_MX: it is not JSON of the expected form, and is ignored
    GOTRUE_SMTP_ADMIN_EMAIL: it is not set, so that no mail can be sent through GOTRUE_SMTP_HOST
    GOTRUE_SMTP_HEADERS: it is not JSON of the expected form, and is ignored
    GOTRUE_DB_AUTOMIGRATE: there is no such setting
    GOTRUE_SMTP_PAS: there is no such setting; did you mean GOTRUE_SMTP_PASS?
    TRUEGATE_SWAGER_ENABLED: there is no such setting; did you mean TRUEGATE_SWAGGER_ENABLED?
    GOTRUE_HOOK_SEND_EMAIL_ENABLED: this hook is not called in this version
    GOTRUE_SAML_ENABLED: SAML is not served in this version
    "#);
}

#[test]
fn secrets_are_never_shown() {
    let pairs = [
        ("GOTRUE_JWT_KEYS", "hush-3"),
        ("GOTRUE_SMTP_PASS", "hush-4"),
        ("GOTRUE_SMTP_HEADERS", r#"{"x":["hush-5"]}"#),
        (
            "GOTRUE_MAILER_EMAIL_VALIDATION_SERVICE_HEADERS",
            r#"{"x":["hush-6"]}"#,
        ),
        ("GOTRUE_SECURITY_CAPTCHA_SECRET", "hush-7"),
        ("GOTRUE_SMS_TEST_OTP", "1555:hush-8"),
        ("TRUEGATE_MIGRATION_DATABASE_URL", "postgres://hush-9"),
    ];
    let (config, warnings) = read(&pairs).unwrap();
    assert!(!format!("{config:?}{warnings:?}").contains("hush"));
    assert_eq!(
        mistakes(&[("GOTRUE_SMS_TEST_OTP", "1:hush:2")]),
        "GOTRUE_SMS_TEST_OTP: its value (not shown, as it is a secret) is not a list number:code,number:code"
    );
}
