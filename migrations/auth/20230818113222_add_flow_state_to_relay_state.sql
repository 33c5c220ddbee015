alter table saml_relay_states
    add column if not exists flow_state_id uuid
        constraint saml_relay_states_flow_state_id_fkey references flow_state (id) on delete cascade;
