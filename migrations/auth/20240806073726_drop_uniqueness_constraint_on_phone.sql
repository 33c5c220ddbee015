-- A number may serve several users, once each. The index had another name in the databases of 20240729123726.
alter table mfa_factors
    drop constraint if exists mfa_factors_phone_key;

do $$ begin
    if to_regclass('unique_phone_factor_per_user') is not null then
        drop index if exists unique_verified_phone_factor;
    elsif to_regclass('unique_verified_phone_factor') is not null then
        alter index unique_verified_phone_factor rename to unique_phone_factor_per_user;
    else
        create unique index unique_phone_factor_per_user on mfa_factors (user_id, phone);
    end if;
end $$;
