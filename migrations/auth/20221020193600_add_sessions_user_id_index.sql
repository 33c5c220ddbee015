create index if not exists sessions_user_id_idx on sessions (user_id);
