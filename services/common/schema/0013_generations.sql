-- Generations change while all is served, and what can wait never goes before what is fresh.

-- Lane 0 is what somebody waits for; lane 1 is backfill, of which the relay hints only a window at a time.
alter table spine.task add column lane smallint not null default 0 check (lane in (0, 1));

drop index spine.task_hint;
create index task_hint on spine.task (hint_at) where hint_at is not null and lane = 0;
create index task_hint_backfill on spine.task (hint_at) where hint_at is not null and lane = 1 and hint_count = 0;
create index task_hinted_backfill on spine.task (hint_at) where hint_at is not null and lane = 1 and hint_count > 0;

-- Workspaces whose backfill is to wait.
create table spine.paused_backfill (workspace_id uuid primary key, created_at timestamptz not null default now());
alter table spine.paused_backfill enable row level security;
alter table spine.paused_backfill force row level security;
create policy own_workspace on spine.paused_backfill using (workspace_id = spine.current_workspace())
  with check (workspace_id = spine.current_workspace());
create policy spine_sees_all on spine.paused_backfill to winnow_spine using (true) with check (true);
grant select on spine.paused_backfill to winnow_spine;
grant select, insert, delete on spine.paused_backfill to winnow_workspace;

-- Takes up to p_limit tasks that are due for a hint, and schedules their next one: twice as long each time, at most p_again_max.
-- Of the backfill only so many are taken that p_backfill_max are hinted and not done; a hint that was lost is repeated all the same.
drop function spine.take_hints;
create function spine.take_hints(p_limit int, p_again interval, p_again_max interval, p_backfill_max int default 1024)
  returns table (workspace_id uuid, id uuid, stage text, lane smallint)
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with fresh as (
    select t.workspace_id, t.id from spine.task t
    where t.hint_at <= now() and t.lane = 0 order by t.hint_at limit p_limit for update skip locked),
  again as (
    select t.workspace_id, t.id from spine.task t
    where t.hint_at <= now() and t.lane = 1 and t.hint_count > 0 order by t.hint_at limit p_limit for update skip locked),
  backfill as (
    select t.workspace_id, t.id from spine.task t
    where t.hint_at <= now() and t.lane = 1 and t.hint_count = 0
      and not exists (select from spine.paused_backfill p where p.workspace_id = t.workspace_id)
    order by t.hint_at
    limit greatest(0, least(p_limit, p_backfill_max - (
      select count(*) from spine.task h where h.hint_at is not null and h.lane = 1 and h.hint_count > 0)))
    for update skip locked),
  due as (select * from fresh union all select * from again union all select * from backfill)
  update spine.task t
  set hint_at = now() + least(p_again * power(2, least(t.hint_count, 16)), p_again_max), hint_count = t.hint_count + 1
  from due where t.workspace_id = due.workspace_id and t.id = due.id
  returning t.workspace_id, t.id, t.stage, t.lane;
end;

create function spine.pause_backfill(p_workspace uuid, p_paused boolean) returns void
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  delete from spine.paused_backfill p where p.workspace_id = p_workspace and not p_paused;
  insert into spine.paused_backfill (workspace_id) select p_workspace where p_paused on conflict do nothing;
end;

create function spine.is_backfill_paused(p_workspace uuid) returns boolean
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select exists (select from spine.paused_backfill p where p.workspace_id = p_workspace);
end;

-- Makes the tasks that embed subjects in one generation, or reopens those that are done; they wait behind all that is fresh.
create function spine.enqueue_backfill(
  p_workspace uuid, p_generation uuid, p_kind text, p_subjects uuid[], p_hashes bytea[], p_available_at timestamptz default now()
) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with made as (
    insert into spine.task as t (workspace_id, stage, subject_id, spec, available_at, hint_at, lane)
    select distinct p_workspace, 'embed', x.subject_id,
      p_kind || ':' || p_generation || ':' || coalesce(encode(x.hash, 'hex'), 'gone'), p_available_at, p_available_at, 1
    from unnest(p_subjects, p_hashes) as x (subject_id, hash) order by 3, 4
    on conflict (workspace_id, stage, subject_id, spec) do update
      set state = 'ready', attempts = 0, available_at = excluded.available_at, hint_at = excluded.hint_at, hint_count = 0,
          result_count = null, error_class = null, error = null, finished_at = null, lane = excluded.lane
      where t.state = 'done'
    returning 1)
  select count(*) from made;
