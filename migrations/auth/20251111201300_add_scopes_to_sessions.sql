alter table sessions
    add column if not exists scopes text
        constraint sessions_scopes_length check (char_length(scopes) <= 4096);
