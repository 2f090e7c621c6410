-- name: newest_vectors
-- Those without a vector come as well, so that it is known how many there are.
select s.id, v.embedding, s.sent_at
from (select s.id, s.text_sha256, {moment} as sent_at from search.live_{kind}s({filter}) s where {condition}
      order by {moment} desc, s.id desc limit $11::int) s
left join embedder.vector v on v.workspace_id = $10 and v.generation_id = '{generation}' and v.kind = '{kind}' and v.subject_id = s.id
  and v.text_sha256 = s.text_sha256 and v.part = 0
order by s.sent_at, s.id;

-- name: count_all
select x.kind, x.documents from (
  /*each union all*/
  select '{kind}' as kind, (select count(*) from search.live_{kind}s({filter}) s where {condition}) as documents
  /*end*/) x;

-- name: facets
with subject as materialized (
  /*each union all*/
  select '{kind}' as kind, s.id, s.source_id, s.language, {columns}
  from search.live_{kind}s({filter}) s where {condition} and ($10::uuid[] is null or s.id = any ($10::uuid[]))
  /*end*/),
counted as (
  select 'kind' as key, s.kind as value, '' as title, count(*) as n from subject s where 'kind' = any ($11::text[]) group by s.kind
  union all
  select 'source', s.source_id::text, max(o.title), count(*) from subject s
  join ingest.source o on o.workspace_id = $12 and o.id = s.source_id where 'source' = any ($11::text[]) group by s.source_id
  union all
  select 'author', s.author, max(s.author_name), count(*) from subject s
  where 'author' = any ($11::text[]) and s.author is not null group by s.author
  union all
  select 'thread', s.thread, '', count(*) from subject s where 'thread' = any ($11::text[]) and s.thread is not null group by s.thread
  union all
  select 'topic', t.id::text, max(t.title), count(*) from (
    select s.topic_id from subject s where s.topic_id is not null
    union all
    select tm.topic_id from subject s
    join extractor.topic_message tm on tm.workspace_id = $12 and tm.message_id = s.id where s.kind = 'message') b
  join extractor.topic t on t.workspace_id = $12 and t.id = b.topic_id and t.retired_at is null
  where 'topic' = any ($11::text[]) group by t.id
  union all
  select 'label', s.label, '', count(*) from subject s where 'label' = any ($11::text[]) and s.label is not null group by s.label
  union all
  select 'atom_type', s.type, '', count(*) from subject s where 'atom_type' = any ($11::text[]) and s.type is not null group by s.type
  union all
  select 'approval_state', s.approval_state, '', count(*) from subject s
  where 'approval_state' = any ($11::text[]) and s.approval_state is not null group by s.approval_state
  union all
  select 'language', s.language, '', count(*) from subject s where 'language' = any ($11::text[]) group by s.language
  union all
  -- Each month is written once, not each moment.
  select 'month', to_char(c.month, 'YYYY-MM'), '', c.n from (
    select date_trunc('month', s.moment at time zone 'utc') as month, count(*) as n from subject s
    where 'month' = any ($11::text[]) and s.moment is not null group by 1) c),
placed as (
  select c.*, row_number() over (partition by c.key order by c.n desc, c.value) as place, count(*) over (partition by c.key) as distinct_values
  from counted c)
select p.key, p.value, p.title, p.n, p.distinct_values from placed p where p.place <= $13::int
union all
select '', '', '', (select count(*) from subject), 0
order by key, n desc, value;

-- name: group_by_topic
select 'message' as kind, tm.message_id as id, t.id as topic_id
from extractor.topic_message tm
join extractor.topic t on t.workspace_id = $1 and t.id = tm.topic_id and t.retired_at is null
where tm.workspace_id = $1 and tm.message_id = any ($2::uuid[])
union all
select 'atom', a.id, t.id from extractor.atom a
join extractor.topic t on t.workspace_id = $1 and t.id = a.topic_id and t.retired_at is null
where a.workspace_id = $1 and a.id = any ($2::uuid[]);

-- name: group_by_conversation
select x.kind, x.id, x.source_id, s.title as source_title, x.thread_id from (
  select 'message' as kind, m.id, m.source_id, m.thread_id from ingest.message m
  where m.workspace_id = $1 and m.id = any ($2::uuid[])
  union all
  -- Where it was said first, by what is live if anything is; what a person keeps may have no evidence left.
  select 'atom', a.id, coalesce(e.source_id, a.source_id), coalesce(e.thread_id, '') from extractor.atom a
  left join lateral (
    select m.source_id, m.thread_id
    from extractor.atom_evidence x join ingest.message m on m.workspace_id = $1 and m.id = x.message_id
    where x.workspace_id = $1 and x.atom_id = a.id
    order by m.deleted_at is not null, x.position, x.message_id limit 1) e on true
  where a.workspace_id = $1 and a.id = any ($2::uuid[])
  union all
  select 'topic', t.id, t.source_id, '' from extractor.topic t where t.workspace_id = $1 and t.id = any ($2::uuid[])) x
join ingest.source s on s.workspace_id = $1 and s.id = x.source_id;

-- name: highlight
select t.n::int as n, ts_headline('spine.chat', t.text, $2::text::tsquery, $3) as marked
from unnest($1::text[]) with ordinality as t (text, n);
