//! What GoTrue has and this version has not. Its variables are known, so that nobody is told that they are
//! misspelt; whoever switches such a feature on is told that it is not there. A feature leaves this page
//! when it is built.

use super::environment::Environment;
use super::external::PROVIDERS;
use super::go;
use super::report::Report;

/// A feature, and its variables without `GOTRUE_`.
struct Feature {
    what: &'static str,
    /// Any of these, when on, asks for the feature.
    switches: &'static [&'static str],
    others: &'static [&'static str],
}

const FEATURES: &[Feature] = &[
    Feature {
        what: "this hook is not called",
        switches: &[
            "HOOK_MFA_VERIFICATION_ATTEMPT_ENABLED",
            "HOOK_PASSWORD_VERIFICATION_ATTEMPT_ENABLED",
            "HOOK_CUSTOM_ACCESS_TOKEN_ENABLED",
            "HOOK_SEND_EMAIL_ENABLED",
            "HOOK_BEFORE_USER_CREATED_ENABLED",
            "HOOK_AFTER_USER_CREATED_ENABLED",
        ],
        others: &[
            "HOOK_MFA_VERIFICATION_ATTEMPT_URI",
            "HOOK_MFA_VERIFICATION_ATTEMPT_HOOKNAME",
            "HOOK_MFA_VERIFICATION_ATTEMPT_SECRETS",
            "HOOK_PASSWORD_VERIFICATION_ATTEMPT_URI",
            "HOOK_PASSWORD_VERIFICATION_ATTEMPT_HOOKNAME",
            "HOOK_PASSWORD_VERIFICATION_ATTEMPT_SECRETS",
            "HOOK_CUSTOM_ACCESS_TOKEN_URI",
            "HOOK_CUSTOM_ACCESS_TOKEN_HOOKNAME",
            "HOOK_CUSTOM_ACCESS_TOKEN_SECRETS",
            "HOOK_SEND_EMAIL_URI",
            "HOOK_SEND_EMAIL_HOOKNAME",
            "HOOK_SEND_EMAIL_SECRETS",
            "HOOK_BEFORE_USER_CREATED_URI",
            "HOOK_BEFORE_USER_CREATED_HOOKNAME",
            "HOOK_BEFORE_USER_CREATED_SECRETS",
            "HOOK_AFTER_USER_CREATED_URI",
            "HOOK_AFTER_USER_CREATED_HOOKNAME",
            "HOOK_AFTER_USER_CREATED_SECRETS",
        ],
    },
    Feature {
        what: "second factors are not served",
        switches: &[
            "MFA_PHONE_ENROLL_ENABLED",
            "MFA_PHONE_VERIFY_ENABLED",
            "MFA_TOTP_ENROLL_ENABLED",
            "MFA_TOTP_VERIFY_ENABLED",
            "MFA_WEB_AUTHN_ENROLL_ENABLED",
            "MFA_WEB_AUTHN_VERIFY_ENABLED",
        ],
        others: &[
            "MFA_CHALLENGE_EXPIRY_DURATION",
            "MFA_FACTOR_EXPIRY_DURATION",
            "MFA_RATE_LIMIT_CHALLENGE_AND_VERIFY",
            "MFA_MAX_ENROLLED_FACTORS",
            "MFA_MAX_VERIFIED_FACTORS",
            "MFA_PHONE_OTP_LENGTH",
            "MFA_PHONE_MAX_FREQUENCY",
            "MFA_PHONE_TEMPLATE",
        ],
    },
    Feature {
        what: "passkeys are not served",
        switches: &["PASSKEY_ENABLED"],
        others: &[
            "PASSKEY_MAX_PASSKEYS_PER_USER",
            "RATE_LIMIT_PASSKEY",
            "WEBAUTHN_RP_ID",
            "WEBAUTHN_RP_DISPLAY_NAME",
            "WEBAUTHN_RP_ORIGINS",
            "WEBAUTHN_CHALLENGE_EXPIRY_DURATION",
        ],
    },
    Feature {
        what: "SAML is not served",
        switches: &["SAML_ENABLED"],
        others: &[
            "SAML_PRIVATE_KEY",
            "SAML_PRIVATE_KEY_NEXT",
            "SAML_ALLOW_ENCRYPTED_ASSERTIONS",
            "SAML_RELAY_STATE_VALIDITY_PERIOD",
            "SAML_EXTERNAL_URL",
            "SAML_RATE_LIMIT_ASSERTION",
            "RATE_LIMIT_SSO",
        ],
    },
    Feature {
        what: "the OAuth server is not there",
        switches: &["OAUTH_SERVER_ENABLED"],
        others: &[
            "OAUTH_SERVER_ALLOW_DYNAMIC_REGISTRATION",
            "OAUTH_SERVER_AUTHORIZATION_PATH",
            "OAUTH_SERVER_AUTHORIZATION_TTL",
            "OAUTH_SERVER_DEFAULT_SCOPE",
            "RATE_LIMIT_O_AUTH_DYNAMIC_CLIENT_REGISTER",
        ],
    },
    Feature {
        what: "signing in by wallet is not served",
        switches: &[
            "EXTERNAL_WEB3_SOLANA_ENABLED",
            "EXTERNAL_WEB3_ETHEREUM_ENABLED",
        ],
        others: &[
            "EXTERNAL_WEB3_SOLANA_MAXIMUM_VALIDITY_DURATION",
            "EXTERNAL_WEB3_ETHEREUM_MAXIMUM_VALIDITY_DURATION",
            "RATE_LIMIT_WEB3",
        ],
    },
    Feature {
        what: "SCIM is not served",
        switches: &["EXPERIMENTAL_SCIM_ENABLED"],
        others: &[],
    },
    Feature {
        what: "metrics are not kept",
        switches: &["METRICS_ENABLED"],
        others: &[
            "METRICS_EXPORTER",
            "METRICS_OTEL_EXPORTER_OTLP_PROTOCOL",
            "METRICS_OTEL_EXPORTER_PROMETHEUS_HOST",
            "METRICS_OTEL_EXPORTER_PROMETHEUS_PORT",
        ],
    },
    Feature {
        what: "traces are not kept",
        switches: &["TRACING_ENABLED"],
        others: &[
            "TRACING_EXPORTER",
            "TRACING_OTEL_EXPORTER_OTLP_PROTOCOL",
            "TRACING_HOST",
            "TRACING_PORT",
            "TRACING_SERVICE_NAME",
            "TRACING_TAGS",
        ],
    },
    Feature {
        what: "there is no profiler",
        switches: &["PROFILER_ENABLED"],
        others: &["PROFILER_HOST", "PROFILER_PORT"],
    },
    Feature {
        what: "directories of settings are not watched",
        switches: &["RELOADING_SIGNAL_ENABLED", "RELOADING_POLLERENABLED"],
        others: &[
            "RELOADING_NOTIFY_ENABLED",
            "RELOADING_POLLER_INTERVAL",
            "RELOADING_SIGNAL_NUMBER",
            "RELOADING_GRACE_PERIOD_INTERVAL",
        ],
    },
];

