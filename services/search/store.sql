-- name: compile_terms
-- What two forms come to is asked for once, and a whole word not beside its beginning.
with compiled as materialized (
  select distinct t.term, t.query::text as query
  from (
    select a.term, case a.match
      when 'whole' then phraseto_tsquery('spine.chat', a.text)
      when 'stem_start' then to_tsquery('spine.chat', a.text || ':*')
      else to_tsquery('pg_catalog.simple', a.text || ':*') end as query
    from unnest($1::int[], $2::text[], $3::text[]) as a (term, match, text)) t
  where numnode(t.query) > 0)
select c.term, array_agg(c.query order by c.query) as forms
from compiled c
where not exists (select from compiled b where b.term = c.term and b.query = c.query || ':*')
group by c.term order by c.term;

-- name: compile_constraint
-- What must be there comes first: an index finds that.
select string_agg(p.query, ' & ' order by p.must desc, p.query) as query
from (
  select w.must, case when w.must then '(' else '!(' end || f.query::text || ')' as query, numnode(f.query) as nodes
  from (select t.text, true as must from unnest($1::text[]) as t (text)
        union all
        select t.text, false from unnest($2::text[]) as t (text)) w
  -- What is joined is in the index whole and apart, so that it may be a part of something that is joined as well.
  cross join lateral (select case when spine.apart(w.text) = w.text then phraseto_tsquery('spine.chat', w.text)
    else phraseto_tsquery('spine.chat', w.text) || phraseto_tsquery('spine.chat', spine.apart(w.text)) end as query) f) p
where p.nodes > 0;

-- name: count_documents
/*each union all*/
select '{kind}' as kind, c.term, c.documents from search.count_{kind}s($1::uuid, $2::text[]::tsquery[], $3::int) c
/*end*/;

-- name: match_documents
select d.kind, d.id, d.terms, d.length
from (
  /*each union all*/
  select '{kind}' as kind, m.id, m.terms, m.length, m.score
  from search.match_{kind}s(
    {filter}, $11::text::tsquery, $12::text[]::tsquery[], $13::float8[], $14::float8, $15::float8, $16::float8, $17::int, $18::int,
    $19::int) m
  /*end*/) d
order by d.score desc, d.id limit $19::int;

-- name: match_documents_where
select d.kind, d.id, d.terms, d.length
from (
  /*each union all*/
  select '{kind}' as kind, m.id, m.terms, m.length, m.score
  from search.match_{kind}s(
    {filter}, $11::text::tsquery, $12::text[]::tsquery[], $13::float8[], $14::float8, $15::float8, $16::float8, $17::int, $18::int,
    $18::int) m
  where exists (select from search.live_{kind}s({filter}) s where s.id = m.id and {condition})
  /*end*/) d
order by d.score desc, d.id limit $19::int;

-- name: match_listed
-- The best of all that satisfies conditions and has some words, which are a part of the filter: conditions come first.
with found as materialized (
  /*each union all*/
  select '{kind}' as kind, s.id, s.words from search.live_{kind}s({filter}) s where {condition}
  /*end*/)
select d.kind, d.id, t.terms, length(d.words) as length
from found d cross join lateral (
  select coalesce(bit_or(1::bigint << (x.n - 1)::int), 0) as terms, coalesce(sum(x.weight), 0) as weight
  from unnest($11::text[]::tsquery[], $12::float8[]) with ordinality as x (query, weight, n) where d.words @@ x.query) t
order by t.weight / (1 + $13::float8 * (1 - $14::float8 + $14::float8 * greatest(length(d.words), $16::int) / $15::float8)) desc, d.id
limit $17::int;

-- name: words_like
select w.word from search.words_like($1, to_tsquery('pg_catalog.simple', $2 || ':*'), $2, $3::int) w;

-- name: newest_texts
select m.text from ingest.message m
where m.workspace_id = $1 and m.deleted_at is null and m.text <> ''
order by m.sent_at desc, m.id desc limit $2::int;

-- name: authors
-- The next few people by their ids, with the names of the first and the last of their messages that are there: each is a step in the
-- index, however much they wrote. Who wrote nothing that is left, and what bots are called, is left out; the row is there still.
with recursive author as (
  (select m.author_external_id as id from ingest.message m
   where m.workspace_id = $1 and m.author_external_id > $2 order by m.author_external_id limit 1)
  union all
  select (select m.author_external_id from ingest.message m
          where m.workspace_id = $1 and m.author_external_id > a.id order by m.author_external_id limit 1)
  from author a where a.id is not null)
select a.id, array(
  (select m.author_name from ingest.message m
   where m.workspace_id = $1 and m.author_external_id = a.id and m.deleted_at is null and not m.author_is_bot
   order by m.sent_at limit 1)
  union all
  (select m.author_name from ingest.message m
   where m.workspace_id = $1 and m.author_external_id = a.id and m.deleted_at is null and not m.author_is_bot
   order by m.sent_at desc limit 1)) as names
