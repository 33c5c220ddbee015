-- The flow's context used to travel in its state parameter; flows without PKCE have rows now, too.
alter table flow_state
    add column if not exists invite_token text,
    add column if not exists referrer text,
    add column if not exists oauth_client_state_id uuid,
    add column if not exists linking_target_id uuid,
    add column if not exists email_optional boolean not null default false,
    alter column code_challenge drop not null,
    alter column code_challenge_method drop not null,
    alter column auth_code drop not null;

comment on table flow_state is 'Stores metadata for all OAuth/SSO login flows';
