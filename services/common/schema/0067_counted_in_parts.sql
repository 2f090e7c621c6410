-- What all rows of a workspace are compared for is found a part at a time, as 0065 has it: what a generation lacks, vectors of what is gone, and
-- the gauges.

-- As the function of the same name of all up to a time, of the subjects after one of them and up to another. Planned without loops, which look
-- each row up by itself: what is compared lies together in each index.
create function spine.embedding_debt(p_workspace uuid, p_generation uuid, p_kinds text[], p_after uuid, p_until uuid)
  returns table (kind text, missing bigint, dead bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_nestloop = off
  set plan_cache_mode = force_custom_plan
begin atomic
  with missing as materialized (
    select e.kind, e.subject_id, e.text_sha256 from spine.embeddable e
    where e.workspace_id = p_workspace and e.kind = any (p_kinds) and e.subject_id > p_after and e.subject_id <= p_until
      and not exists (
        select from embedder.vector v
        where v.workspace_id = p_workspace and v.generation_id = p_generation and v.kind = any (p_kinds) and v.kind = e.kind
          and v.subject_id = e.subject_id and v.subject_id > p_after and v.subject_id <= p_until
          and v.part = 0 and v.text_sha256 = e.text_sha256)),
  dead as (
    select t.subject_id, t.spec from spine.task t
    where t.workspace_id = p_workspace and t.stage = 'embed' and t.state = 'dead'
      and t.subject_id = any (array(select m.subject_id from missing m)))
  select m.kind, count(*), count(d.spec)
  from missing m left join dead d on d.subject_id = m.subject_id
    and d.spec = m.kind || ':' || p_generation || ':' || encode(m.text_sha256, 'hex')
  group by m.kind order by m.kind;
end;

-- Which of the next p_limit vectors of a kind, after those of a subject, are of what is gone or has another text; and the last of them, whether
-- or not it is.
create function spine.stale_vectors(p_workspace uuid, p_generation uuid, p_kind text, p_after uuid, p_limit bigint)
  returns table (subject_id uuid, is_stale boolean)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_nestloop = off set plan_cache_mode = force_custom_plan
begin atomic
  with seen as materialized (
    select v.subject_id, v.text_sha256 from embedder.vector v
    where v.workspace_id = p_workspace and v.generation_id = p_generation and v.kind = p_kind and v.part = 0 and v.subject_id > p_after
    order by v.subject_id limit p_limit),
  last as materialized (select s.subject_id from seen s order by s.subject_id desc limit 1),
  current as (
    select e.subject_id, e.text_sha256 from spine.embeddable e
    where e.workspace_id = p_workspace and e.kind = p_kind and e.subject_id > p_after
      and e.subject_id <= (select l.subject_id from last l))
  select s.subject_id, c.subject_id is null
  from seen s left join current c on c.subject_id = s.subject_id and c.text_sha256 = s.text_sha256
  where c.subject_id is null or s.subject_id = (select l.subject_id from last l)
  order by s.subject_id;
end;

alter function spine.embedding_debt(uuid, uuid, text[], uuid, uuid) owner to winnow_spine;
alter function spine.stale_vectors(uuid, uuid, text, uuid, bigint) owner to winnow_spine;
revoke execute on function spine.embedding_debt(uuid, uuid, text[], uuid, uuid), spine.stale_vectors(uuid, uuid, text, uuid, bigint) from public;
grant execute on function spine.embedding_debt(uuid, uuid, text[], uuid, uuid), spine.stale_vectors(uuid, uuid, text, uuid, bigint)
  to winnow_embedder;

-- What spine.gauges counts of the rows of a workspace, of the next p_limit subjects and vectors after one of them, in order of id; `last` is
-- null once there are no more. Messages without a window are none while a window is to be cut.
create function spine.gauges_of_rows(p_workspace uuid, p_after uuid, p_limit int)
  returns table (last uuid, messages bigint, messages_noise bigint, messages_weak bigint, messages_signal bigint, messages_skipped bigint,
    atoms bigint, topics bigint, vectors bigint, vectors_missing bigint, vectors_stale bigint, messages_unwindowed bigint)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set enable_nestloop = off set plan_cache_mode = force_custom_plan
begin atomic
  with serving as materialized (select g.id from embedder.generation g where g.state = 'serving'),
  next as (
    (select m.id from ingest.message m
     where m.workspace_id = p_workspace and m.deleted_at is null and m.text <> '' and m.id > p_after order by m.id limit p_limit)
    union all
    (select m.id from ingest.message m
     where m.workspace_id = p_workspace and m.deleted_at is null and m.text = '' and m.id > p_after order by m.id limit p_limit)
    union all
    (select a.id from extractor.atom a
     where a.workspace_id = p_workspace and a.retired_at is null and a.id > p_after order by a.id limit p_limit)
    union all
    (select t.id from extractor.topic t
     where t.workspace_id = p_workspace and t.retired_at is null and t.id > p_after order by t.id limit p_limit)
    union all
    (select v.subject_id from embedder.vector v
     where v.workspace_id = p_workspace and v.generation_id = (select s.id from serving s) and v.kind = 'message'
       and v.subject_id > p_after order by v.subject_id limit p_limit)
    union all
    (select v.subject_id from embedder.vector v
     where v.workspace_id = p_workspace and v.generation_id = (select s.id from serving s) and v.kind = 'atom'
       and v.subject_id > p_after order by v.subject_id limit p_limit)
    union all
    (select v.subject_id from embedder.vector v
     where v.workspace_id = p_workspace and v.generation_id = (select s.id from serving s) and v.kind = 'topic'
       and v.subject_id > p_after order by v.subject_id limit p_limit)),
  last as materialized (select x.id from next x order by x.id offset p_limit - 1 limit 1),
  until as materialized (select coalesce((select l.id from last l), 'ffffffff-ffff-ffff-ffff-ffffffffffff') as id),
  -- Texts are left out of it, so that two narrow indexes answer.
  message as (
    select m.id, m.importance_label as label, false as skipped from ingest.message m
    where m.workspace_id = p_workspace and m.deleted_at is null and m.text <> '' and m.id > p_after and m.id <= (select u.id from until u)
    union all
    select m.id, m.importance_label, true from ingest.message m
    where m.workspace_id = p_workspace and m.deleted_at is null and m.text = '' and m.id > p_after and m.id <= (select u.id from until u)),
  live as materialized (
    select count(*) as messages,
      count(*) filter (where m.label = 'noise') as noise,
      count(*) filter (where m.label = 'weak') as weak,
      count(*) filter (where m.label = 'signal') as signal,
      count(*) filter (where m.skipped) as skipped
    from message m),
  atom as materialized (
    select count(*) as live, count(*) filter (where x.approval_state = 'rejected') as rejected from extractor.atom x
    where x.workspace_id = p_workspace and x.retired_at is null and x.id > p_after and x.id <= (select u.id from until u)),
  topic as materialized (
    select count(*) as live from extractor.topic t
    where t.workspace_id = p_workspace and t.retired_at is null and t.id > p_after and t.id <= (select u.id from until u)),
  vector as materialized (
    select count(*) as held, count(e.subject_id) as met from embedder.vector v
    left join spine.embeddable e on e.workspace_id = p_workspace and e.kind = v.kind and e.subject_id = v.subject_id
      and e.text_sha256 = v.text_sha256 and e.subject_id > p_after and e.subject_id <= (select u.id from until u)
    where v.workspace_id = p_workspace and v.generation_id = (select s.id from serving s) and v.kind = any (array['message', 'atom', 'topic'])
      and v.part = 0 and v.subject_id > p_after and v.subject_id <= (select u.id from until u))
  select (select l.id from last l), live.messages, live.noise, live.weak, live.signal, live.skipped, atom.live - atom.rejected, topic.live,
    vector.met, live.messages - live.skipped + atom.live + topic.live - vector.met, vector.held - vector.met,
    -- The first in the order of an index, since `exists` would be planned as if most tasks were open.
    case when (select t.id from spine.task t
        where t.workspace_id = p_workspace and t.stage = 'window' and t.state in ('ready', 'leased') and t.available_at <= now()
        order by t.state, t.id limit 1) is not null
      then 0 else (select count(*) from message m
        where not exists (
            select from extractor.window_message w where w.workspace_id = p_workspace and w.message_id = m.id
              and w.message_id > p_after and w.message_id <= (select u.id from until u))
          and not exists (
            select from extractor.pending_message p where p.workspace_id = p_workspace and p.message_id = m.id
              and p.message_id > p_after and p.message_id <= (select u.id from until u))) end
  from live, atom, topic, vector;
end;

-- The others of spine.gauges.
create function spine.gauges_of_work(p_workspace uuid)
  returns table (extractions_inconsistent bigint, leases_expired bigint, messages_in_open_windows bigint, tokens_spent bigint, serving_model text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select
    (select count(*) from (
        select distinct on (r.task_id) r.task_id, r.atom_count from extractor.run r
        where r.workspace_id = p_workspace order by r.task_id, r.id desc) last
      join spine.task t on t.workspace_id = p_workspace and t.id = last.task_id
      where t.stage = 'extract' and t.state = 'done' and t.result_count <> last.atom_count),
    (select count(*) from spine.task t where t.workspace_id = p_workspace and t.state = 'leased' and t.lease_until < now() - interval '2 minutes'),
    (select count(*) from extractor.pending_message p where p.workspace_id = p_workspace),
    (select coalesce(sum(s.tokens_in + s.tokens_out), 0)::bigint from extractor.spent s where s.workspace_id = p_workspace),
    coalesce((select g.model from embedder.generation g where g.state = 'serving'), '');
end;

alter function spine.gauges_of_rows owner to winnow_spine;
alter function spine.gauges_of_work owner to winnow_spine;
revoke execute on function spine.gauges_of_rows, spine.gauges_of_work from public;
grant execute on function spine.gauges_of_rows, spine.gauges_of_work, spine.workspaces to winnow_relay;
grant execute on function spine.gauges_of_rows, spine.gauges_of_work to winnow_ingest, winnow_extractor, winnow_embedder, winnow_search;
