-- The id is what clients are called by; the column's constraint and index go with it.
alter table oauth_clients
    drop column if exists client_id;
