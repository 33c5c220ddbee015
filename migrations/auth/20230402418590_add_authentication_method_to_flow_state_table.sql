-- The default only serves rows that are there already.
alter table flow_state
    add column if not exists authentication_method text not null default '';

alter table flow_state
    alter column authentication_method drop default;

create index if not exists idx_user_id_auth_method on flow_state (user_id, authentication_method);
