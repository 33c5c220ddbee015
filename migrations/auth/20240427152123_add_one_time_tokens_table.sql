do $$ begin
    if to_regtype('one_time_token_type') is null then
        create type one_time_token_type as enum (
            'confirmation_token', 'reauthentication_token', 'recovery_token',
            'email_change_token_new', 'email_change_token_current', 'phone_change_token'
        );
    end if;
end $$;

-- The times hold UTC without saying so. Links that are under way when the table is made stay alive: until then only
-- the users' own columns knew them. Codes typed by hand are looked up there still.
do $$ begin
    if to_regclass('one_time_tokens') is null then
        create table one_time_tokens (
            id uuid not null,
            user_id uuid not null,
            token_type one_time_token_type not null,
            token_hash text not null,
            relates_to text not null,
            created_at timestamp without time zone not null default now(),
            updated_at timestamp without time zone not null default now(),
            constraint one_time_tokens_pkey primary key (id),
            constraint one_time_tokens_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
            constraint one_time_tokens_token_hash_check check (char_length(token_hash) > 0)
        );
        insert into one_time_tokens (id, user_id, token_type, token_hash, relates_to, created_at, updated_at)
        select gen_random_uuid(), u.id, pending.kind::one_time_token_type, pending.hash, lower(coalesce(pending.contact, '')),
            pending.sent at time zone 'UTC', pending.sent at time zone 'UTC'
        from users u cross join lateral (values
            ('confirmation_token', u.confirmation_token, u.email, u.confirmation_sent_at),
            ('recovery_token', u.recovery_token, u.email, u.recovery_sent_at),
            ('email_change_token_new', u.email_change_token_new, u.email_change, u.email_change_sent_at),
            ('email_change_token_current', u.email_change_token_current, u.email, u.email_change_sent_at)
        ) pending (kind, hash, contact, sent)
        where pending.hash !~ '^[0-9 ]*$' and pending.sent is not null;
    end if;
end $$;

-- Some storage engines know no hash indexes.
do $$ begin
    create index if not exists one_time_tokens_token_hash_hash_idx on one_time_tokens using hash (token_hash);
    create index if not exists one_time_tokens_relates_to_hash_idx on one_time_tokens using hash (relates_to);
exception when feature_not_supported or internal_error then
    create index if not exists one_time_tokens_token_hash_hash_idx on one_time_tokens (token_hash);
    create index if not exists one_time_tokens_relates_to_hash_idx on one_time_tokens (relates_to);
end $$;

create unique index if not exists one_time_tokens_user_id_token_type_key on one_time_tokens (user_id, token_type);
