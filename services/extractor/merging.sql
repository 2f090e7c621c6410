-- name: serving
select g.id, g.dimensions, array(
  select s.until::text from embedder.segment s where s.generation_id = g.id order by s.until) as bounds
from embedder.generation g where g.state = 'serving';

-- name: sample
-- Vectors of a kind that stand for the whole of their text, spread over all times by their hash.
select v.embedding
from (
  select s.subject_id from embedder.vector s
  where s.workspace_id = $1 and s.generation_id = $2 and s.kind = $3 and s.part = 0
  order by uuid_hash(s.subject_id), s.subject_id limit $4) x
join embedder.vector v on v.workspace_id = $1 and v.generation_id = $2 and v.kind = $3 and v.part = 0 and v.subject_id = x.subject_id;

-- name: count_vectors
-- Counted no further than matters.
select count(*) from (
  select from embedder.vector v where v.workspace_id = $1 and v.generation_id = $2 and v.kind = $3 and v.part = 0 limit $4) x;

-- name: claims
-- The live atoms among the given ones, and those that people invalidated, with their own evidence and how near their vectors are.
select a.id, a.type, a.title, a.content, a.window_id, a.valid_from, a.valid_to,
  case
    when a.invalidated_at is not null or a.approval_state = 'rejected' and a.judged_by = 'person' then 'rejected'
    when a.origin = 'person' or a.approval_state = 'approved' and a.judged_by = 'person' then 'approved'
    when a.valid_to is not null and a.superseded_by is null or exists (
      select from extractor.review r where r.workspace_id = a.workspace_id and r.atom_id = a.id and r.verdict = 'edited') then 'approved'
    else '' end as judgement,
  array(select encode(m.text_sha256, 'hex') || ' ' || extract(epoch from m.sent_at) || ' ' || m.author_name
        from extractor.atom_evidence e
        join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id
        where e.workspace_id = a.workspace_id and e.atom_id = a.id and e.via_atom_id is null order by e.message_id) as messages,
  array(select distinct coalesce(nullif(m.author_name, ''), m.author_external_id)
        from extractor.atom_evidence e
        join ingest.message m on m.workspace_id = e.workspace_id and m.id = e.message_id
        where e.workspace_id = a.workspace_id and e.atom_id = a.id and e.via_atom_id is null) as speakers,
  1 - (v.embedding <=> s.embedding) as cosine
from extractor.atom a
left join embedder.vector v on v.workspace_id = a.workspace_id and v.generation_id = $3 and v.kind = 'atom'
  and v.subject_id = a.id and v.part = 0 and v.text_sha256 = a.text_sha256
left join embedder.vector s on s.workspace_id = a.workspace_id and s.generation_id = $3 and s.kind = 'atom'
  and s.subject_id = $4 and s.part = 0
where a.workspace_id = $1 and a.id = any ($2::uuid[]) and a.merged_into is null
  and (a.retired_at is null or a.invalidated_at is not null);

-- name: kept_apart
-- Which of some atoms or topics, with what was merged into them, people took apart.
with member as materialized (
  select a.id, coalesce(a.merged_into, a.id) as of_id from extractor.atom a
  where a.workspace_id = $1 and (a.id = any ($2::uuid[]) or a.merged_into = any ($2::uuid[]))
  union all
  select t.id, coalesce(t.merged_into, t.id) from extractor.topic t
  where t.workspace_id = $1 and (t.id = any ($2::uuid[]) or t.merged_into = any ($2::uuid[])))
select distinct f.of_id as first_id, s.of_id as second_id
from member f
join extractor.kept_apart k on k.workspace_id = $1 and k.first_id = f.id
join member s on s.id = k.second_id and s.of_id <> f.of_id;

-- name: same_text
select a.id from extractor.atom a
where a.workspace_id = $1 and a.text_sha256 = $3 and a.id <> $2 and a.merged_into is null
  and (a.retired_at is null or a.invalidated_at is not null)
order by a.id limit $4;

-- name: same_evidence
-- Live atoms that cite a message which this one cites too, those with most in common first: windows overlap, or the same message
-- came in from two sources. Each step is fenced, so that it is taken for what the one before found, however little is known of the
-- tables: of a workspace that they had no row of when they were last analyzed, all messages would be compared with all.
select x.id
from (
  select o.atom_id as id, count(*) as shared
  from extractor.atom_evidence e
  cross join lateral (
    select m.sent_at, m.text_sha256 from ingest.message m where m.workspace_id = $1 and m.id = e.message_id offset 0) m
  cross join lateral (
    select t.id from ingest.message t
    where t.workspace_id = $1 and t.sent_at = m.sent_at and t.text_sha256 = m.text_sha256 and t.deleted_at is null offset 0) t
  cross join lateral (
    select o.atom_id from extractor.atom_evidence o
    where o.workspace_id = $1 and o.message_id = t.id and o.atom_id <> $2 and o.via_atom_id is null offset 0) o
  where e.workspace_id = $1 and e.atom_id = $2 and e.via_atom_id is null
  group by o.atom_id offset 0) x
