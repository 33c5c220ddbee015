alter table custom_oauth_providers
    add column if not exists custom_claims_allowlist text[] not null default '{}';