end;

-- Forgets the tasks of a generation that nobody keeps any more.
create function spine.forget_generation(p_generation uuid) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  with gone as (
    delete from spine.task t where t.stage = 'embed' and split_part(t.spec, ':', 2) = p_generation::text returning 1)
  select count(*) from gone;
end;

-- One that served before is kept complete in standby, so that a roll back is instant.
alter table embedder.generation
  add column reference text not null default '',
  add column hnsw_m int not null default 16,
  add column hnsw_ef_construction int not null default 64,
  add column retired_at timestamptz,
  drop constraint generation_state_check,
  add constraint generation_state_check check (state in ('building', 'serving', 'standby', 'retired')),
  drop constraint generation_digest_pooling_query_prefix_passage_prefix_key;
create unique index generation_model on embedder.generation (digest, pooling, query_prefix, passage_prefix)
  where state <> 'retired';

-- Vectors of what serves are wanted at once; those of other generations are backfill.
create or replace function spine.enqueue_embedding(p_workspace uuid, p_kind text, p_subjects uuid[], p_hashes bytea[], p_reopen boolean default false)
  returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce((
      select spine.enqueue(p_workspace, 'embed', array_agg(x.subject_id),
        array_agg(p_kind || ':' || g.id || ':' || coalesce(encode(x.hash, 'hex'), 'gone')), now(), p_reopen)
      from unnest(p_subjects, p_hashes) as x (subject_id, hash), embedder.generation g
      where g.state = 'serving' having count(*) > 0), 0)
    + coalesce((
      select sum(spine.enqueue_backfill(p_workspace, g.id, p_kind, p_subjects, p_hashes))
      from embedder.generation g where g.state in ('building', 'standby') and cardinality(p_subjects) > 0), 0)::bigint;
end;

-- The name of the partition of a generation.
create function embedder.partition_of(p_generation uuid) returns text
  language sql immutable
  return 'vector_' || replace(p_generation::text, '-', '');

