-- refresh_tokens_token_unique serves the same look-ups.
drop index if exists refresh_tokens_token_idx;
