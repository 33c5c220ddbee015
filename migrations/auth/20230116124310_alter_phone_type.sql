-- The hash that replaces a deleted user's number is longer than a number. Where a view hinders that, all else works.
do $$ begin
    if exists (
        select from pg_attribute
        where attrelid = 'users'::regclass and attname in ('phone', 'phone_change') and atttypid <> 'text'::regtype
    ) then
        alter table users alter column phone type text, alter column phone_change type text;
    end if;
exception when feature_not_supported or dependent_objects_still_exist or internal_error then
    raise warning 'users.phone and users.phone_change stay varchar(15) because other objects depend on them: %', sqlerrm;
end $$;
