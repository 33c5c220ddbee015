//! The steps, embedded: each file of `migrations/` and nothing else (a test compares).

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// One step of the schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// `auth`, which stands for the namespace, or `truegate`.
    pub schema: &'static str,
    /// What the ledger records; GoTrue's number in the namespace.
    pub version: &'static str,
    /// In words.
    pub name: &'static str,
    sql: &'static str,
}

impl Step {
    /// The statements in their order, each without its closing semicolon. See `migrations/README.md` for the format.
    pub fn statements(&self) -> impl Iterator<Item = &'static str> {
        self.sql
            .split(";\n\n")
            .map(|statement| statement.trim_end().trim_end_matches(';'))
            .filter(|statement| statement.lines().any(|line| !line.starts_with("--")))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.schema, self.version, self.name)
    }
}

/// Names the present state of all steps: the same steps, the same name.
#[must_use]
pub fn fingerprint() -> String {
    let mut hasher = DefaultHasher::new();
    for step in AUTH.iter().chain(TRUEGATE) {
        (step.schema, step.version, step.sql).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

macro_rules! steps {
    ($schema:literal: $($version:literal $name:literal,)+) => {
        &[$(Step {
            schema: $schema,
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../../migrations/", $schema, "/", $version, "_", $name, ".sql")),
        }),+]
    };
}

/// The namespace, up to GoTrue v2.196.
pub const AUTH: &[Step] = steps! {
    "auth":
    "00" "init_auth_schema",
    "20210710035447" "alter_users",
    "20210722035447" "adds_confirmed_at",
    "20210730183235" "add_email_change_confirmed",
    "20210909172000" "create_identities_table",
    "20210927181326" "add_refresh_token_parent",
    "20211122151130" "create_user_id_idx",
    "20211124214934" "update_auth_functions",
    "20211202183645" "update_auth_uid",
    "20220114185221" "update_user_idx",
    "20220114185340" "add_banned_until",
    "20220224000811" "update_auth_functions",
    "20220323170000" "add_user_reauthentication",
    "20220429102000" "add_unique_idx",
    "20220531120530" "add_auth_jwt_function",
    "20220614074223" "add_ip_address_to_audit_log",
    "20220811173540" "add_sessions_table",
    "20221003041349" "add_mfa_schema",
    "20221003041400" "add_aal_and_factor_id_to_sessions",
    "20221011041400" "add_mfa_indexes",
    "20221020193600" "add_sessions_user_id_index",
    "20221021073300" "add_refresh_tokens_session_id_revoked_index",
    "20221021082433" "add_saml",
    "20221027105023" "add_identities_user_id_idx",
    "20221114143122" "add_session_not_after_column",
    "20221114143410" "remove_parent_foreign_key_refresh_tokens",
    "20221125140132" "backfill_email_identity",
    "20221208132122" "backfill_email_last_sign_in_at",
    "20221215195500" "modify_users_email_unique_index",
    "20221215195800" "add_identities_email_column",
    "20221215195900" "remove_sso_sessions",
    "20230116124310" "alter_phone_type",
    "20230116124412" "add_deleted_at",
    "20230131181311" "backfill_invite_identities",
    "20230322519590" "add_flow_state_table",
    "20230402418590" "add_authentication_method_to_flow_state_table",
    "20230411005111" "remove_duplicate_idx",
    "20230508135423" "add_cleanup_indexes",
    "20230523124323" "add_mfa_challenge_cleanup_index",
    "20230818113222" "add_flow_state_to_relay_state",
    "20230914180801" "add_mfa_factors_user_id_idx",
    "20231027141322" "add_session_refresh_columns",
    "20231114161723" "add_sessions_tag",
    "20231117164230" "add_id_pkey_identities",
    "20240115144230" "remove_ip_address_from_saml_relay_state",
    "20240214120130" "add_is_anonymous_column",
    "20240306115329" "add_issued_at_to_flow_state",
    "20240314092811" "add_saml_name_id_format",
    "20240427152123" "add_one_time_tokens_table",
    "20240612123726" "enable_rls_update_grants",
    "20240729123726" "add_mfa_phone_config",
    "20240802193726" "add_mfa_factors_column_last_challenged_at",
    "20240806073726" "drop_uniqueness_constraint_on_phone",
    "20241009103726" "add_web_authn",
    "20250717082212" "add_disabled_to_sso_providers",
    "20250731150234" "add_oauth_clients_table",
    "20250804100000" "add_oauth_authorizations_consents",
    "20250901200500" "add_oauth_client_type",
    "20250903112500" "remove_oauth_client_id_column",
    "20250904133000" "add_oauth_client_id_to_session",
    "20250925093508" "add_last_webauthn_challenge_data",
    "20251007112900" "add_session_refresh_token_columns",
    "20251104100000" "add_nonce_to_oauth_authorizations",
    "20251111201300" "add_scopes_to_sessions",
    "20251201000000" "add_oauth_client_states_table",
    "20260115000000" "add_flow_state_oauth_context",
    "20260121000000" "add_token_endpoint_auth_method",
    "20260219120000" "add_custom_oauth_providers",
    "20260302000000" "add_passkeys",
    "20260625000000" "add_custom_claims_allowlist",
};

/// Our own tables.
pub const TRUEGATE: &[Step] = steps! {
    "truegate":
    "20261121000000" "add_outbox",
};