-- Makes a generation with its partition, and its HNSW index unless that is built once all is written; or finds the same one.
-- Attaching a partition that stands already keeps nobody from reading and writing the others.
create function embedder.start_generation(
  p_model text, p_reference text, p_digest text, p_dimensions int, p_pooling text, p_query_prefix text, p_passage_prefix text,
  p_m int, p_ef_construction int, p_bulk boolean
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
    return found_one;
  end if;
  serves := not exists (select from embedder.generation where state = 'serving');
  insert into embedder.generation (model, reference, digest, dimensions, pooling, query_prefix, passage_prefix, hnsw_m,
    hnsw_ef_construction, state, promoted_at)
  values (p_model, p_reference, p_digest, p_dimensions, p_pooling, p_query_prefix, p_passage_prefix, p_m, p_ef_construction,
    case when serves then 'serving' else 'building' end, case when serves then now() end)
  returning * into found_one;
  partition := embedder.partition_of(found_one.id);
  execute format('create table embedder.%I (like embedder.vector including defaults including constraints)', partition);
  execute format('alter table embedder.%I add check (vector_dims(embedding) = %s)', partition, p_dimensions);
  execute format('alter table embedder.%I enable row level security, force row level security', partition);
  if not p_bulk then
    execute format(
      'create index %I on embedder.%I using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops) with (m = %s, ef_construction = %s)',
      partition || '_hnsw', partition, p_dimensions, p_m, p_ef_construction);
  end if;
  execute format('alter table embedder.vector attach partition embedder.%I for values in (%L)', partition, found_one.id);
  return found_one;
end $$;

create or replace function embedder.open_generation(
  p_model text, p_digest text, p_dimensions int, p_pooling text, p_query_prefix text, p_passage_prefix text,
  p_m int default 16, p_ef_construction int default 64
) returns embedder.generation
  language sql security definer set search_path = pg_catalog, public, pg_temp
as $$
  select embedder.start_generation(p_model, '', p_digest, p_dimensions, p_pooling, p_query_prefix, p_passage_prefix, p_m,
    p_ef_construction, false);
$$;

-- How far the HNSW index of a generation is: none, invalid, building or ready; the parts of a build are null while nobody builds.
create function embedder.index_state(p_generation uuid)
  returns table (state text, phase text, done bigint, total bigint)
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  with part as (select to_regclass('embedder.' || embedder.partition_of(p_generation)) as oid),
  progress as (
    select p.phase, greatest(p.tuples_done, p.blocks_done) as done, greatest(p.tuples_total, p.blocks_total) as total
    from pg_stat_progress_create_index p, part where p.relid = part.oid and p.datname = current_database() limit 1),
  known as (
    select count(*) filter (where i.indisvalid) as valid, count(*) filter (where not i.indisvalid) as invalid
    from part join pg_index i on i.indrelid = part.oid join pg_class c on c.oid = i.indexrelid
    join pg_am a on a.oid = c.relam where a.amname = 'hnsw')
  select case when known.valid > 0 then 'ready' when progress.phase is not null then 'building'
      when known.invalid > 0 then 'invalid' else 'none' end,
    progress.phase, progress.done, progress.total
  from known left join progress on true;
$$;

-- Builds the HNSW index of a generation if it has no valid one, and removes those that are invalid; true if it did anything.
-- Reads go on meanwhile; writes to this generation wait.
create function embedder.build_index(p_generation uuid, p_memory_mb int) returns boolean
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare g embedder.generation; partition text := embedder.partition_of(p_generation); each record; acted boolean := false;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('embedder.build_index:' || p_generation::text, 0)) then
    return false;
  end if;
  select * into g from embedder.generation where id = p_generation and state <> 'retired';
  if not found or to_regclass('embedder.' || partition) is null then
    return false;
  end if;
  for each in select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
              where i.indrelid = to_regclass('embedder.' || partition) and a.amname = 'hnsw' and not i.indisvalid
  loop
    execute format('drop index embedder.%I', each.relname);
    acted := true;
  end loop;
  if not exists (select from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
                 where i.indrelid = to_regclass('embedder.' || partition) and a.amname = 'hnsw') then
    perform set_config('maintenance_work_mem', p_memory_mb || 'MB', true);
    execute format(
      'create index %I on embedder.%I using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops) with (m = %s, ef_construction = %s)',
      partition || '_hnsw', partition, g.dimensions, g.hnsw_m, g.hnsw_ef_construction);
    acted := true;
  end if;
  return acted;
end $$;

-- What a generation lacks, in all workspaces.
create function embedder.generation_debt(p_generation uuid) returns table (missing bigint, dead bigint)
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select coalesce(sum(d.missing), 0)::bigint, coalesce(sum(d.dead), 0)::bigint
  from spine.workspaces() w cross join lateral spine.embedding_debt(
    w.workspace_id, p_generation, array['message', 'atom', 'topic'], 'ffffffff-ffff-ffff-ffff-ffffffffffff') d;
$$;

