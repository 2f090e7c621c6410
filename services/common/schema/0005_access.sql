-- Who may do what: one writer per table, every row behind its workspace, and the few functions that see across schemas.

-- The role that owns the functions of the spine sees all workspaces; nobody can log in as it.
do $$
declare t record;
begin
  for t in select c.oid::regclass as name, n.nspname, c.relname
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where n.nspname in ('spine', 'ingest', 'extractor', 'embedder') and c.relkind in ('r', 'p')
             and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id' and not a.attisdropped)
  loop
    execute format('alter table %s enable row level security', t.name);
    execute format('alter table %s force row level security', t.name);
    execute format('create policy own_workspace on %s using (workspace_id = spine.current_workspace()) with check (workspace_id = spine.current_workspace())', t.name);
    execute format('create policy spine_sees_all on %s to winnow_spine using (true) with check (true)', t.name);
    execute format('grant select on %s to winnow_spine', t.name);
  end loop;
end $$;

grant usage on schema spine, ingest, extractor, embedder to winnow_spine;
grant insert, update, delete on spine.task, spine.event to winnow_spine;
grant select, insert, update on spine.hint_stream to winnow_spine;
grant select on embedder.generation to winnow_spine;

grant usage on schema spine to winnow_relay, winnow_ingest, winnow_extractor, winnow_embedder, winnow_search;

-- ingest
grant usage on schema ingest to winnow_ingest, winnow_extractor, winnow_embedder, winnow_search;
grant select, insert, update on ingest.source, ingest.message to winnow_ingest;
grant select on ingest.source, ingest.message to winnow_extractor, winnow_embedder, winnow_search;

-- extractor
grant usage on schema extractor to winnow_extractor, winnow_embedder, winnow_search;
grant select, insert, update, delete on all tables in schema extractor to winnow_extractor;
grant select on extractor.atom, extractor.topic to winnow_embedder;
grant select on extractor.atom, extractor.topic, extractor.atom_evidence, extractor.topic_message, extractor.atom_link to winnow_search;

-- embedder
grant usage on schema embedder to winnow_embedder, winnow_search;
grant select, insert, update, delete on embedder.vector to winnow_embedder;
grant select on embedder.generation to winnow_embedder, winnow_search;
grant select on embedder.vector to winnow_search;

-- Makes the tasks that embed subjects in every live generation; a null hash asks that the subject's vectors be removed.
create function spine.enqueue_embedding(p_workspace uuid, p_kind text, p_subjects uuid[], p_hashes bytea[], p_reopen boolean default false)
  returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce(sum(spine.enqueue(p_workspace, 'embed', chosen.subjects, chosen.specs, now(), p_reopen)), 0)::bigint
  from (
    select array_agg(x.subject_id) as subjects,
           array_agg(p_kind || ':' || g.id || ':' || coalesce(encode(x.hash, 'hex'), 'gone')) as specs
    from unnest(p_subjects, p_hashes) as x (subject_id, hash), embedder.generation g
    where g.state in ('building', 'serving')) chosen
  where chosen.subjects is not null;
end;

-- Everything that must have vectors: live messages, atoms and topics with text.
create view spine.embeddable as
  select m.workspace_id, 'message'::text as kind, m.id as subject_id, m.text_sha256 from ingest.message m
  where m.deleted_at is null and m.text <> ''
  union all
  select a.workspace_id, 'atom', a.id, a.text_sha256 from extractor.atom a where a.retired_at is null
  union all
  select t.workspace_id, 'topic', t.id, t.text_sha256 from extractor.topic t where t.retired_at is null;
alter view spine.embeddable owner to winnow_spine;

-- What has no current vector in a generation.
create function spine.missing_vectors(p_workspace uuid, p_generation uuid, p_limit bigint default null)
  returns table (kind text, subject_id uuid, text_sha256 bytea)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select e.kind, e.subject_id, e.text_sha256 from spine.embeddable e
  where e.workspace_id = p_workspace and not exists (
    select from embedder.vector v
    where v.workspace_id = p_workspace and v.generation_id = p_generation and v.kind = e.kind
      and v.subject_id = e.subject_id and v.part = 0 and v.text_sha256 = e.text_sha256)
  limit p_limit;
end;

