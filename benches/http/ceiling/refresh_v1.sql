-- A refresh of version 1 and no more: $1 the token, $2 its successor. GoTrue's audit log has two entries for it.
WITH old AS (
    SELECT r.id, r.token, r.user_id, r.session_id
    FROM auth.refresh_tokens r JOIN auth.sessions s ON s.id = r.session_id
    WHERE r.token = $1 AND NOT r.revoked FOR UPDATE OF r, s
), revoked AS (
    UPDATE auth.refresh_tokens r SET revoked = true, updated_at = now() FROM old WHERE r.id = old.id
), new AS (
    INSERT INTO auth.refresh_tokens (instance_id, token, user_id, parent, revoked, created_at, updated_at, session_id)
    SELECT '00000000-0000-0000-0000-000000000000', $2, user_id, token, false, now(), now(), session_id FROM old
), touched AS (
    UPDATE auth.sessions s SET refreshed_at = now(), updated_at = now(), user_agent = 'bench', ip = '127.0.0.1'
    FROM old WHERE s.id = old.session_id
), log AS (
    INSERT INTO auth.audit_log_entries (instance_id, id, payload, created_at, ip_address)
    SELECT '00000000-0000-0000-0000-000000000000', gen_random_uuid(), json_build_object('action', action,
        'actor_id', user_id, 'actor_username', 'user@example.com', 'actor_via_sso', false, 'log_type', 'token'), now(), ''
    FROM old, (VALUES ('token_refreshed'), ('token_revoked')) actions(action)
)
SELECT u.*, s.aal, s.not_after, s.refreshed_at,
    (SELECT json_agg(i) FROM auth.identities i WHERE i.user_id = u.id) AS identities,
    (SELECT json_agg(f) FROM auth.mfa_factors f WHERE f.user_id = u.id) AS factors,
    (SELECT json_agg(a) FROM auth.mfa_amr_claims a WHERE a.session_id = s.id) AS amr
FROM old JOIN auth.users u ON u.id = old.user_id::uuid JOIN auth.sessions s ON s.id = old.session_id
