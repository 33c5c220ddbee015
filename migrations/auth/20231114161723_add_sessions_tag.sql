alter table sessions
    add column if not exists tag text;
