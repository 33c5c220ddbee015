alter table oauth_authorizations
    add column if not exists nonce text
        constraint oauth_authorizations_nonce_length check (char_length(nonce) <= 255);
