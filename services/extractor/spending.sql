-- name: add_spent
insert into extractor.spent as s (workspace_id, day, tokens_in, tokens_out, model_calls)
values ($1, (now() at time zone 'UTC')::date, $2, $3, $4)
on conflict (workspace_id, day) do update
set tokens_in = s.tokens_in + excluded.tokens_in, tokens_out = s.tokens_out + excluded.tokens_out,
    model_calls = s.model_calls + excluded.model_calls;
