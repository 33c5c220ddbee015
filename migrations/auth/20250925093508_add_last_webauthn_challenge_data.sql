alter table mfa_factors
    add column if not exists last_webauthn_challenge_data jsonb;

comment on column mfa_factors.last_webauthn_challenge_data is 'Stores the latest WebAuthn challenge data including attestation/assertion for customer verification';
