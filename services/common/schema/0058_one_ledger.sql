-- What language models read and write is booked in one place, extractor.spent, as soon as a reading ends and whatever becomes of it: a
-- commit that fails and a lease that is lost leave nothing uncounted. A run goes on telling what its own reading cost.

insert into extractor.spent as s (workspace_id, day, tokens_in, tokens_out, model_calls)
select r.workspace_id, (r.created_at at time zone 'UTC')::date, sum(r.tokens_in), sum(r.tokens_out), sum(r.model_calls)
from extractor.run r
where r.model_calls > 0
group by 1, 2
on conflict (workspace_id, day) do update
set tokens_in = s.tokens_in + excluded.tokens_in, tokens_out = s.tokens_out + excluded.tokens_out,
    model_calls = s.model_calls + excluded.model_calls;

create or replace function spine.tokens_today(p_workspace uuid) returns bigint
  language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
  select coalesce((select s.tokens_in + s.tokens_out from extractor.spent s
                   where s.workspace_id = p_workspace and s.day = (now() at time zone 'UTC')::date), 0);
end;

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
    (select coalesce(sum(s.tokens_in + s.tokens_out), 0)::bigint from extractor.spent s where s.workspace_id = p_workspace),
    coalesce((select s.model from serving s), '')
  from live, known, vectors;
end;

grant select on extractor.spent to winnow_spine;
create policy spine_sees_all on extractor.spent to winnow_spine using (true) with check (true);
