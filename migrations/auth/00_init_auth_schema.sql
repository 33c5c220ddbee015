-- Users, their refresh tokens, the audit log; `instances` is a left-over that clients never see.
create table if not exists users (
    instance_id uuid,
    id uuid not null,
    aud varchar(255),
    role varchar(255),
    email varchar(255),
    encrypted_password varchar(255),
    email_confirmed_at timestamptz,
    invited_at timestamptz,
    confirmation_token varchar(255),
    confirmation_sent_at timestamptz,
    recovery_token varchar(255),
    recovery_sent_at timestamptz,
    email_change_token_new varchar(255),
    email_change varchar(255),
    email_change_sent_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    is_super_admin boolean,
    created_at timestamptz,
    updated_at timestamptz,
    constraint users_pkey primary key (id)
);

create index if not exists users_instance_id_email_idx on users (instance_id, lower(email));

create index if not exists users_instance_id_idx on users (instance_id);

comment on table users is 'Auth: Stores user login data within a secure schema.';

create table if not exists refresh_tokens (
    instance_id uuid,
    id bigserial,
    token varchar(255),
    user_id varchar(255),
    revoked boolean,
    created_at timestamptz,
    updated_at timestamptz,
    constraint refresh_tokens_pkey primary key (id)
);

create index if not exists refresh_tokens_instance_id_idx on refresh_tokens (instance_id);

create index if not exists refresh_tokens_instance_id_user_id_idx on refresh_tokens (instance_id, user_id);

comment on table refresh_tokens is 'Auth: Store of tokens used to refresh JWT tokens once they expire.';

create table if not exists instances (
    id uuid not null,
    uuid uuid,
    raw_base_config text,
    created_at timestamptz,
    updated_at timestamptz,
    constraint instances_pkey primary key (id)
);

comment on table instances is 'Auth: Manages users across multiple sites.';

create table if not exists audit_log_entries (
    instance_id uuid,
    id uuid not null,
    payload json,
    created_at timestamptz,
    constraint audit_log_entries_pkey primary key (id)
);

create index if not exists audit_logs_instance_id_idx on audit_log_entries (instance_id);

comment on table audit_log_entries is 'Auth: Audit trail for user actions.';

comment on table schema_migrations is 'Auth: Manages updates to the auth system.';
