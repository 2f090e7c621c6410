-- name: spent_today
select coalesce(sum(r.tokens_in), 0)::bigint as tokens_in, coalesce(sum(r.tokens_out), 0)::bigint as tokens_out,
  coalesce(sum(r.model_calls), 0)::bigint as model_calls,
  count(*) filter (where r.outcome in ('invalid', 'cut_off', 'ungrounded')) as failed
from extractor.run r
where r.workspace_id = $1 and r.created_at >= date_trunc('day', now(), 'UTC');
