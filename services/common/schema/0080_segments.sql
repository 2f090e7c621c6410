-- Vectors go into no graph while they are written: an insert into pgvector's graph took as long as a third of encoding the text, and a build
-- in one go a quarter of that. So graphs are built over what was written in one stretch of transactions, when there is enough of it,
-- and from time to time over several stretches together. What is in no graph yet is compared whole.

-- The stretches of a generation that have a graph, the oldest first, each from where the one before ends: an HNSW index over what transactions
-- with lower numbers than `until` wrote, with so many vectors and neighbours when it was built. What is written later is in none.
create table embedder.segment (
  generation_id uuid not null references embedder.generation on delete cascade,
  until xid8 not null,
  index_name text not null,
  rows bigint not null check (rows >= 0),
  m int not null,
  primary key (generation_id, until)
);
grant select on embedder.segment to winnow_embedder, winnow_search, winnow_extractor, winnow_spine;
grant insert, update, delete on embedder.segment to winnow_embedder;

-- From so many vectors on that are in no graph one is built.
alter table embedder.generation add column segment_rows int not null default 4096 check (segment_rows > 0);

-- The tables of vectors belong to a role of their own, which the embedder takes on while it builds or drops an index: only an owner may
-- do that beside reads and writes, and only in a schema in which it may create.
do $$
declare partition regclass;
begin
  if not exists (select from pg_roles where rolname = 'winnow_vectors') then
    create role winnow_vectors nologin noinherit nosuperuser nobypassrls nocreatedb nocreaterole;
  end if;
  execute format('grant winnow_vectors to %I with inherit true, set true', current_user);
  grant winnow_vectors to winnow_embedder with inherit false, set true;
  grant usage, create on schema embedder to winnow_vectors;
  for partition in select i.inhrelid::regclass from pg_inherits i where i.inhparent = 'embedder.vector'::regclass loop
    execute format('alter table %s owner to winnow_vectors', partition);
  end loop;
end $$;

-- How many vectors of a generation are in no graph, counted up to a limit.
create function embedder.count_outside(p_generation uuid, p_limit bigint) returns bigint
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select count(*) from (
    select from embedder.vector v
    where v.generation_id = p_generation
      and v.written >= coalesce((select max(s.until) from embedder.segment s where s.generation_id = p_generation), '0')
    limit p_limit) x;
end;

