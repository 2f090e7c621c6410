-- What waits to be embedded is counted a part at a time: after an import of a million messages one count of all takes a second, and searches
-- waited for it.

-- How many of the next p_limit tasks that embed and are in a state, after one of them in order of id, wait for a vector of a generation, since
-- when the oldest of these does, how many were looked at, and which was the last.
create function search.waiting(p_generation uuid, p_state text, p_after uuid, p_limit int)
  returns table (waiting bigint, oldest timestamptz, seen bigint, last uuid)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  with seen as materialized (
    select t.id, t.created_at,
      split_part(t.spec, ':', 2) = p_generation::text and split_part(t.spec, ':', 3) <> 'gone' as waits
    from spine.task t
    where t.workspace_id = spine.current_workspace() and t.stage = 'embed' and t.state = p_state and t.state <> 'done' and t.id > p_after
    order by t.id limit p_limit)
  select count(*) filter (where s.waits), min(s.created_at) filter (where s.waits), count(*),
    (select x.id from seen x order by x.id desc limit 1)
  from seen s;
end;

-- Whether embeddings of the serving generation that were asked for up to a time are still to be made, and whether some have died. The first in
-- the order of an index, since `exists` would be planned as if most tasks were open.
create function search.pending_until(p_generation uuid, p_until timestamptz) returns table (pending boolean, dead boolean)
  language sql stable security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off
  set plan_cache_mode = force_custom_plan
begin atomic
  select bool_or(found.id is not null) filter (where s.state <> 'dead'), bool_or(found.id is not null) filter (where s.state = 'dead')
  from unnest(array['dead', 'leased', 'ready']) as s (state) left join lateral (
    select t.id from spine.task t
    where t.workspace_id = spine.current_workspace() and t.stage = 'embed' and t.state = s.state and t.state <> 'done'
      and t.created_at <= p_until and split_part(t.spec, ':', 2) = p_generation::text and split_part(t.spec, ':', 3) <> 'gone'
    order by t.id limit 1) found on true;
end;

alter function search.waiting owner to winnow_spine;
alter function search.pending_until owner to winnow_spine;
revoke execute on function search.waiting, search.pending_until from public;
grant execute on function search.waiting, search.pending_until to winnow_search;
