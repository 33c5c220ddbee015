alter table users
    add column if not exists deleted_at timestamptz;
