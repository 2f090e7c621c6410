-- name: newest_vectors
-- Those without a vector come as well, so that it is known how many there are.
select s.id, v.embedding, s.sent_at
from (select s.id, s.text_sha256, {moment} as sent_at from search.live_{kind}s({filter}) s where {condition} and {founded}
      order by {moment} desc, s.id desc limit $11::int) s
left join embedder.vector v on v.workspace_id = $10 and v.generation_id = '{generation}' and v.kind = '{kind}' and v.subject_id = s.id
  and v.text_sha256 = s.text_sha256 and v.part = 0
order by s.sent_at, s.id;

-- name: count_all
select x.kind, x.documents from (
  /*each union all*/
  select '{kind}' as kind, (select count(*) from search.live_{kind}s({filter}) s where {condition} and {founded}) as documents
  /*end*/) x;

-- name: facets
-- All are counted in one pass: threads, authors, and the attributes of few values together, which are then told apart. What nobody
-- asks for is null, so that it costs nothing. The row without a key has how many subjects there are.
with subject as {kept} (
  /*each union all*/
  select '{kind}' as kind, {columns}
  from search.live_{kind}s({filter}) s where {condition} and {founded} and ($11::uuid[] is null or s.id = any ($11::uuid[]))
  /*end*/),
tallied as materialized (
  select s.kind, s.source_id, s.label, s.type, s.approval_state, s.language, s.month, s.author, s.author_name, s.thread, count(*) as n
  -- With a limit the server takes months for few, as they are, and sorts nothing.
  from (select * from subject offset 0) s
  group by grouping sets (
    (s.kind, s.source_id, s.label, s.type, s.approval_state, s.language, s.month), (s.author, s.author_name), (s.thread))),
counted as (
  select 'kind' as key, t.kind as value, '' as title, sum(t.n)::bigint as n from tallied t
  where 'kind' = any ($12::text[]) and t.kind is not null group by t.kind
  union all
  select 'source', t.source_id::text, max(o.title), sum(t.n)::bigint from tallied t
  join ingest.source o on o.workspace_id = $10 and o.id = t.source_id where 'source' = any ($12::text[]) group by t.source_id
  union all
  select 'author', t.author, max(t.author_name), sum(t.n)::bigint from tallied t
  where 'author' = any ($12::text[]) and t.author is not null group by t.author
  union all
  select 'thread', t.thread, '', t.n from tallied t where 'thread' = any ($12::text[]) and t.thread is not null
  union all
  select 'topic', t.id::text, t.title, b.n from (
    select x.topic_id as id, count(*) as n from (
      select s.topic_id from subject s where s.topic_id is not null
      union all
      select m.topic_id from subject s
      join extractor.topic_message m on m.workspace_id = $10 and m.message_id = s.id where s.kind = 'message') x
    where 'topic' = any ($12::text[]) group by x.topic_id) b
  join extractor.topic t on t.workspace_id = $10 and t.id = b.id and t.retired_at is null
  union all
  select 'label', t.label, '', sum(t.n)::bigint from tallied t
  where 'label' = any ($12::text[]) and t.label is not null group by t.label
  union all
  select 'atom_type', t.type, '', sum(t.n)::bigint from tallied t
  where 'atom_type' = any ($12::text[]) and t.type is not null group by t.type
  union all
  select 'approval_state', t.approval_state, '', sum(t.n)::bigint from tallied t
  where 'approval_state' = any ($12::text[]) and t.approval_state is not null group by t.approval_state
  union all
  select 'language', t.language, '', sum(t.n)::bigint from tallied t
  where 'language' = any ($12::text[]) and t.language is not null group by t.language
  union all
  select 'month', to_char(t.month, 'YYYY-MM'), '', sum(t.n)::bigint from tallied t
  where 'month' = any ($12::text[]) and t.month is not null group by t.month),
placed as (
  select c.*, row_number() over (partition by c.key order by c.n desc, c.value) as place, count(*) over (partition by c.key) as distinct_values
  from counted c where $14::text = '' or strpos(lower(c.title), lower($14)) > 0)
