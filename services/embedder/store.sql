-- name: start_generation
select id, model, reference, digest, dimensions, pooling, query_prefix, passage_prefix, state, created_at, promoted_at
from embedder.start_generation($1, $2, $3, $4, $5, $6, $7, $8);

-- name: live_generations
select id, model, reference, digest, dimensions, pooling, query_prefix, passage_prefix, state, created_at, promoted_at
from embedder.generation where state <> 'retired' order by id;

-- name: retired_generation
-- Whether what a model makes with its prefixes is only that of retired generations, while another one serves.
with same as (select g.state from embedder.generation g
  where g.digest = $1 and g.pooling = $2 and g.query_prefix = $3 and g.passage_prefix = $4)
select exists (select from same where state = 'retired') and not exists (select from same where state <> 'retired')
  and exists (select from embedder.generation where state = 'serving');

-- name: list_generations
select g.id, g.model, g.reference, g.digest, g.dimensions, g.pooling, g.query_prefix, g.passage_prefix, g.state, g.created_at,
  g.promoted_at, case when g.state <> 'retired' then (select i.state from embedder.index_state(g.id) i) end as index_state,
  (select count(*) from embedder.vector v where v.workspace_id = $1 and v.generation_id = g.id) as vectors
from embedder.generation g
where ($2::uuid is null or g.id < $2) and ($3::uuid is null or g.id = $3)
order by g.id desc limit $4;

-- name: promote_generation
select id, model, reference, digest, dimensions, pooling, query_prefix, passage_prefix, state, created_at, promoted_at
from embedder.promote_generation($1, $2);

-- name: lock_generations
-- As start_generation and promote_generation lock: which generation serves stays so until the transaction ends.
select pg_advisory_xact_lock(hashtextextended('embedder.open_generation', 0));

-- name: retire_generation
select id, model, reference, digest, dimensions, pooling, query_prefix, passage_prefix, state, created_at, promoted_at
from embedder.retire_generation($1);

-- name: forget_generation
select subject_id, spec from spine.forget_generation($1, $2, $3, $4, $5);

-- name: wake_parked
select spine.wake_parked($1, $2);

-- name: wake_failing
select spine.wake_failing($1, $2);

-- name: undropped_generations
select id, retired_seconds from embedder.undropped_generations();

-- name: drop_generation
select embedder.drop_generation($1);

-- name: index_state
select state, phase, done, total from embedder.index_state($1);

-- name: segments
select s.until::text as until, s.rows, s.m, coalesce(i.indisvalid, false) as is_valid
from embedder.segment s
left join pg_index i on i.indexrelid = to_regclass(format('embedder.%I', s.index_name))
where s.generation_id = $1 order by s.until;

-- name: outside
-- What is in no graph, counted up to a limit, and from which transaction on nothing is written yet.
select embedder.count_outside($1, $2) as rows, pg_snapshot_xmax(pg_current_snapshot())::text as horizon;

-- name: has_foreign
select embedder.has_foreign($1);

-- name: forget_foreign_segments
delete from embedder.segment s where s.generation_id = $1 and s.until > pg_snapshot_xmax(pg_current_snapshot());

-- name: number_anew
-- Older than everything.
update embedder.vector v set written = '0'
where v.workspace_id = $1 and v.generation_id = $2 and v.ctid = any (array(
  select x.ctid from embedder.vector x
  where x.workspace_id = $1 and x.generation_id = $2 and x.written >= pg_snapshot_xmax(pg_current_snapshot()) limit $3))
returning 1;

-- name: table_rows
-- As far as the statistics know.
select c.reltuples::bigint from pg_class c where c.oid = to_regclass('embedder.' || embedder.partition_of($1));

-- name: stray_indexes
-- Graphs that no search asks for: a build was broken off, or another one holds their vectors.
select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
where i.indrelid = to_regclass('embedder.' || embedder.partition_of($1)) and a.amname = 'hnsw'
  and not exists (select from embedder.segment s where s.generation_id = $1 and s.index_name = c.relname);

-- name: try_lock_build
-- Until the session gives it back.
select pg_try_advisory_lock(hashtextextended('embedder.build_index:' || $1::uuid::text, 0));

-- name: unlock_build
select pg_advisory_unlock(hashtextextended('embedder.build_index:' || $1::uuid::text, 0));

-- name: building
-- As the owner of the vectors, whose session waits for transactions that began before, however long they take. Others read and write
-- meanwhile, so one process builds, unless nothing else is done with what is built.
select set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false),
  set_config('maintenance_work_mem', $1::int || 'MB', false), set_config('max_parallel_maintenance_workers', $2, false),
  set_config('role', 'winnow_vectors', false);

-- name: built
select set_config('role', 'winnow_embedder', false);

