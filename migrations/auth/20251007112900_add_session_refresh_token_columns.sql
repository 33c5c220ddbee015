alter table sessions
    add column if not exists refresh_token_hmac_key text,
    add column if not exists refresh_token_counter bigint;

comment on column sessions.refresh_token_hmac_key is 'Holds a HMAC-SHA256 key used to sign refresh tokens for this session.';

comment on column sessions.refresh_token_counter is 'Holds the ID (counter) of the last issued refresh token.';