from (select id from author where id is not null limit $3::int) a;

-- name: written
-- How much some authors wrote, and how many messages have a word, each counted up to a limit.
select (select count(*) from (
    select from ingest.message m
    where m.workspace_id = $1 and m.author_external_id = any ($2::text[]) and m.deleted_at is null limit $4::int) w) as written,
  (select coalesce(sum(c.documents), 0)::bigint
   from search.count_messages($1::uuid, array[phraseto_tsquery('spine.chat', $3)], $5::int) c) as having;

-- name: vicinity
-- The messages around others and these themselves: what each is, and on which side of which other it stands. Who is seen from
-- several others comes as often. Those before, those after and the other itself are told apart by their side and come as they
-- are read, the nearest first, so that nothing is numbered, sorted or kept here: most of what this took was copying texts.
select array_agg(p.anchor::int) as anchors, array_agg(p.side) as sides, array_agg(p.id) as ids,
  -- Null where nobody asks: terms and lengths without words, and what fits without a filter.
  array_agg((
    select coalesce(bit_or(1::bigint << (t.n - 1)::int), 0)
    from unnest($12::text[]::tsquery[]) with ordinality as t (query, n) where p.words @@ t.query))
    filter (where cardinality($12::text[]) > 0) as terms,
  array_agg(length(p.words)) filter (where cardinality($12::text[]) > 0) as lengths,
  array_agg((select true from search.live_messages({filter}) s where s.id = p.id and {message_condition}) is not null)
    filter (where not $15::bool) as fits,
  array_agg(strpos(p.text, '?') > 0 and length(p.words) <= $17::int and p.text ~ '\?(\s|$)') as asks,
  -- What has several words is not mute; only the rest is looked at letter by letter.
  array_agg(length(p.words) <= 2 and p.text !~ '[[:alnum:]]') as mute,
  array_agg(p.external_id) as messages, array_agg(p.reply_to_external_id) as replies_to, array_agg(p.author_external_id) as authors,
  array_agg(p.author_name) as names, array_agg(split_part(left(p.text, 34), ' ', 1)) as openings
from (
  select u.anchor, n.*
  from unnest($11::uuid[]) with ordinality as u (id, anchor)
  -- Each by itself: before the first analysis the whole workspace seems to be a few rows, and would be read for them.
  cross join lateral (select x.* from ingest.message x where x.workspace_id = $10 and x.id = u.id offset 0) a
  cross join lateral (
    (select -1 as side, b.id, b.words, b.text, b.external_id, b.reply_to_external_id, b.author_external_id, b.author_name
     from ingest.message b
     where b.workspace_id = $10 and b.source_id = a.source_id and b.thread_id = a.thread_id and b.deleted_at is null
       and ($16::uuid is null or b.id <= $16)
       and (b.sent_at, b.id) < (a.sent_at, a.id) and b.sent_at >= a.sent_at - $13::interval
     order by b.sent_at desc, b.id desc limit $14::int)
    union all
    (select 1, b.id, b.words, b.text, b.external_id, b.reply_to_external_id, b.author_external_id, b.author_name
     from ingest.message b
     where b.workspace_id = $10 and b.source_id = a.source_id and b.thread_id = a.thread_id and b.deleted_at is null
       and ($16::uuid is null or b.id <= $16)
       and (b.sent_at, b.id) > (a.sent_at, a.id) and b.sent_at <= a.sent_at + $13::interval
     order by b.sent_at, b.id limit $14::int)
    union all
    (select 0, a.id, a.words, a.text, a.external_id, a.reply_to_external_id, a.author_external_id, a.author_name)) n) p
having count(*) > 0;

-- name: cosines
-- Each is looked up by itself; of messages only the vectors of the text that is there, as those around others may have none yet.
select k.kind, k.id, max(1 - ((v.embedding::halfvec({dimensions})) <=> q.vector::halfvec({dimensions}))) as cosine
from unnest($2::text[], $3::uuid[]) as k (kind, id)
cross join lateral (
  select x.embedding, x.text_sha256 from embedder.vector x
  where x.workspace_id = $1 and x.generation_id = '{generation}' and x.kind = k.kind and x.subject_id = k.id offset 0) v
cross join unnest($4::halfvec[]) as q (vector)
where k.kind <> 'message' or exists (
  select from ingest.message m where m.workspace_id = $1 and m.id = k.id and m.text_sha256 = v.text_sha256)
group by k.kind, k.id;

-- name: first_vectors
select v.embedding from embedder.vector v
where v.workspace_id = $1 and v.generation_id = '{generation}' and v.kind = 'message'
order by v.subject_id, v.part limit $2::int;

