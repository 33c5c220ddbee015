-- Users with address and password but no identity get one. Only while identities have their first shape: on later
-- databases this has been done, and identities are missing for other reasons.
do $$ begin
    if not exists (select from pg_attribute where attrelid = 'identities'::regclass and attname = 'provider_id') then
        insert into identities (id, user_id, identity_data, provider, created_at, updated_at)
        select id, id, jsonb_build_object('sub', id, 'email', email), 'email', '2022-11-25', '2022-11-25'
        from users
        where email is not null and encrypted_password <> '' and not exists (select from identities where user_id = users.id);
    end if;
end $$;
