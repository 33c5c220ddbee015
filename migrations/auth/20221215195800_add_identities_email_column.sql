do $$ begin
    if not exists (select from pg_attribute where attrelid = 'identities'::regclass and attname = 'email') then
        update identities
        set identity_data = identity_data || jsonb_build_object('email', (select users.email from users where users.id = user_id)),
            updated_at = '2022-11-25'
        where provider = 'email' and identity_data ->> 'email' is null;
        alter table identities add column email text generated always as (lower(identity_data ->> 'email')) stored;
    end if;
end $$;

comment on column identities.email is 'Auth: Email is a generated column that references the optional email property in the identity_data';

create index if not exists identities_email_idx on identities (email text_pattern_ops);

comment on index identities_email_idx is 'Auth: Ensures indexed queries on the email column';
