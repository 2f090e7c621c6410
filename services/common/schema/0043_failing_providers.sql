-- A model that fails holds up no other generation: its tasks are parked, and woken by who may ask it again.

create index task_failing on spine.task (split_part(spec, ':', 2), lane)
  where stage = 'embed' and state = 'ready' and error_class = 'ProviderFailing';

-- Makes up to p_limit tasks due that wait for a generation's model to answer again, fresh ones first; returns how many.
-- What it said is kept, for people, until there is more to say.
create function spine.wake_failing(p_generation uuid, p_limit int) returns bigint
  language sql security definer set search_path = pg_catalog, pg_temp
  set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off set plan_cache_mode = force_custom_plan
begin atomic
  with parked as (
    select t.workspace_id, t.id from spine.task t
    where t.stage = 'embed' and t.state = 'ready' and t.error_class = 'ProviderFailing'
      and split_part(t.spec, ':', 2) = p_generation::text
    -- By the whole key of the index: under row-level security the planner does not see that its beginning is given.
    order by split_part(t.spec, ':', 2), t.lane limit p_limit for update skip locked),
  woken as (
    update spine.task t
    set available_at = now(), hint_at = now(), hint_count = 0, error_class = null
    from parked p where t.workspace_id = p.workspace_id and t.id = p.id
    returning 1)
  select count(*) from woken;
end;

alter function spine.wake_failing owner to winnow_spine;
revoke execute on function spine.wake_failing from public;
grant execute on function spine.wake_failing to winnow_embedder;
