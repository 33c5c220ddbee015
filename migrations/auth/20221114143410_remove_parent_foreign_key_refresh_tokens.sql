alter table refresh_tokens
    drop constraint if exists refresh_tokens_parent_fkey;
