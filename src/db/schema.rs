//! The tables, for Diesel. Kept by hand; `tests/database/schema.rs` compares them with the catalogs.
//!
//! Tables of the namespace have no schema here and are found through `search_path`; ours are in schema `truegate`.
//! `users.confirmed_at` and `identities.email` are generated and cannot be written. `sessions.refreshed_at` and the times of
//! `one_time_tokens` are UTC in columns without time zone.

#![expect(
    missing_docs,
    reason = "the columns are GoTrue's: the reference is migrations/ and the comments in the database"
)]
#![cfg_attr(
    not(test),
    expect(
        clippy::wildcard_imports,
        reason = "what `table!` does by itself where no type is of our own"
    )
)]

diesel::table! {
    audit_log_entries (id) {
        instance_id -> Nullable<Uuid>,
        id -> Uuid,
        payload -> Nullable<Json>,
        created_at -> Nullable<Timestamptz>,
        ip_address -> Varchar,
    }
}

diesel::table! {
    custom_oauth_providers (id) {
        id -> Uuid,
        provider_type -> Text,
        identifier -> Text,
        name -> Text,
        client_id -> Text,
        client_secret -> Text,
        acceptable_client_ids -> Array<Text>,
        scopes -> Array<Text>,
        pkce_enabled -> Bool,
        attribute_mapping -> Jsonb,
        authorization_params -> Jsonb,
        enabled -> Bool,
        email_optional -> Bool,
        issuer -> Nullable<Text>,
        discovery_url -> Nullable<Text>,
        skip_nonce_check -> Bool,
        cached_discovery -> Nullable<Jsonb>,
        discovery_cached_at -> Nullable<Timestamptz>,
        authorization_url -> Nullable<Text>,
        token_url -> Nullable<Text>,
        userinfo_url -> Nullable<Text>,
        jwks_uri -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        custom_claims_allowlist -> Array<Text>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::enums::sql_types::CodeChallengeMethod;

    flow_state (id) {
        id -> Uuid,
        user_id -> Nullable<Uuid>,
        auth_code -> Nullable<Text>,
        code_challenge_method -> Nullable<CodeChallengeMethod>,
        code_challenge -> Nullable<Text>,
        provider_type -> Text,
        provider_access_token -> Nullable<Text>,
        provider_refresh_token -> Nullable<Text>,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        authentication_method -> Text,
        auth_code_issued_at -> Nullable<Timestamptz>,
        invite_token -> Nullable<Text>,
        referrer -> Nullable<Text>,
        oauth_client_state_id -> Nullable<Uuid>,
        linking_target_id -> Nullable<Uuid>,
        email_optional -> Bool,
    }
}

diesel::table! {
    identities (id) {
        provider_id -> Text,
        user_id -> Uuid,
        identity_data -> Jsonb,
        provider -> Text,
        last_sign_in_at -> Nullable<Timestamptz>,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        email -> Nullable<Text>,
        id -> Uuid,
    }
}

diesel::table! {
    instances (id) {
        id -> Uuid,
        uuid -> Nullable<Uuid>,
        raw_base_config -> Nullable<Text>,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    mfa_amr_claims (id) {
        session_id -> Uuid,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        authentication_method -> Text,
        id -> Uuid,
    }
}

diesel::table! {
    mfa_challenges (id) {
        id -> Uuid,
        factor_id -> Uuid,
        created_at -> Timestamptz,
        verified_at -> Nullable<Timestamptz>,
        ip_address -> Inet,
        otp_code -> Nullable<Text>,
        web_authn_session_data -> Nullable<Jsonb>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::enums::sql_types::{FactorStatus, FactorType};

    mfa_factors (id) {
        id -> Uuid,
        user_id -> Uuid,
        friendly_name -> Nullable<Text>,
        factor_type -> FactorType,
        status -> FactorStatus,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        secret -> Nullable<Text>,
        phone -> Nullable<Text>,
        last_challenged_at -> Nullable<Timestamptz>,
        web_authn_credential -> Nullable<Jsonb>,
        web_authn_aaguid -> Nullable<Uuid>,
        last_webauthn_challenge_data -> Nullable<Jsonb>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::enums::sql_types::{CodeChallengeMethod, OauthAuthorizationStatus, OauthResponseType};

    oauth_authorizations (id) {
        id -> Uuid,
        authorization_id -> Text,
        client_id -> Uuid,
        user_id -> Nullable<Uuid>,
        redirect_uri -> Text,
        scope -> Text,
        state -> Nullable<Text>,
        resource -> Nullable<Text>,
        code_challenge -> Nullable<Text>,
        code_challenge_method -> Nullable<CodeChallengeMethod>,
        response_type -> OauthResponseType,
        status -> OauthAuthorizationStatus,
        authorization_code -> Nullable<Text>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
        approved_at -> Nullable<Timestamptz>,
        nonce -> Nullable<Text>,
    }
}

diesel::table! {
    oauth_client_states (id) {
        id -> Uuid,
        provider_type -> Text,
        code_verifier -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::enums::sql_types::{OauthClientType, OauthRegistrationType};

    oauth_clients (id) {
        id -> Uuid,
        client_secret_hash -> Nullable<Text>,
        registration_type -> OauthRegistrationType,
        redirect_uris -> Text,
        grant_types -> Text,
        client_name -> Nullable<Text>,
        client_uri -> Nullable<Text>,
        logo_uri -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        client_type -> OauthClientType,
        token_endpoint_auth_method -> Text,
    }
}

diesel::table! {
    oauth_consents (id) {
        id -> Uuid,
        user_id -> Uuid,
        client_id -> Uuid,
        scopes -> Text,
        granted_at -> Timestamptz,
        revoked_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::enums::sql_types::OneTimeTokenType;

    one_time_tokens (id) {
        id -> Uuid,
        user_id -> Uuid,
        token_type -> OneTimeTokenType,
        token_hash -> Text,
        relates_to -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    refresh_tokens (id) {
        instance_id -> Nullable<Uuid>,
        id -> BigInt,
        token -> Nullable<Varchar>,
        user_id -> Nullable<Varchar>,
        revoked -> Nullable<Bool>,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        parent -> Nullable<Varchar>,
        session_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    saml_providers (id) {
        id -> Uuid,
        sso_provider_id -> Uuid,
        entity_id -> Text,
        metadata_xml -> Text,
        metadata_url -> Nullable<Text>,
        attribute_mapping -> Nullable<Jsonb>,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        name_id_format -> Nullable<Text>,
    }
}

diesel::table! {
    saml_relay_states (id) {
        id -> Uuid,
        sso_provider_id -> Uuid,
        request_id -> Text,
        for_email -> Nullable<Text>,
        redirect_to -> Nullable<Text>,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        flow_state_id -> Nullable<Uuid>,
    }
}

diesel::table! {
    schema_migrations (version) {
        version -> Varchar,
    }
}

diesel::table! {
    use diesel::sql_types::*;
    use crate::db::enums::sql_types::Aal;

    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        factor_id -> Nullable<Uuid>,
        aal -> Nullable<Aal>,
        not_after -> Nullable<Timestamptz>,
        refreshed_at -> Nullable<Timestamp>,
        user_agent -> Nullable<Text>,
        ip -> Nullable<Inet>,
        tag -> Nullable<Text>,
        oauth_client_id -> Nullable<Uuid>,
        refresh_token_hmac_key -> Nullable<Text>,
        refresh_token_counter -> Nullable<BigInt>,
        scopes -> Nullable<Text>,
    }
}

diesel::table! {
    sso_domains (id) {
        id -> Uuid,
        sso_provider_id -> Uuid,
        domain -> Text,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    sso_providers (id) {
        id -> Uuid,
        resource_id -> Nullable<Text>,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        disabled -> Nullable<Bool>,
    }
}

diesel::table! {
    use diesel::sql_types::*;

    users (id) {
        instance_id -> Nullable<Uuid>,
        id -> Uuid,
        aud -> Nullable<Varchar>,
        role -> Nullable<Varchar>,
        email -> Nullable<Varchar>,
        encrypted_password -> Nullable<Varchar>,
        email_confirmed_at -> Nullable<Timestamptz>,
        invited_at -> Nullable<Timestamptz>,
        confirmation_token -> Nullable<Varchar>,
        confirmation_sent_at -> Nullable<Timestamptz>,
        recovery_token -> Nullable<Varchar>,
        recovery_sent_at -> Nullable<Timestamptz>,
        email_change_token_new -> Nullable<Varchar>,
        email_change -> Nullable<Varchar>,
        email_change_sent_at -> Nullable<Timestamptz>,
        last_sign_in_at -> Nullable<Timestamptz>,
        raw_app_meta_data -> Nullable<Jsonb>,
        raw_user_meta_data -> Nullable<Jsonb>,
        is_super_admin -> Nullable<Bool>,
        created_at -> Nullable<Timestamptz>,
        updated_at -> Nullable<Timestamptz>,
        phone -> Nullable<Text>,
        phone_confirmed_at -> Nullable<Timestamptz>,
        phone_change -> Nullable<Text>,
        phone_change_token -> Nullable<Varchar>,
        phone_change_sent_at -> Nullable<Timestamptz>,
        confirmed_at -> Nullable<Timestamptz>,
        email_change_token_current -> Nullable<Varchar>,
        email_change_confirm_status -> Nullable<SmallInt>,
        banned_until -> Nullable<Timestamptz>,
        reauthentication_token -> Nullable<Varchar>,
        reauthentication_sent_at -> Nullable<Timestamptz>,
        is_sso_user -> Bool,
        deleted_at -> Nullable<Timestamptz>,
        is_anonymous -> Bool,
    }
}

diesel::table! {
    webauthn_challenges (id) {
        id -> Uuid,
        user_id -> Nullable<Uuid>,
        challenge_type -> Text,
        session_data -> Jsonb,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    webauthn_credentials (id) {
        id -> Uuid,
        user_id -> Uuid,
        credential_id -> Binary,
        public_key -> Binary,
        attestation_type -> Text,
        aaguid -> Nullable<Uuid>,
        sign_count -> BigInt,
        transports -> Jsonb,
        backup_eligible -> Bool,
        backed_up -> Bool,
        friendly_name -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        last_used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    truegate.outbox (id) {
        id -> Uuid,
        kind -> Text,
        recipient -> Text,
        subject -> Text,
        html -> Text,
        plain -> Nullable<Text>,
        created_at -> Timestamptz,
        attempts -> Integer,
        next_attempt_at -> Timestamptz,
        last_error -> Nullable<Text>,
        given_up_at -> Nullable<Timestamptz>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    audit_log_entries,
    custom_oauth_providers,
    flow_state,
    identities,
    instances,
    mfa_amr_claims,
    mfa_challenges,
    mfa_factors,
    oauth_authorizations,
    oauth_client_states,
    oauth_clients,
    oauth_consents,
    one_time_tokens,
    refresh_tokens,
    saml_providers,
    saml_relay_states,
    schema_migrations,
    sessions,
    sso_domains,
    sso_providers,
    users,
    webauthn_challenges,
    webauthn_credentials,
);
