-- What was the id becomes the provider's id of the user, and rows get an id of their own.
do $$ begin
    if not exists (select from pg_attribute where attrelid = 'identities'::regclass and attname = 'provider_id') then
        alter table identities rename column id to provider_id;
        alter table identities
            drop constraint identities_pkey,
            add constraint identities_provider_id_provider_unique unique (provider_id, provider),
            add column id uuid not null default gen_random_uuid() constraint identities_pkey primary key;
    end if;
end $$;
