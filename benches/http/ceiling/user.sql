-- What GET /user has to read: $1 the user, $2 the session.
SELECT u.*, s.aal, s.not_after, s.refreshed_at,
    (SELECT json_agg(i) FROM auth.identities i WHERE i.user_id = u.id) AS identities,
    (SELECT json_agg(f) FROM auth.mfa_factors f WHERE f.user_id = u.id) AS factors,
    (SELECT json_agg(a) FROM auth.mfa_amr_claims a WHERE a.session_id = s.id) AS amr
FROM auth.users u JOIN auth.sessions s ON s.user_id = u.id
WHERE u.id = $1::text::uuid AND s.id = $2::text::uuid