-- Vectors whose subject is gone or has other text.
create function spine.stale_vectors(p_workspace uuid, p_generation uuid, p_limit bigint default null)
  returns table (kind text, subject_id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select v.kind, v.subject_id from embedder.vector v
  where v.workspace_id = p_workspace and v.generation_id = p_generation and v.part = 0 and not exists (
    select from spine.embeddable e
    where e.workspace_id = p_workspace and e.kind = v.kind and e.subject_id = v.subject_id and e.text_sha256 = v.text_sha256)
  limit p_limit;
end;

create function spine.workspaces() returns table (workspace_id uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select w.workspace_id from spine.workspace w order by 1;
end;

create function spine.stages(p_workspace uuid)
  returns table (stage text, ready bigint, scheduled bigint, leased bigint, done bigint, dead bigint, oldest_seconds double precision)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select t.stage,
    count(*) filter (where t.state = 'ready' and t.available_at <= now()),
    count(*) filter (where t.state = 'ready' and t.available_at > now()),
    count(*) filter (where t.state = 'leased'),
    count(*) filter (where t.state = 'done'),
    count(*) filter (where t.state = 'dead'),
    coalesce(extract(epoch from now() - min(greatest(t.created_at, t.available_at))
      filter (where t.state = 'leased' or t.state = 'ready' and t.available_at <= now())), 0)
  from spine.task t where t.workspace_id = p_workspace group by t.stage order by t.stage;
end;

create function spine.tasks(p_workspace uuid, p_state text, p_stage text, p_after uuid, p_limit int)
  returns table (id uuid, stage text, subject_id uuid, spec text, state text, attempts int, error_class text, error text,
    created_at timestamptz, available_at timestamptz)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select t.id, t.stage, t.subject_id, t.spec, t.state, t.attempts, coalesce(t.error_class, ''), coalesce(t.error, ''),
    t.created_at, t.available_at
  from spine.task t
  where t.workspace_id = p_workspace and (p_state = '' or t.state = p_state) and (p_stage = '' or t.stage = p_stage) and t.id > p_after
  order by t.id limit p_limit;
end;

create function spine.gauges(p_workspace uuid)
  returns table (messages bigint, messages_noise bigint, messages_weak bigint, messages_signal bigint, messages_skipped bigint,
    atoms bigint, topics bigint, vectors bigint, vectors_missing bigint, vectors_stale bigint, extractions_inconsistent bigint,
    leases_expired bigint, messages_unwindowed bigint, messages_in_open_windows bigint, tokens_spent bigint, serving_model text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  with serving as (select g.id, g.model from embedder.generation g where g.state = 'serving'),
  -- Texts are left out of it, so that two narrow indexes answer.
  message as (
    select m.id, m.importance_label as label, false as skipped from ingest.message m
    where m.workspace_id = p_workspace and m.deleted_at is null and m.text <> ''
    union all
    select m.id, m.importance_label, true from ingest.message m
    where m.workspace_id = p_workspace and m.deleted_at is null and m.text = ''),
  live as (
    select count(*) as messages,
      count(*) filter (where m.label = 'noise') as noise,
      count(*) filter (where m.label = 'weak') as weak,
      count(*) filter (where m.label = 'signal') as signal,
      count(*) filter (where m.skipped) as skipped
    from message m),
  stale as (select count(*) as n from serving s, spine.stale_vectors(p_workspace, s.id) x),
  held as (select count(*) as n from embedder.vector v, serving s
    where v.workspace_id = p_workspace and v.generation_id = s.id and v.part = 0)
  select live.messages, live.noise, live.weak, live.signal, live.skipped,
    (select count(*) from extractor.atom a where a.workspace_id = p_workspace and a.retired_at is null),
    (select count(*) from extractor.topic t where t.workspace_id = p_workspace and t.retired_at is null),
    held.n - stale.n,
    case when exists (select from serving)
      then (select count(*) from serving s, spine.missing_vectors(p_workspace, s.id) x)
      else (select count(*) from spine.embeddable e where e.workspace_id = p_workspace) end,
    stale.n,
    (select count(*) from (
        select distinct on (r.task_id) r.task_id, r.atom_count from extractor.run r
        where r.workspace_id = p_workspace order by r.task_id, r.id desc) last
      join spine.task t on t.workspace_id = p_workspace and t.id = last.task_id
      where t.stage = 'extract' and t.state = 'done' and t.result_count <> last.atom_count),
    (select count(*) from spine.task t where t.workspace_id = p_workspace and t.state = 'leased' and t.lease_until < now() - interval '2 minutes'),
    -- The first in the order of an index, since `exists` would be planned as if most tasks were open.
    case when (select t.id from spine.task t
        where t.workspace_id = p_workspace and t.stage = 'window' and t.state in ('ready', 'leased') and t.available_at <= now()
        order by t.state, t.id limit 1) is not null
      then 0 else (select count(*) from message m
        where not exists (select from extractor.window_message w where w.workspace_id = p_workspace and w.message_id = m.id)
          and not exists (select from extractor.pending_message p where p.workspace_id = p_workspace and p.message_id = m.id)) end,
    (select count(*) from extractor.pending_message p where p.workspace_id = p_workspace),
    (select coalesce(sum(r.tokens_in + r.tokens_out), 0)::bigint from extractor.run r where r.workspace_id = p_workspace),
    coalesce((select s.model from serving s), '')
  from live, stale, held;
end;

-- The functions that see all workspaces run as the role that may.
do $$
declare f record;
begin
  for f in select p.oid::regprocedure as name from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'spine' and p.prosecdef
  loop
    execute format('alter function %s owner to winnow_spine', f.name);
    execute format('revoke execute on function %s from public', f.name);
  end loop;
end $$;
revoke execute on function embedder.open_generation from public;

grant execute on function spine.find_api_key, spine.stages, spine.tasks, spine.gauges, spine.replay
  to winnow_ingest, winnow_extractor, winnow_embedder, winnow_search;
grant execute on function spine.enqueue to winnow_ingest, winnow_extractor, winnow_embedder;
grant execute on function spine.enqueue_embedding to winnow_ingest, winnow_extractor, winnow_embedder;
grant execute on function spine.announce to winnow_ingest, winnow_extractor, winnow_embedder;
grant execute on function spine.claim, spine.extend, spine.complete, spine.fail, spine.release to winnow_extractor, winnow_embedder;
grant execute on function spine.missing_vectors, spine.stale_vectors to winnow_embedder, winnow_search;
grant execute on function spine.workspaces to winnow_extractor, winnow_embedder;
grant execute on function spine.take_hints, spine.return_hints, spine.forget_hints, spine.take_events, spine.forget_events to winnow_relay;
grant execute on function embedder.open_generation to winnow_embedder;
