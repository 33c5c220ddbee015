-- {users} users who share a password, each with an identity and a session. The sessions of the first half have a refresh
-- token of version 1, those of the second half are at the first one of version 2, all with one key. Who used a session says
-- so in user_agent, and those left alone say 'seed'.

INSERT INTO auth.users (
    instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, last_sign_in_at,
    raw_app_meta_data, raw_user_meta_data, created_at, updated_at,
    confirmation_token, recovery_token, email_change, email_change_token_new, email_change_token_current,
    phone_change, phone_change_token, reauthentication_token)
SELECT '00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated',
    format('user%s@example.com', n), '{hash}', now(), now(),
    '{"provider": "email", "providers": ["email"]}', '{}', now(), now(),
    '', '', '', '', '', '', '', ''
FROM generate_series(1, {users}) n;

UPDATE auth.users SET raw_user_meta_data =
    jsonb_build_object('sub', id, 'email', email, 'email_verified', true, 'phone_verified', false);

INSERT INTO auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
SELECT id::text, id, raw_user_meta_data, 'email', now(), now(), now() FROM auth.users;

INSERT INTO auth.sessions (
    id, user_id, created_at, updated_at, aal, user_agent, ip, refresh_token_hmac_key, refresh_token_counter)
SELECT gen_random_uuid(), id, now(), now(), 'aal1', 'seed', '127.0.0.1',
    CASE WHEN signed THEN '{key}' END, CASE WHEN signed THEN 0 END
FROM (SELECT id, row_number() OVER () > {users} / 2 AS signed FROM auth.users) u;

INSERT INTO auth.mfa_amr_claims (id, session_id, created_at, updated_at, authentication_method)
SELECT gen_random_uuid(), id, now(), now(), 'password' FROM auth.sessions;

INSERT INTO auth.refresh_tokens (instance_id, token, user_id, session_id, revoked, created_at, updated_at)
SELECT '00000000-0000-0000-0000-000000000000', left(md5(id::text), 12), user_id::text, id, false, now(), now()
FROM auth.sessions WHERE refresh_token_counter IS NULL;
