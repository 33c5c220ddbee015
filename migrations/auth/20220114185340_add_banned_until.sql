alter table users
    add column if not exists banned_until timestamptz;
