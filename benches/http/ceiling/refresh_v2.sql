-- A refresh of version 2 and no more: $1 the session, $2 its counter. That the token is genuine is not looked at.
WITH old AS (
    SELECT id, user_id FROM auth.sessions
    WHERE id = $1::text::uuid AND refresh_token_counter = $2 FOR UPDATE
), touched AS (
    UPDATE auth.sessions s SET refresh_token_counter = $2 + 1, refreshed_at = now(), updated_at = now(),
        user_agent = 'bench', ip = '127.0.0.1'
    FROM old WHERE s.id = old.id
), log AS (
    INSERT INTO auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
    SELECT '00000000-0000-0000-0000-000000000000', gen_random_uuid(), json_build_object('action', 'token_refreshed',
        'actor_id', user_id, 'actor_username', 'user@example.com', 'actor_via_sso', false, 'log_type', 'token'), now(), ''
    FROM old
)
SELECT u.*, s.aal, s.not_after, s.refreshed_at, s.refresh_token_hmac_key,
    (SELECT json_agg(i) FROM auth.identities i WHERE i.user_id = u.id) AS identities,
    (SELECT json_agg(f) FROM auth.mfa_factors f WHERE f.user_id = u.id) AS factors,
    (SELECT json_agg(a) FROM auth.mfa_amr_claims a WHERE a.session_id = s.id) AS amr
FROM old JOIN auth.users u ON u.id = old.user_id JOIN auth.sessions s ON s.id = old.id