-- name: replace_segments
-- By the graph of a stretch, which knows how many vectors were put into it.
with replaced as (
  delete from embedder.segment s where s.generation_id = $1 and s.until > $2::text::xid8 and s.until <= $3::text::xid8 and s.until <> $3::text::xid8)
insert into embedder.segment (generation_id, until, index_name, rows, m)
select $1, $3::text::xid8, $4, c.reltuples, $5 from pg_class c where c.oid = to_regclass(format('embedder.%I', $4::text))
on conflict (generation_id, until) do update set index_name = excluded.index_name, rows = excluded.rows, m = excluded.m;

-- name: resume_backfills
select spine.resume_backfills();

-- name: is_backfill_paused
select spine.is_backfill_paused($1);

-- name: pause_backfill
select spine.pause_backfill($1, $2);

-- name: lock_generation
-- Who retires a generation waits for those that write to it; who writes afterwards sees that it is retired.
select pg_advisory_xact_lock_shared(hashtextextended('embedder.generation:' || $1::uuid::text, 0));

-- name: lock_generation_alone
select pg_advisory_xact_lock(hashtextextended('embedder.generation:' || $1::uuid::text, 0));

-- name: is_live
select exists (select from embedder.generation where id = $1 and state <> 'retired');

-- name: read_subjects
-- The live subjects among $3 (messages), $4 (atoms) and $5 (topics), how many current vectors each has already, and whether any.
with subject as (
  select 'message' as kind, m.id as subject_id, m.text, m.text_sha256, m.source_id, m.sent_at
  from ingest.message m
  where m.workspace_id = $1 and m.id = any ($3::uuid[]) and m.deleted_at is null and m.text <> ''
  union all
  select 'atom', a.id, a.title || E'\n' || a.content, a.text_sha256, a.source_id, a.valid_from
  from extractor.atom a
  where a.workspace_id = $1 and a.id = any ($4::uuid[]) and a.retired_at is null
  union all
  select 'topic', t.id, t.title, t.text_sha256, t.source_id, t.created_at
  from extractor.topic t
  where t.workspace_id = $1 and t.id = any ($5::uuid[]) and t.retired_at is null)
select s.kind, s.subject_id, s.text, s.text_sha256, s.source_id, s.sent_at,
  case when of_it.whole then of_it.current else 0 end as vectors, of_it.held
from subject s
cross join lateral (
  select count(*) filter (where v.text_sha256 = s.text_sha256)::int as current,
    bool_or(v.part = 0 and v.text_sha256 = s.text_sha256) as whole, count(*) > 0 as held
  from embedder.vector v
  where v.workspace_id = $1 and v.generation_id = $2 and v.kind = s.kind and v.subject_id = s.subject_id) of_it;

-- name: current_texts
select 'message' as kind, m.id as subject_id, m.text_sha256
from ingest.message m
where m.workspace_id = $1 and m.id = any ($2::uuid[]) and m.deleted_at is null and m.text <> ''
union all
select 'atom', a.id, a.text_sha256
from extractor.atom a
where a.workspace_id = $1 and a.id = any ($3::uuid[]) and a.retired_at is null
union all
select 'topic', t.id, t.text_sha256
from extractor.topic t
where t.workspace_id = $1 and t.id = any ($4::uuid[]) and t.retired_at is null;

-- name: lock_for_writing
-- Writers share the lock of a workspace's vectors.
select pg_advisory_xact_lock_shared(hashtextextended('embedder.vector:' || $1::uuid::text, 0));

-- name: lock_for_removing
-- Who removes waits until every writer has committed, since rows that are not committed cannot be seen and removed.
select pg_advisory_xact_lock(hashtextextended('embedder.vector:' || $1::uuid::text, 0));

-- name: add_vectors
-- Looking for what they might replace would make each half as dear again. What is the same in
-- all rows, of kind, part and source, is sent once; in replace_vectors, too.
insert into embedder.vector
  (workspace_id, generation_id, kind, subject_id, part, text_sha256, embedding, source_id, sent_at)
select $1, $2, coalesce(x.kind, ($3)[1]), x.subject_id, coalesce(x.part, ($5)[1]), x.text_sha256, x.embedding,
  coalesce(x.source_id, ($8)[1]), x.sent_at
from unnest($3::text[], $4::uuid[], $5::int[], $6::bytea[], $7::halfvec[], $8::uuid[], $9::timestamptz[])
  as x (kind, subject_id, part, text_sha256, embedding, source_id, sent_at);

-- name: replace_vectors
-- The rows come sorted by key: who has to wait for some waits for the first of them.
insert into embedder.vector as v
  (workspace_id, generation_id, kind, subject_id, part, text_sha256, embedding, source_id, sent_at)
select $1, $2, coalesce(x.kind, ($3)[1]), x.subject_id, coalesce(x.part, ($5)[1]), x.text_sha256, x.embedding,
  coalesce(x.source_id, ($8)[1]), x.sent_at