-- Whether a generation has vectors with numbers that this server has yet to give: those of another one, from which a dump was restored.
create function embedder.has_foreign(p_generation uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select exists (select from embedder.segment s where s.generation_id = p_generation and s.until > pg_snapshot_xmax(pg_current_snapshot()))
    or exists (select from embedder.vector v where v.generation_id = p_generation and v.written >= pg_snapshot_xmax(pg_current_snapshot()));
end;
alter function embedder.count_outside owner to winnow_spine;
alter function embedder.has_foreign owner to winnow_spine;

-- How far the graphs of a generation are: invalid if one is not there or broken, none while much is in none, building while such a one is
-- built, or ready.
create or replace function embedder.index_state(p_generation uuid)
  returns table (state text, phase text, done bigint, total bigint)
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  with progress as (
    select p.phase, greatest(p.tuples_done, p.blocks_done) as done, greatest(p.tuples_total, p.blocks_total) as total
    from pg_stat_progress_create_index p
    where p.relid = to_regclass('embedder.' || embedder.partition_of(p_generation)) and p.datname = current_database() limit 1),
  known as (
    select g.segment_rows,
      exists (select from embedder.segment s where s.generation_id = g.id and not exists (
        select from pg_index i where i.indexrelid = to_regclass(format('embedder.%I', s.index_name)) and i.indisvalid)) as is_broken
    from embedder.generation g where g.id = p_generation),
  told as (
    select case when k.is_broken then 'invalid'
        when embedder.count_outside(p_generation, 4 * k.segment_rows + 1) > 4 * k.segment_rows then 'none' else 'ready' end as state
    from known k)
  select case when t.state <> 'ready' and p.phase is not null then 'building' else t.state end, p.phase, p.done, p.total
  from told t left join progress p on true;
$$;

-- Makes a generation with its partition, or finds the same one; the first of a deployment serves at once.
create function embedder.start_generation(
  p_model text, p_reference text, p_digest text, p_dimensions int, p_pooling text, p_query_prefix text, p_passage_prefix text,
  p_segment_rows int
) returns embedder.generation
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare found_one embedder.generation; partition text; serves boolean;
begin
  perform pg_advisory_xact_lock(hashtextextended('embedder.open_generation', 0));
  select * into found_one from embedder.generation g
  where g.digest = p_digest and g.pooling = p_pooling and g.query_prefix = p_query_prefix and g.passage_prefix = p_passage_prefix
    and g.state <> 'retired';
  if found then
    if found_one.dimensions <> p_dimensions then
      raise exception 'the generation of model % has % dimensions, not %', p_model, found_one.dimensions, p_dimensions
        using errcode = 'invalid_parameter_value';
    end if;
    if found_one.segment_rows <> p_segment_rows then
      update embedder.generation set segment_rows = p_segment_rows where id = found_one.id returning * into found_one;
    end if;
    return found_one;
  end if;
  serves := not exists (select from embedder.generation where state = 'serving');
  insert into embedder.generation (model, reference, digest, dimensions, pooling, query_prefix, passage_prefix, segment_rows, state,
    promoted_at)
  values (p_model, p_reference, p_digest, p_dimensions, p_pooling, p_query_prefix, p_passage_prefix, p_segment_rows,
    case when serves then 'serving' else 'building' end, case when serves then now() end)
  returning * into found_one;
  partition := embedder.partition_of(found_one.id);
  execute format('create table embedder.%I (like embedder.vector including defaults including constraints)', partition);
  perform spine.analyze_often(format('embedder.%I', partition)::regclass);
  execute format('alter table embedder.%I add check (vector_dims(embedding) = %s)', partition, p_dimensions);
  execute format('alter table embedder.%I enable row level security, force row level security', partition);
  execute format('alter table embedder.vector attach partition embedder.%I for values in (%L)', partition, found_one.id);
  execute format('alter table embedder.%I owner to winnow_vectors', partition);
  return found_one;
end $$;

-- As before, for replicas of the release before, which build no index any more.
create or replace function embedder.start_generation(
  p_model text, p_reference text, p_digest text, p_dimensions int, p_pooling text, p_query_prefix text, p_passage_prefix text,
  p_m int, p_ef_construction int, p_bulk boolean
) returns embedder.generation
  language sql security definer set search_path = pg_catalog, public, pg_temp
as $$
  select embedder.start_generation(p_model, p_reference, p_digest, p_dimensions, p_pooling, p_query_prefix, p_passage_prefix, 4096);
$$;
create or replace function embedder.is_outgrown(p_generation uuid, p_m int, p_rows_min bigint) returns boolean
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$ select false $$;
create or replace function embedder.build_index(p_generation uuid, p_memory_mb int) returns boolean
  language sql security definer set search_path = pg_catalog, public, pg_temp
as $$ select false $$;
drop function embedder.prepare_reindex(uuid, int, int);
drop function embedder.note_reindexed(uuid, int, int);
alter table embedder.generation drop column hnsw_m, drop column hnsw_ef_construction;

revoke execute on function embedder.count_outside, embedder.has_foreign,
  embedder.start_generation(text, text, text, int, text, text, text, int) from public;
grant execute on function embedder.count_outside, embedder.has_foreign,
  embedder.start_generation(text, text, text, int, text, text, text, int) to winnow_embedder;
do $$
begin
  execute format('grant execute on function embedder.count_outside to %I', current_user);
end $$;
