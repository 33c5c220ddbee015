alter table saml_relay_states
    drop column if exists from_ip_address;
