-- A status counts the atoms that lists of them show, those that are not rejected. Rejected ones keep their vectors, which are counted
-- with all others: whoever takes the judgement back has not to wait for them.

create or replace function spine.gauges(p_workspace uuid)
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
  known as materialized (
    select a.live, a.live - a.rejected as atoms,
      (select count(*) from extractor.topic t where t.workspace_id = p_workspace and t.retired_at is null) as topics
    from (
      select count(*) as live, count(*) filter (where x.approval_state = 'rejected') as rejected
      from extractor.atom x where x.workspace_id = p_workspace and x.retired_at is null) a),
  vectors as materialized (
    select coalesce(sum(c.held), 0)::bigint as held, coalesce(sum(c.met), 0)::bigint as met
    from serving s cross join lateral spine.count_vectors(p_workspace, s.id) c)
  select live.messages, live.noise, live.weak, live.signal, live.skipped, known.atoms, known.topics, vectors.met,
    live.messages - live.skipped + known.live + known.topics - vectors.met,
    vectors.held - vectors.met,
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
  from live, known, vectors;
end;
