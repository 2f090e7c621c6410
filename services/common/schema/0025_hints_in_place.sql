-- A hint that lies in the stream is not repeated. What is lost is known stage by stage, and how much of it there is to look at does
-- not depend on how much waits: docs/decisions/0001-hint-at.md.

-- Lane 2 is history: tasks that their maker hints, all of them, behind what is fresh.
alter table spine.task drop constraint task_lane_check;
alter table spine.task add constraint task_lane_check check (lane between 0 and 2);

drop index spine.task_hint;
drop index spine.task_hinted_backfill;
create index task_hint on spine.task (hint_at) where hint_at is not null and lane <> 1 and hint_count = 0;
create index task_hinted on spine.task (lane, stage, hint_at) where hint_at is not null and hint_count > 0;

-- Takes up to p_limit tasks that are due for a first hint, and as many of each stage and lane whose hint is due again, and schedules
-- their next one: twice as long each time, at most p_again_max. Of the backfill only so many are taken that p_backfill_max are hinted
-- and not done. The settings keep the function to the indexes, whatever the planner thinks of the table.
create or replace function spine.take_hints(p_limit int, p_again interval, p_again_max interval, p_backfill_max int default 1024)
  returns table (workspace_id uuid, id uuid, stage text, lane smallint)
  language sql security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
begin atomic
  with recursive fresh as (
    select t.workspace_id, t.id from spine.task t
    where t.hint_at <= now() and t.lane <> 1 and t.hint_count = 0 order by t.hint_at limit p_limit for update skip locked),
  -- From one to the next by the index: how much waits in each is not read.
  places as (
    (select h.lane, h.stage from spine.task h
     where h.hint_at is not null and h.hint_count > 0 order by h.lane, h.stage limit 1)
    union all
    select n.lane, n.stage from places p cross join lateral (
      select h.lane, h.stage from spine.task h
      where h.hint_at is not null and h.hint_count > 0 and (h.lane, h.stage) > (p.lane, p.stage)
      order by h.lane, h.stage limit 1) n),
  again as (
    select d.workspace_id, d.id from places p cross join lateral (
      select t.workspace_id, t.id from spine.task t
      where t.lane = p.lane and t.stage = p.stage and t.hint_at <= now() and t.hint_count > 0
      order by t.hint_at limit p_limit for update skip locked) d),
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

-- Makes tasks due for a hint now that nobody has claimed since their last one was taken, before a time that is given for each stage
-- and lane: no hint of then is left in the stream.
create function spine.repeat_lost_hints(
  p_stages text[], p_lanes int[], p_hinted_before timestamptz[], p_again interval, p_again_max interval
) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
begin atomic
  with lost as (
    update spine.task t set hint_at = now(), hint_count = 0
    from (
      select h.workspace_id, h.id
      from unnest(p_stages, p_lanes, p_hinted_before) as gone (stage, lane, hinted_before)
      join spine.task h on h.lane = gone.lane and h.stage = gone.stage and h.hint_at < gone.hinted_before + p_again_max
      where h.hint_count > 0 and h.state = 'ready' and h.hint_at > now() and h.available_at <= now()
        and h.hint_at - least(p_again * power(2, least(h.hint_count - 1, 16)), p_again_max) < gone.hinted_before
      order by h.workspace_id, h.id for update of h skip locked) o
    where t.workspace_id = o.workspace_id and t.id = o.id
    returning 1)
  select count(*) from lost;
end;

-- Makes or reopens the tasks that embed subjects, those of the generation that serves in a lane and as hinted already: their ids
-- are returned, and the caller publishes them after the commit. If it cannot, the relay does so once it finds them lost.
drop function spine.enqueue_embedding_hinted;
create function spine.enqueue_embedding_hinted(
  p_workspace uuid, p_kind text, p_subjects uuid[], p_hashes bytea[], p_again interval, p_lane int default 0
) returns setof uuid
  language sql security definer set search_path = pg_catalog, pg_temp
begin atomic
  select spine.enqueue_backfill(p_workspace, g.id, p_kind, p_subjects, p_hashes)
  from embedder.generation g where g.state in ('building', 'standby') and cardinality(p_subjects) > 0;
  insert into spine.task as t (workspace_id, stage, subject_id, spec, hint_at, hint_count, lane)
  select distinct p_workspace, 'embed', x.subject_id,
    p_kind || ':' || g.id || ':' || coalesce(encode(x.hash, 'hex'), 'gone'), now() + p_again, 1, p_lane
  from unnest(p_subjects, p_hashes) as x (subject_id, hash), embedder.generation g
  where g.state = 'serving' order by 3, 4
  on conflict (workspace_id, stage, subject_id, spec) do update
    set state = 'ready', attempts = 0, available_at = excluded.available_at, hint_at = excluded.hint_at, hint_count = 1,
        result_count = null, error_class = null, error = null, finished_at = null, lane = excluded.lane
    where t.state = 'done'
  returning t.id;
end;

alter function spine.repeat_lost_hints owner to winnow_spine;
alter function spine.enqueue_embedding_hinted owner to winnow_workspace;
revoke execute on function spine.repeat_lost_hints, spine.enqueue_embedding_hinted from public;
grant execute on function spine.repeat_lost_hints to winnow_relay;
grant execute on function spine.enqueue_embedding_hinted to winnow_ingest;
