create table if not exists sessions (
    id uuid not null,
    user_id uuid not null,
    created_at timestamptz,
    updated_at timestamptz,
    constraint sessions_pkey primary key (id),
    constraint sessions_user_id_fkey foreign key (user_id) references users (id) on delete cascade
);

comment on table sessions is 'Auth: Stores session data associated to a user.';

alter table refresh_tokens
    add column if not exists session_id uuid
        constraint refresh_tokens_session_id_fkey references sessions (id) on delete cascade;
