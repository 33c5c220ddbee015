-- Invited users get an e-mail identity; see 20221125140132.
do $$ begin
    if not exists (select from pg_attribute where attrelid = 'identities'::regclass and attname = 'provider_id') then
        insert into identities (id, user_id, identity_data, provider, created_at, updated_at)
        select id, id, jsonb_build_object('sub', id, 'email', email), 'email', '2023-01-25', '2023-01-25'
        from users
        where invited_at is not null and not exists (select from identities where user_id = users.id and provider = 'email');
    end if;
end $$;
