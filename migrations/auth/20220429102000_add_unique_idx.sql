-- A hashed token belongs to one user. Codes of digits only and empty values may repeat; some databases have
-- indexes of these names that know no such exception.
do $$
declare
    token text;
begin
    foreach token in array array['confirmation_token', 'recovery_token', 'email_change_token_current', 'email_change_token_new', 'reauthentication_token'] loop
        if pg_get_indexdef(to_regclass(token || '_idx')) not like '%!~ ''^[0-9 ]*$''%' then
            execute format('drop index %I', token || '_idx');
        end if;
        execute format('create unique index if not exists %I on users (%I) where %2$I !~ ''^[0-9 ]*$''', token || '_idx', token);
    end loop;
end $$;
