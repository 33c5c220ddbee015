-- In the first shape, which the steps that fill it in expect; 20231117164230 gives it today's.
create table if not exists identities (
    id text not null,
    user_id uuid not null,
    identity_data jsonb not null,
    provider text not null,
    last_sign_in_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    constraint identities_pkey primary key (provider, id),
    constraint identities_user_id_fkey foreign key (user_id) references users (id) on delete cascade
);

comment on table identities is 'Auth: Stores identities associated to a user.';
