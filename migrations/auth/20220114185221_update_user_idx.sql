-- Addresses are looked up in lower case; older databases index them as written.
do $$ begin
    if pg_get_indexdef(to_regclass('users_instance_id_email_idx')) not like '%lower(%' then
        drop index users_instance_id_email_idx;
    end if;
end $$;

create index if not exists users_instance_id_email_idx on users (instance_id, lower(email));
