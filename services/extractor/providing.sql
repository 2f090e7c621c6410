-- name: spent_today
select coalesce(sum(s.tokens_in), 0)::bigint as tokens_in, coalesce(sum(s.tokens_out), 0)::bigint as tokens_out,
  coalesce(sum(s.model_calls), 0)::bigint as model_calls,
  (select count(*) from extractor.run r
   where r.workspace_id = $1 and r.created_at >= date_trunc('day', now(), 'UTC')
     and r.outcome in ('invalid', 'cut_off', 'ungrounded')) as failed
from extractor.spent s where s.workspace_id = $1 and s.day = (now() at time zone 'UTC')::date;
