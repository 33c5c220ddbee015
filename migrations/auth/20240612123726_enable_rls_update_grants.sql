-- Closed to everybody but the owner; role postgres, where there is one, may read and let others read.
do $$
declare
    closed text;
begin
    foreach closed in array array[
        'audit_log_entries', 'flow_state', 'identities', 'instances', 'mfa_amr_claims', 'mfa_challenges', 'mfa_factors', 'one_time_tokens',
        'refresh_tokens', 'saml_providers', 'saml_relay_states', 'schema_migrations', 'sessions', 'sso_domains', 'sso_providers', 'users'
    ] loop
        execute format('alter table %I enable row level security', closed);
        if exists (select from pg_roles where rolname = 'postgres') then
            execute format('grant select on %I to postgres with grant option', closed);
        end if;
    end loop;
end $$;
