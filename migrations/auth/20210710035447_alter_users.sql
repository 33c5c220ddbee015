-- Phone numbers. The defaults were varchar when the columns were, and still say so.
alter table users
    add column if not exists phone text default null::varchar constraint users_phone_key unique,
    add column if not exists phone_confirmed_at timestamptz,
    add column if not exists phone_change text default ''::varchar,
    add column if not exists phone_change_token varchar(255) default '',
    add column if not exists phone_change_sent_at timestamptz;

do $$ begin
    if not exists (select from pg_attribute where attrelid = 'users'::regclass and attname = 'email_confirmed_at') then
        alter table users rename column confirmed_at to email_confirmed_at;
    end if;
end $$;
