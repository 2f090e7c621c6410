-- A backfill that is paused is not read: each pass of a relay went through all of it, 15 ms for 19,000 tasks, several times a
-- second. Workspaces share what may be hinted of backfills, where the oldest task went first.
-- And what waits where is found before anything is locked: with the recursion in the statement that locks, a relay beside others
-- could spin in it without end (docs/decisions/0001-hint-at.md).

drop index spine.task_hint_backfill;
create index task_hint_backfill on spine.task (workspace_id, hint_at) where hint_at is not null and lane = 1 and hint_count = 0;

-- The lanes and stages in which hinted tasks wait, from one to the next by the index: how much waits in each is not read.
create function spine.hinted_places() returns table (lane smallint, stage text)
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set plan_cache_mode = force_custom_plan
begin atomic
  with recursive places as (
    (select h.lane, h.stage from spine.task h
     where h.hint_at is not null and h.hint_count > 0 order by h.lane, h.stage limit 1)
    union all
    select n.lane, n.stage from places p cross join lateral (
      select h.lane, h.stage from spine.task h
      where h.hint_at is not null and h.hint_count > 0 and (h.lane, h.stage) > (p.lane, p.stage)
      order by h.lane, h.stage limit 1) n)
  select p.lane, p.stage from places p;
end;

-- The workspaces whose backfill waits for its first hints and is not paused, found in the same way.
create function spine.unhinted_backfills() returns setof uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set plan_cache_mode = force_custom_plan
begin atomic
  with recursive behind as (
    (select h.workspace_id from spine.task h
     where h.hint_at is not null and h.lane = 1 and h.hint_count = 0 order by h.workspace_id limit 1)
    union all
    select n.workspace_id from behind b cross join lateral (
      select h.workspace_id from spine.task h
      where h.hint_at is not null and h.lane = 1 and h.hint_count = 0 and h.workspace_id > b.workspace_id
      order by h.workspace_id limit 1) n)
  select b.workspace_id from behind b
  where not exists (select from spine.paused_backfill p where p.workspace_id = b.workspace_id);
end;

-- Takes up to p_limit tasks that are due for a first hint, and as many of each stage and lane whose hint is due again, and schedules
-- their next one: twice as long each time, at most p_again_max. Of backfills only so many are taken that p_backfill_max are hinted
-- and not done, the same share of each workspace, rounded up. The settings keep the function to the indexes, whatever the planner
-- thinks of the table, and have it planned by what the table holds now.
create or replace function spine.take_hints(p_limit int, p_again interval, p_again_max interval, p_backfill_max int default 1024)
  returns table (workspace_id uuid, id uuid, stage text, lane smallint)
  language plpgsql security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  lanes smallint[];
  stages text[];
  workspaces uuid[];
  share bigint := 0;
begin
  select array_agg(p.lane), array_agg(p.stage) into lanes, stages from spine.hinted_places() p;
  select array_agg(w) into workspaces from spine.unhinted_backfills() w;
  if workspaces is not null then
    select greatest(0, least(p_limit, p_backfill_max - count(*)) + cardinality(workspaces) - 1) / cardinality(workspaces)
    into share from spine.task h where h.hint_at is not null and h.lane = 1 and h.hint_count > 0;
  end if;
  return query
  with fresh as (
    select t.workspace_id, t.id from spine.task t
    where t.hint_at <= now() and t.lane <> 1 and t.hint_count = 0 order by t.hint_at limit p_limit for update skip locked),
  again as (
    select d.workspace_id, d.id from unnest(lanes, stages) as p (lane, stage) cross join lateral (
      select t.workspace_id, t.id from spine.task t
      where t.lane = p.lane and t.stage = p.stage and t.hint_at <= now() and t.hint_count > 0
      order by t.hint_at limit p_limit for update skip locked) d),
  backfill as (
    select d.workspace_id, d.id from unnest(workspaces) as f (workspace_id) cross join lateral (
      select t.workspace_id, t.id from spine.task t
      where t.workspace_id = f.workspace_id and t.hint_at <= now() and t.lane = 1 and t.hint_count = 0
      order by t.hint_at limit share for update skip locked) d),
  due as (select * from fresh union all select * from again union all select * from backfill)
  update spine.task t
  set hint_at = now() + least(p_again * power(2, least(t.hint_count, 16)), p_again_max), hint_count = t.hint_count + 1
  from due where t.workspace_id = due.workspace_id and t.id = due.id
  returning t.workspace_id, t.id, t.stage, t.lane;
end $$;

alter function spine.hinted_places owner to winnow_spine;
alter function spine.unhinted_backfills owner to winnow_spine;
revoke execute on function spine.hinted_places, spine.unhinted_backfills from public;