-- Lets searches read another generation; refused while it is not complete, unless forced. What served before stands by.
create function embedder.promote_generation(p_generation uuid, p_force boolean) returns embedder.generation
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare g embedder.generation; lacks bigint; index text;
begin
  perform pg_advisory_xact_lock(hashtextextended('embedder.open_generation', 0));
  select * into g from embedder.generation where id = p_generation;
  if not found then
    raise exception 'no generation %', p_generation using errcode = 'no_data_found';
  elsif g.state = 'retired' then
    raise exception 'generation % is retired: its vectors are gone', p_generation
      using errcode = 'object_not_in_prerequisite_state';
  elsif g.state = 'serving' then
    return g;
  end if;
  if not p_force then
    select d.missing into lacks from embedder.generation_debt(p_generation) d;
    select s.state into index from embedder.index_state(p_generation) s;
    if lacks > 0 then
      raise exception 'generation % lacks % vectors', p_generation, lacks
        using errcode = 'object_not_in_prerequisite_state';
    elsif index <> 'ready' then
      raise exception 'the index of generation % is not ready (%)', p_generation, index
        using errcode = 'object_not_in_prerequisite_state';
    end if;
  end if;
  update embedder.generation set state = 'standby' where state = 'serving';
  update embedder.generation set state = 'serving', promoted_at = now() where id = p_generation returning * into g;
  return g;
end $$;

-- Retires a generation that does not serve. Its vectors go with drop_generation, once nobody can be reading them.
create function embedder.retire_generation(p_generation uuid) returns embedder.generation
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
declare g embedder.generation;
begin
  perform pg_advisory_xact_lock(hashtextextended('embedder.open_generation', 0));
  select * into g from embedder.generation where id = p_generation;
  if not found then
    raise exception 'no generation %', p_generation using errcode = 'no_data_found';
  elsif g.state = 'serving' then
    raise exception 'generation % serves searches: promote another one first', p_generation
      using errcode = 'object_not_in_prerequisite_state';
  elsif g.state <> 'retired' then
    update embedder.generation set state = 'retired', retired_at = now() where id = p_generation returning * into g;
  end if;
  return g;
end $$;

-- The retired generations whose vectors have not been dropped.
create function embedder.undropped_generations() returns table (id uuid, retired_seconds double precision)
  language sql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
  select g.id, extract(epoch from now() - g.retired_at)::double precision from embedder.generation g
  where g.state = 'retired' and to_regclass('embedder.' || embedder.partition_of(g.id)) is not null;
$$;

-- Drops the vectors of a retired generation. The lock that this takes is on all vectors: the caller sets a short lock_timeout.
create function embedder.drop_generation(p_generation uuid) returns void
  language plpgsql security definer set search_path = pg_catalog, public, pg_temp
as $$
begin
  if exists (select from embedder.generation where id = p_generation and state = 'retired') then
    execute format('drop table if exists embedder.%I', embedder.partition_of(p_generation));
  end if;
end $$;

do $$
declare f text;
begin
  foreach f in array array['take_hints(int, interval, interval, int)', 'enqueue_backfill', 'forget_generation'] loop
    execute format('alter function spine.%s owner to winnow_spine', f);
    execute format('revoke execute on function spine.%s from public', f);
  end loop;
  -- Only those that make and drop tables and indexes, or see who builds one, keep the rights of the schema's owner.
  foreach f in array array['generation_debt', 'promote_generation', 'retire_generation', 'undropped_generations'] loop
    execute format('alter function embedder.%s owner to winnow_spine', f);
  end loop;
  foreach f in array array['pause_backfill', 'is_backfill_paused'] loop
    execute format('alter function spine.%s owner to winnow_workspace', f);
    execute format('revoke execute on function spine.%s from public', f);
  end loop;
end $$;
revoke execute on function embedder.start_generation, embedder.index_state, embedder.build_index, embedder.generation_debt,
  embedder.promote_generation, embedder.retire_generation, embedder.undropped_generations, embedder.drop_generation from public;
grant update on embedder.generation to winnow_spine;
grant execute on function embedder.index_state to winnow_spine;
grant execute on function spine.take_hints to winnow_relay;
grant execute on function spine.pause_backfill, spine.is_backfill_paused, spine.enqueue_backfill, spine.forget_generation,
  embedder.start_generation, embedder.index_state, embedder.build_index, embedder.generation_debt, embedder.promote_generation,
  embedder.retire_generation, embedder.undropped_generations, embedder.drop_generation to winnow_embedder;