from unnest($3::text[], $4::uuid[], $5::int[], $6::bytea[], $7::halfvec[], $8::uuid[], $9::timestamptz[])
  as x (kind, subject_id, part, text_sha256, embedding, source_id, sent_at)
on conflict (workspace_id, generation_id, kind, subject_id, part) do update
set text_sha256 = excluded.text_sha256, embedding = excluded.embedding,
  source_id = excluded.source_id, sent_at = excluded.sent_at, written = excluded.written
where v.text_sha256 <> excluded.text_sha256;

-- name: remove_surplus
-- Whole keys are asked for as lists here and below: a join with a list would read a generation whole until it is analysed.
delete from embedder.vector v
where v.workspace_id = $1 and v.generation_id = $2 and v.kind = any ($3::text[]) and v.subject_id = any ($4::uuid[])
  and v.part >= ($5::int[])[array_position($4::uuid[], v.subject_id)];

-- name: ask_for_merging
select spine.enqueue_merging($1, $2, $3, $4, $5);

-- name: remove_outdated
with current as materialized (
  select 'message' as kind, m.id as subject_id, m.text_sha256
  from ingest.message m
  where m.workspace_id = $1 and m.id = any ($4::uuid[]) and m.deleted_at is null and m.text <> ''
  union all
  select 'atom', a.id, a.text_sha256
  from extractor.atom a
  where a.workspace_id = $1 and a.id = any ($4::uuid[]) and a.retired_at is null
  union all
  select 'topic', t.id, t.text_sha256
  from extractor.topic t
  where t.workspace_id = $1 and t.id = any ($4::uuid[]) and t.retired_at is null)
delete from embedder.vector v
where v.workspace_id = $1 and v.generation_id = $2 and v.kind = any ($3::text[]) and v.subject_id = any ($4::uuid[])
  and not exists (
    select from current c where c.kind = v.kind and c.subject_id = v.subject_id and c.text_sha256 = v.text_sha256);

-- name: now
select now();

-- name: workspaces
select workspace_id from spine.workspaces();

-- name: embeddable_until
select spine.embeddable_until($1, $2, $3, $4);

-- name: vectors_to_ask_for
select kind, subject_id, text_sha256 from spine.vectors_to_ask_for($1, $2, $3, $4, $5, $6, $7);

-- name: stale_vectors
-- What an erasure under way names is left to it, so that its receipt counts it; but not for ever.
with erased as materialized (
  select 'message' as kind, x.id from ingest.erasure e cross join lateral unnest(e.message_ids) as x (id)
  where e.workspace_id = $1 and e.created_at > now() - $4::interval and not exists (
    select from embedder.erasure d
    where d.workspace_id = $1 and d.operation_id = e.operation_id and d.of_what = 'messages' and d.chunk = e.chunk)
  union all
  select x.kind, x.id from extractor.erasure e
  cross join lateral (select 'atom', unnest(e.atom_ids) union all select 'topic', unnest(e.topic_ids)) as x (kind, id)
  where e.workspace_id = $1 and e.created_at > now() - $4::interval and not exists (
    select from embedder.erasure d
    where d.workspace_id = $1 and d.operation_id = e.operation_id and d.of_what = 'knowledge' and d.chunk = e.chunk))
select s.subject_id, s.is_stale and not exists (select from erased e where e.kind = $5 and e.id = s.subject_id) as is_stale
from spine.stale_vectors($1, $2, $5, $6, $3) s order by s.subject_id;

-- name: embedding_debt
select kind, missing, dead from spine.embedding_debt($1, $2, $3, $4::uuid, $5::uuid);

-- name: erased_subjects
select 'message' as kind, x.id from ingest.erasure e cross join lateral unnest(e.message_ids) as x (id)
where $3::text = 'messages' and e.workspace_id = $1 and e.operation_id = $2 and e.chunk = $4
union all
select 'atom', x.id from extractor.erasure e cross join lateral unnest(e.atom_ids) as x (id)
where $3::text = 'knowledge' and e.workspace_id = $1 and e.operation_id = $2 and e.chunk = $4
union all
select 'topic', x.id from extractor.erasure e cross join lateral unnest(e.topic_ids) as x (id)
where $3::text = 'knowledge' and e.workspace_id = $1 and e.operation_id = $2 and e.chunk = $4;

-- name: remove_vectors
with gone as (
  delete from embedder.vector v
  where v.workspace_id = $1 and v.generation_id = any (array(select id from embedder.generation))
    and v.kind = any ($2::text[]) and v.subject_id = any ($3::uuid[])
  returning 1)
select count(*)::int from gone;

-- name: add_erasure
insert into embedder.erasure (workspace_id, operation_id, of_what, chunk, vectors) values ($1, $2, $3, $4, $5);
