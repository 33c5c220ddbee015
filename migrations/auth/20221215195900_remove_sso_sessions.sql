-- A table of 20221021082433 that was never used.
drop table if exists sso_sessions;