-- name: serving_generation
select g.id, g.model, g.dimensions, array(
  select s.until::text from embedder.segment s where s.generation_id = g.id order by s.until) as bounds
from embedder.generation g where g.state = 'serving';

-- name: complete_generation
-- One that serves, or that served before and stands by: both can be searched.
select g.id, g.model, g.dimensions, array(
  select s.until::text from embedder.segment s where s.generation_id = g.id order by s.until) as bounds
from embedder.generation g where g.id = $1 and g.state in ('serving', 'standby');

-- name: count_everything
-- Without a filter, counted up to a limit unless it is null. Messages with a text and those without have an index each, which tells it.
/*each union all*/
select '{kind}' as kind, (select count(*) from (select from {everything} limit $2::bigint) x) as documents
/*end*/;

-- name: messages
-- What is to be erased is not shown any more, though it may still be found.
select m.id, m.source_id, m.external_id, m.thread_id, m.reply_to_external_id, m.author_external_id, m.author_name,
  m.author_is_bot, m.text, m.sent_at, m.edited_at, m.received_at, m.entities, m.attachments, m.forwarded_from, m.importance_score,
  m.importance_label, m.importance_factors, m.importance_version, s.title as source_title
from ingest.message m
join ingest.source s on s.workspace_id = m.workspace_id and s.id = m.source_id
where m.workspace_id = $1 and m.id = any ($2::uuid[]) and m.deleted_at is null
  and not exists (
    select from ingest.message_to_erase t where t.workspace_id = m.workspace_id and t.message_id = m.id);

-- name: atoms
select a.id, a.source_id, a.type, a.title, a.content, a.confidence, a.approval_state, a.version, a.topic_id,
  t.title as topic_title, a.valid_from, a.valid_to, a.created_at, a.updated_at
from extractor.atom a
left join extractor.topic t on t.workspace_id = a.workspace_id and t.id = a.topic_id
where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.retired_at is null and a.approval_state <> 'rejected'
  and (a.valid_to is null or a.valid_to > statement_timestamp());

-- name: evidence
select e.atom_id, e.message_id, e.quote, e.quote_offset
from extractor.atom_evidence e
where e.workspace_id = $1 and e.atom_id = any ($2::uuid[])
order by e.atom_id, e.position, e.message_id;

-- name: topics
select t.id, t.source_id, t.title, t.version, coalesce(s.messages, 0) as message_count, coalesce(a.atoms, 0) as atom_count,
  s.first_at, s.last_at
from extractor.topic t
left join lateral (
  select count(*) as messages, min(m.sent_at) as first_at, max(m.sent_at) as last_at
  from extractor.topic_message tm
  join ingest.message m on m.workspace_id = tm.workspace_id and m.id = tm.message_id and m.deleted_at is null
  where tm.workspace_id = t.workspace_id and tm.topic_id = t.id) s on true
left join lateral (
  select count(*) as atoms from extractor.atom x
  where x.workspace_id = t.workspace_id and x.topic_id = t.id and x.retired_at is null and x.approval_state <> 'rejected') a on true
where t.workspace_id = $1 and t.id = any ($2::uuid[]) and t.retired_at is null;

-- name: freshness
-- What is seen of the tasks in some states, at most $4 of each; the last of them is told for one state.
select coalesce(sum(w.waiting), 0)::bigint as pending, coalesce(sum(w.waiting) filter (where s.state = 'dead'), 0)::bigint as dead,
  coalesce(min(w.oldest), now()) as searchable_up_to, bool_and(w.seen < $4::int) as is_all, any_value(w.last) as last
from unnest($2::text[]) as s (state) cross join lateral search.waiting($1::uuid, s.state, $3::uuid, $4::int) w;

-- name: pending_until
select f.pending, f.dead from search.pending_until($1::uuid, $2::timestamptz) f;

-- name: embedding_state
select search.embedding_state($1::uuid, $2::uuid);

-- name: count_missing
select count(*) as pending from spine.missing_vectors($1::uuid, '00000000-0000-0000-0000-000000000000', $2::bigint);

-- name: subject_vectors
select v.part, v.embedding from search.live_{kind}s({no_filter}, $1) s
join embedder.vector v on v.workspace_id = $1 and v.generation_id = '{generation}' and v.kind = '{kind}' and v.subject_id = s.id
  and v.text_sha256 = s.text_sha256
where s.id = $2 order by v.part;

-- name: vectors
select v.kind, v.subject_id as id, v.embedding from embedder.vector v
join unnest($2::text[], $3::uuid[]) as u (kind, id) on v.kind = u.kind and v.subject_id = u.id
where v.workspace_id = $1 and v.generation_id = '{generation}' and v.part = 0;
