-- Both the old and the new address may have to agree to a change.
alter table users
    add column if not exists email_change_token_current varchar(255) default '',
    add column if not exists email_change_confirm_status smallint default 0
        constraint users_email_change_confirm_status_check
        check (email_change_confirm_status >= 0 and email_change_confirm_status <= 2);

do $$ begin
    if not exists (select from pg_attribute where attrelid = 'users'::regclass and attname = 'email_change_token_new') then
        alter table users rename column email_change_token to email_change_token_new;
    end if;
end $$;
