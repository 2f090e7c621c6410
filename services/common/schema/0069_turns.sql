-- Workspaces have turns: after a batch of one a worker claims a batch of each other that waits (docs/decisions/0014-turns.md).

-- What can be claimed: tasks that were hinted and that nobody has taken since. Scheduled, parked and paused ones are not in it. By it one workspace
-- that waits is found from another, and the first of its tasks, however many wait.
create index task_waiting on spine.task (stage, lane, workspace_id, available_at, id) where state = 'ready' and hint_count > 0;

-- The next workspace of which tasks of a stage wait in some lanes, in the circle of all workspaces from one to another, without these two; from
-- one to itself is all of the circle. Null if there is none. Compared as rows, since no other index has them in that order, whatever the planner
-- thinks of it; between both ends, so that what has just been done of either is not walked through; and planned once, which takes longer than to look.
create function spine.next_waiting(p_stage text, p_lanes int[], p_from uuid, p_to uuid) returns uuid
  language sql stable security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set plan_cache_mode = force_generic_plan
begin atomic
  select coalesce(
    (select n.workspace_id from unnest(p_lanes) as l (lane) cross join lateral (
       select t.workspace_id from spine.task t
       where (t.stage, t.lane, t.workspace_id) > (p_stage, l.lane, p_from)
         and (t.stage, t.lane, t.workspace_id)
           < (p_stage, l.lane, case when p_from < p_to then p_to else 'ffffffff-ffff-ffff-ffff-ffffffffffff' end)
         and t.state = 'ready' and t.hint_count > 0
       order by t.stage, t.lane, t.workspace_id limit 1) n
     order by n.workspace_id limit 1),
    (select n.workspace_id from unnest(p_lanes) as l (lane) cross join lateral (
       select t.workspace_id from spine.task t
       where (t.stage, t.lane, t.workspace_id) >= (p_stage, l.lane, '00000000-0000-0000-0000-000000000000')
         and (t.stage, t.lane, t.workspace_id) < (p_stage, l.lane, p_to)
         and t.state = 'ready' and t.hint_count > 0 and p_to <= p_from
       order by t.stage, t.lane, t.workspace_id limit 1) n
     order by n.workspace_id limit 1));
end;

-- Leases as spine.claim does, but the first of a workspace's tasks that wait in some lanes: at most p_limit, in the order in which they became due.
create function spine.claim_waiting(
  p_workspace uuid, p_stage text, p_lanes int[], p_limit int, p_owner uuid, p_lease interval, p_attempts_max int
) returns table (id uuid, subject_id uuid, spec text, fence bigint, attempts int)
  language sql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
begin atomic
  select c.id, c.subject_id, c.spec, c.fence, c.attempts
  from spine.claim(p_workspace, p_stage, array(
      select w.id from unnest(p_lanes) as l (lane) cross join lateral (
        select t.id from spine.task t
        where t.stage = p_stage and t.lane = l.lane and t.workspace_id = p_workspace and t.state = 'ready' and t.hint_count > 0
        order by t.available_at, t.id limit p_limit for update skip locked) w
      limit p_limit),
    p_owner, p_lease, p_attempts_max) c;
end;

alter function spine.next_waiting owner to winnow_spine;
alter function spine.claim_waiting owner to winnow_workspace;
revoke execute on function spine.next_waiting, spine.claim_waiting from public;
grant execute on function spine.next_waiting, spine.claim_waiting to winnow_ingest, winnow_extractor, winnow_embedder;
