alter table oauth_clients
    add column if not exists token_endpoint_auth_method text
        constraint oauth_clients_token_endpoint_auth_method_check
        check (token_endpoint_auth_method in ('client_secret_basic', 'client_secret_post', 'none'));

-- RFC 7591 §2: client_secret_basic unless the client says otherwise; public clients have no secret to show.
update oauth_clients
set token_endpoint_auth_method = case client_type when 'public' then 'none' else 'client_secret_basic' end
where token_endpoint_auth_method is null;

alter table oauth_clients
    alter column token_endpoint_auth_method set not null;
