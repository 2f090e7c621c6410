-- name: spent_today
select coalesce(sum(x.tokens_in), 0)::bigint as tokens_in, coalesce(sum(x.tokens_out), 0)::bigint as tokens_out,
  coalesce(sum(x.model_calls), 0)::bigint as model_calls, coalesce(sum(x.failed), 0)::bigint as failed
from (
  select r.tokens_in, r.tokens_out, r.model_calls, (r.outcome in ('invalid', 'cut_off', 'ungrounded'))::int as failed
  from extractor.run r
  where r.workspace_id = $1 and r.created_at >= date_trunc('day', now(), 'UTC')
  union all
  select s.tokens_in, s.tokens_out, s.model_calls, 0
  from extractor.spent s where s.workspace_id = $1 and s.day = (now() at time zone 'UTC')::date) x;
