alter table sessions
    add column if not exists oauth_client_id uuid
        constraint sessions_oauth_client_id_fkey references oauth_clients (id) on delete cascade;

create index if not exists sessions_oauth_client_id_idx on sessions (oauth_client_id);