cross join lateral (
  select from extractor.atom a
  where a.workspace_id = $1 and a.id = x.id and a.merged_into is null and (a.retired_at is null or a.invalidated_at is not null)
  limit 1) a
order by x.shared desc, x.id
limit $3;

-- name: nearest_exact
select v.subject_id as id
from embedder.vector v
where v.workspace_id = $1 and v.generation_id = $2 and v.kind = $3 and v.part = 0 and v.subject_id <> $4
order by (v.embedding <=> (
  select s.embedding from embedder.vector s
  where s.workspace_id = $1 and s.generation_id = $2 and s.kind = $3 and s.subject_id = $4 and s.part = 0)) + 0, v.subject_id
limit $5;

-- name: nearest_hnsw
-- Each graph is walked, and what is in none yet is compared whole.
with own as materialized (
  select s.embedding::halfvec({dimensions}) as vector from embedder.vector s
  where s.workspace_id = $1 and s.generation_id = '{generation}' and s.kind = $2 and s.subject_id = $3 and s.part = 0)
select n.id
from (/*segment*/
  (select v.subject_id as id, (v.embedding::halfvec({dimensions})) <=> (select o.vector from own o) as distance
   from embedder.vector v
   where v.workspace_id = $1 and v.generation_id = '{generation}' and {segment} and v.kind = $2 and v.part = 0 and v.subject_id <> $3
   order by (v.embedding::halfvec({dimensions})) <=> (select o.vector from own o) limit $4)
  union all/*end segment*/
  (select v.subject_id as id, (v.embedding::halfvec({dimensions})) <=> (select o.vector from own o) as distance
   from embedder.vector v
   where v.workspace_id = $1 and v.generation_id = '{generation}' and {outside} and v.kind = $2 and v.part = 0 and v.subject_id <> $3
   order by (v.embedding::halfvec({dimensions})) <=> (select o.vector from own o) limit $4)) n
order by n.distance, n.id limit $4;

-- name: topic_claims
-- The live topics among the given ones, in which windows they were talked about, and whether a person gave them their titles.
select t.id, t.title, t.title_key,
  exists (select from extractor.topic_version v
    where v.workspace_id = t.workspace_id and v.topic_id = t.id and v.title = t.title
      and v.is_persons) as is_named,
  array(select distinct m.window_id from extractor.topic_message m
        where m.workspace_id = t.workspace_id and m.topic_id = t.id order by m.window_id) as windows,
  1 - (v.embedding <=> s.embedding) as cosine
from extractor.topic t
left join embedder.vector v on v.workspace_id = t.workspace_id and v.generation_id = $3 and v.kind = 'topic'
  and v.subject_id = t.id and v.part = 0 and v.text_sha256 = t.text_sha256
left join embedder.vector s on s.workspace_id = t.workspace_id and s.generation_id = $3 and s.kind = 'topic'
  and s.subject_id = $4 and s.part = 0
where t.workspace_id = $1 and t.id = any ($2::uuid[]) and t.retired_at is null;

-- name: same_title
select t.id from extractor.topic t
where t.workspace_id = $1 and t.text_sha256 = $3 and t.id <> $2 and t.retired_at is null
order by t.id limit $4;

-- name: text_of
select 'atom' as kind, a.text_sha256 from extractor.atom a where a.workspace_id = $1 and a.id = $2 and a.retired_at is null
union all
select 'topic', t.text_sha256 from extractor.topic t where t.workspace_id = $1 and t.id = $2 and t.retired_at is null;

-- name: horizon
-- The serving generation on this server, and a transaction: what a later snapshot shows and one of now does not was written by it or after it.
select g.id as generation, pg_postmaster_start_time() as server, pg_snapshot_xmin(pg_current_snapshot())::text as until
from embedder.generation g where g.state = 'serving';

-- name: embedded_since
-- The live atoms and topics whose current vectors a transaction or a later one wrote.
select v.kind, v.subject_id, v.text_sha256
from embedder.vector v
where v.workspace_id = $1 and v.generation_id = $2 and v.written >= $3::text::xid8 and v.kind in ('atom', 'topic') and v.part = 0
  and case v.kind
    when 'atom' then exists (
      select from extractor.atom a
      where a.workspace_id = $1 and a.id = v.subject_id and a.text_sha256 = v.text_sha256 and a.retired_at is null)
    else exists (
      select from extractor.topic t
      where t.workspace_id = $1 and t.id = v.subject_id and t.text_sha256 = v.text_sha256 and t.retired_at is null) end;
