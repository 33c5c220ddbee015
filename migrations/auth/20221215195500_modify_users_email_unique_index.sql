-- Users of single sign-on may share an address with others.
alter table users
    add column if not exists is_sso_user boolean not null default false;

comment on column users.is_sso_user is 'Auth: Set this column to true when the account comes from SSO. These accounts can have duplicate emails.';

do $$ begin
    alter table users drop constraint if exists users_email_key;
exception when dependent_objects_still_exist then
    raise warning 'users_email_key stays because other objects depend on it: single sign-on cannot make users whose address is taken';
end $$;

create unique index if not exists users_email_partial_key on users (email) where (is_sso_user = false);

comment on index users_email_partial_key is 'Auth: A partial unique index that applies only when is_sso_user is false';
