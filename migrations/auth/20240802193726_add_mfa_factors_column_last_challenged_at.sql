alter table mfa_factors
    add column if not exists last_challenged_at timestamptz constraint mfa_factors_last_challenged_at_key unique;