select p.key, p.value, p.title, p.n, p.distinct_values from placed p where p.place <= $13::int
union all
select '', '', '', (select coalesce(sum(t.n), 0)::bigint from tallied t where t.kind is not null), 0
order by key, n desc, value;

-- name: gone
-- Of some messages and atoms those that may not be shown: what is to be erased, and what rests on messages that no longer say it.
select t.message_id as id from ingest.message_to_erase t where t.workspace_id = $1 and t.message_id = any ($2::uuid[])
union
select e.atom_id from extractor.atom_evidence e
left join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id and m.deleted_at is null and not exists (
  select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id)
where e.workspace_id = $1 and e.atom_id = any ($3::uuid[])
group by e.atom_id having bool_or(strpos(m.text, e.quote) > 0) is not true;

-- name: settling
-- Of some messages those that prove nothing that holds any more, each atom that rests on one being replaced or ended by a person:
-- with what took their place and the messages that say so, what ended last first.
select 'ended' as what, x.id, coalesce(array_agg(distinct y.id) filter (where y.id is not null), '{}') as others, x.ended_at
from (
  select e.message_id as id, max(a.valid_to) as ended_at, array_agg(a.superseded_by) as successors
  from extractor.atom_evidence e
  join extractor.atom a on a.workspace_id = $1 and a.id = e.atom_id and a.retired_at is null and a.approval_state <> 'rejected'
  where e.workspace_id = $1 and e.message_id = any ($2::uuid[])
  group by e.message_id having bool_and(coalesce(a.valid_to <= statement_timestamp(), false))) x
left join lateral (
  select unnest(x.successors) as id
  union all
  select s.message_id from extractor.atom_evidence s where s.workspace_id = $1 and s.atom_id = any (x.successors)) y on y.id <> x.id
group by x.id, x.ended_at
union all
-- Of these and of some atoms those that only ask, if that is asked, with what was told to that: the atoms that tell it and the messages they rest on.
-- A message does if all that was read from it are questions and it says little else; what also tells is not put behind what it is told.
select 'asking', x.id, coalesce(array_agg(distinct y.id) filter (where y.id is not null), '{}'), null
from (
  select a.id, a.id as atom_id from extractor.atom a where a.workspace_id = $1 and a.id = any ($3::uuid[]) and a.type = 'question' and $4::bool
  union all
  select e.message_id, (array_agg(e.atom_id))[1]
  from extractor.atom_evidence e
  join extractor.atom a on a.workspace_id = $1 and a.id = e.atom_id and a.retired_at is null and a.approval_state <> 'rejected'
  join ingest.message m on m.workspace_id = $1 and m.id = e.message_id and length(m.words) <= $5::int
  where e.workspace_id = $1 and e.message_id = any ($2::uuid[]) and $4::bool
  group by e.message_id having bool_and(a.type = 'question')) x
left join lateral (
  select unnest(b.id || array(
    select e.message_id from extractor.atom_evidence e where e.workspace_id = $1 and e.atom_id = b.id)) as id
  from extractor.atom_link l
  join extractor.atom b on b.workspace_id = $1 and b.id = l.from_atom_id and b.type not in ('question', 'problem')
    and b.retired_at is null and b.approval_state <> 'rejected' and coalesce(b.valid_to > statement_timestamp(), true)
  where l.workspace_id = $1 and l.to_atom_id = x.atom_id and l.type in ('solves', 'relates_to')) y on y.id <> x.id
group by x.id
order by ended_at desc, id;

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

-- name: matching
select t.n::int as n from unnest($1::text[]) with ordinality as t (text, n)
where to_tsvector('spine.chat', t.text) @@ $2::text::tsquery;

-- name: highlight
select t.n::int as n, ts_headline('spine.chat', t.text, $2::text::tsquery, $3) as marked
from unnest($1::text[]) with ordinality as t (text, n);
