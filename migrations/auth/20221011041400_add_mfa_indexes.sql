-- The default only serves rows that are there already.
alter table mfa_amr_claims
    add column if not exists id uuid not null default gen_random_uuid() constraint amr_id_pk primary key;

alter table mfa_amr_claims
    alter column id drop default;

create index if not exists user_id_created_at_idx on sessions (user_id, created_at);

create index if not exists factor_id_created_at_idx on mfa_factors (user_id, created_at);
