-- The identities of 20221125140132 had no sign-in, which old clients did not expect.
do $$ begin
    if not exists (select from pg_attribute where attrelid = 'identities'::regclass and attname = 'provider_id') then
        update identities
        set last_sign_in_at = '2022-11-25'
        where provider = 'email' and id = user_id::text
            and last_sign_in_at is null and created_at = '2022-11-25' and updated_at = '2022-11-25';
    end if;
end $$;
