-- Mail that is written with the act that causes it and sent after: nothing for what was rolled back, nothing lost.
create table if not exists truegate.outbox (
    id uuid not null,
    kind text not null,
    recipient text not null,
    subject text not null,
    html text not null,
    plain text,
    created_at timestamptz not null,
    attempts integer not null default 0,
    next_attempt_at timestamptz not null,
    last_error text,
    given_up_at timestamptz,
    constraint outbox_pkey primary key (id)
);

create index if not exists outbox_due_idx on truegate.outbox (next_attempt_at) where given_up_at is null;