/// What asks for nothing by itself; much of it has no effect in GoTrue either.
const WITHOUT_EFFECT: &[&str] = &[
    "API_ENDPOINT",
    "DB_ADVISOR_ENABLED",
    "DB_ADVISOR_OBSERVATION_INTERVAL",
    "DB_ADVISOR_SAMPLING_INTERVAL",
    "DB_MIGRATIONS_PATH",
    "HOOK_SEND_SMS_HOOKNAME",
    "LOG_DISABLE_COLORS",
    "LOG_FIELDS",
    "LOG_QUOTE_EMPTY_FIELDS",
    "LOG_SQL",
    "LOG_TSFORMAT",
    "OPERATOR_TOKEN",
    "PASSWORD_HIBP_BLOOM_ENABLED",
    "PASSWORD_HIBP_BLOOM_FALSE_POSITIVES",
    "PASSWORD_HIBP_BLOOM_ITEMS",
];

/// The names on this page.
pub(super) fn names() -> impl Iterator<Item = String> {
    let features = FEATURES
        .iter()
        .flat_map(|feature| [feature.switches, feature.others])
        .flatten();
    // GoTrue declares this one, too, and never reads it.
    let providers = PROVIDERS
        .iter()
        .map(|(_, prefix)| format!("{prefix}API_URL"));
    features
        .chain(WITHOUT_EFFECT)
        .map(|name| format!("GOTRUE_{name}"))
        .chain(providers)
}

/// Warns once of each feature that is switched on.
pub(super) fn warn(environment: &Environment, report: &mut Report) {
    for feature in FEATURES {
        let on: Vec<_> = feature
            .switches
            .iter()
            .map(|switch| format!("GOTRUE_{switch}"))
            .filter(|name| environment.get(name).is_some_and(is_on))
            .collect();
        if !on.is_empty() {
            report.warn(on.join(", "), format!("{} in this version", feature.what));
        }
    }
}

fn is_on(text: &str) -> bool {
    !text.is_empty() && go::boolean(text) != Some(false)
}
