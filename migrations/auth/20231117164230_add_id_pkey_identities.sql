-- What was the id becomes the provider's id of the user, and rows get an id of their own.
do $$ begin
    if not exists (select from pg_attribute where attrelid = 'identities'::regclass and attname = 'provider_id') then
        alter table identities rename column id to provider_id;
    end if;
    if not exists (select from pg_attribute where attrelid = 'identities'::regclass and attname = 'id') then
        alter table identities
            drop constraint if exists identities_pkey,
            add column id uuid not null default gen_random_uuid() constraint identities_pkey primary key;
    end if;
    if not exists (
        select from pg_constraint where conrelid = 'identities'::regclass and conname = 'identities_provider_id_provider_unique'
    ) then
        alter table identities add constraint identities_provider_id_provider_unique unique (provider_id, provider);
    end if;
end $$;
