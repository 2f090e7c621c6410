-- name: has_source
select exists (select from ingest.source s where s.workspace_id = $1 and s.id = $2);

-- name: count_named
select count(*) as found, count(*) filter (where m.deleted_at is null) as live
from ingest.message m where m.workspace_id = $1 and m.id = any ($2::uuid[]);

-- name: missing
select x.id from unnest($2::uuid[]) as x (id)
where not exists (select from ingest.message m where m.workspace_id = $1 and m.id = x.id)
order by x.id limit 1;

-- name: chosen_windows
-- The closed windows that hold chosen messages.
select distinct w.window_id
from ingest.message m
join extractor.window_message w on w.workspace_id = m.workspace_id and w.message_id = m.id
where m.workspace_id = $1 and m.deleted_at is null
  and case when cardinality($2::uuid[]) > 0 then m.id = any ($2) else
    ($3::uuid is null or m.source_id = $3) and ($4::timestamptz is null or m.sent_at >= $4)
    and ($5::timestamptz is null or m.sent_at < $5) end;

-- name: weigh_windows
-- What reading each of some windows would take. They are given, so that the planner knows how many they are: for a few it would
-- read every message there is, or for all of them one after another.
select c.window_id, count(m.id) filter (where m.importance_label <> 'noise') as messages,
  coalesce(sum(length(m.text)) filter (where m.importance_label <> 'noise'), 0) as characters,
  exists (select from extractor.run r where r.workspace_id = $1 and r.window_id = c.window_id) as was_read
from unnest($2::uuid[]) as c (window_id)
left join extractor.window_message w on w.workspace_id = $1 and w.window_id = c.window_id
left join ingest.message m on m.workspace_id = $1 and m.id = w.message_id and m.deleted_at is null
group by c.window_id order by c.window_id;

-- name: chosen_open
-- The sources with chosen messages that are in no closed window: they wait in open ones, or were only just accepted.
select distinct m.source_id
from ingest.message m
where m.workspace_id = $1 and m.deleted_at is null
  and not exists (select from extractor.window_message w where w.workspace_id = m.workspace_id and w.message_id = m.id)
  and case when cardinality($2::uuid[]) > 0 then m.id = any ($2) else
    ($3::uuid is null or m.source_id = $3) and ($4::timestamptz is null or m.sent_at >= $4)
    and ($5::timestamptz is null or m.sent_at < $5) end
order by m.source_id;

-- name: count_period
select count(*) from ingest.message m
where m.workspace_id = $1 and m.deleted_at is null and ($2::uuid is null or m.source_id = $2)
  and ($3::timestamptz is null or m.sent_at >= $3) and ($4::timestamptz is null or m.sent_at < $4);

-- name: characters
select coalesce(sum(length(m.text)), 0) from ingest.message m where m.workspace_id = $1 and m.id = any ($2::uuid[]);

-- name: measured
select count(*) as runs, coalesce(sum(r.tokens_in + r.tokens_out), 0)::bigint as tokens,
  coalesce(sum(r.duration_seconds), 0) as seconds, coalesce(sum(r.message_count - r.noise_count), 0)::bigint as messages
from (
  select * from extractor.run x
  where x.workspace_id = $1 and x.engine = $2 and x.message_count > x.noise_count
  order by x.id desc limit 200) r;
